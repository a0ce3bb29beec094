#include "absl/strings/str_format.h"
#include "compressc/runtime/progress.h"
#include "runtime/tasks/bench.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/text.h"
#include <cstdio>

namespace compressc {
namespace {

/// Everything that is reported.
struct Report {
  std::string model, pipeline, instructionSet;
  bool compiled = false;
  int threads = 0;
  BenchOptions options;
  Spread firstToken;       // seconds
  Spread prefill, decode;  // tokens per second, of all sequences together
  double bytesPerStep = 0; // of weights, when decoding

  double bytesPerToken() const { return bytesPerStep / double(options.batch); }
  double bytesPerSecond() const { return bytesPerToken() * decode.median; }
};

Report makeReport(Model &model, int threads, const BenchOptions &options,
                  const std::vector<BenchRun> &runs) {
  Report report;
  report.model = model.info().name;
  report.pipeline = model.info().pipeline;
  report.instructionSet = std::string(InstructionSet());
  report.compiled = model.session().compiled();
  report.threads = threads;
  report.options = options;
  std::vector<double> firstToken, prefill, decode;
  for (const BenchRun &run : runs) {
    firstToken.push_back(run.prefillSeconds);
    prefill.push_back(double(options.batch * options.prompt) / run.prefillSeconds);
    decode.push_back(double(options.batch * options.decode) / run.decodeSeconds);
  }
  report.firstToken = SpreadOf(firstToken);
  report.prefill = SpreadOf(prefill);
  report.decode = SpreadOf(decode);
  const Schedule &schedule = model.session().schedule();
  report.bytesPerStep = double(WeightBytesRead(schedule, *schedule.find("forward"), options.batch));
  return report;
}

nlohmann::ordered_json describe(const Spread &spread) {
  nlohmann::ordered_json json;
  json["median"] = spread.median;
  json["least"] = spread.least;
  json["most"] = spread.most;
  return json;
}

std::string describe(const Report &report) {
  nlohmann::ordered_json json;
  json["task"] = "bench";
  json["model"] = report.model;
  json["pipeline"] = report.pipeline;
  json["compiled"] = report.compiled;
  json["instruction_set"] = report.instructionSet;
  json["threads"] = report.threads;
  json["prompt_tokens"] = report.options.prompt;
  json["decode_tokens"] = report.options.decode;
  json["batch"] = report.options.batch;
  json["repeats"] = report.options.repeats;
  json["time_to_first_token_seconds"] = describe(report.firstToken);
  json["prefill_tokens_per_second"] = describe(report.prefill);
  json["decode_tokens_per_second"] = describe(report.decode);
  json["weight_bytes_per_token"] = report.bytesPerToken();
  json["decode_weight_bytes_per_second"] = report.bytesPerSecond();
  return JsonText(json);
}

std::string table(const Report &report) {
  const BenchOptions &options = report.options;
  auto line = [](absl::string_view name, const Spread &spread, double scale, const char *unit) {
    return absl::StrFormat("%-14s %10.1f %s (%.1f to %.1f)\n", name, spread.median * scale, unit,
                           spread.least * scale, spread.most * scale);
  };
  return absl::StrCat(
      report.model, report.pipeline.empty() ? "" : ", ", report.pipeline, "\n",
      report.compiled ? "compiled" : "interpreted", ", ", report.instructionSet, ", ",
      report.threads, " threads, ", options.batch, " x ", options.prompt, " + ", options.decode,
      " tokens, median of ", options.repeats, " (least to most)\n",
      line("first token", report.firstToken, 1000, "ms"),
      line("prefill", report.prefill, 1, "tokens/s"), line("decode", report.decode, 1, "tokens/s"),
      absl::StrFormat("%-14s %s a generated token, %.2f GB/s\n", "weights",
                      FormatBytes(int64_t(report.bytesPerToken())), report.bytesPerSecond() / 1e9));
}

struct BenchCommandOptions {
  BenchOptions bench;
  std::string json;
  bool quiet = false;
  DeploymentOptions deployment;
};

Status runBench(const BenchCommandOptions &options) {
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment(options.deployment));
  Model &model = *deployment->model;
  Progress progress("bench", options.bench.repeats + 1, "runs", options.quiet);
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<BenchRun> runs,
                             MeasureSpeed(GenerationModelOf(model), model.info().vocabularySize,
                                          options.bench, [&] { progress.advance(); }));
  progress.finish();
  Report report = makeReport(model, deployment->pool.threads(), options.bench, runs);
  if (!options.json.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.json, describe(report)));
  if (options.json != "-")
    std::fputs(table(report).c_str(), stdout);
  return absl::OkStatus();
}

} // namespace

Command BenchCommand() {
  Command command = {"bench", "Measure the speed of prompts and generation",
                     "Computes random prompts, then generates token after token, as often as asked, after one "
                     "run to warm up. Speeds are of all sequences together. The weights' bytes are those that "
                     "a step of generation reads, shared among its sequences.",
                     "bench\n"
                     "bench --prompt 32 --decode 256 --batch 8 --threads 2 --json speed.json\n"
                     "bench --interpret --repeats 3 --json"};
  auto state = std::make_shared<BenchCommandOptions>();
  Options &options = command.options;
  options.add("prompt", "N", state->bench.prompt, "Tokens of each prompt.").within(1, 1 << 24);
  options.add("decode", "N", state->bench.decode, "Tokens to generate for each.").within(1, 1 << 24);
  options.add("batch", "N", state->bench.batch, "Sequences computed together.").within(1, 1 << 16);
  options.add("repeats", "N", state->bench.repeats, "Measured runs.").within(1, 10000);
  options.add("json", "FILE", state->json, "Write the figures as JSON; - or nothing is standard output.").alone("-");
  state->deployment.define(options, false);
  options.add("quiet", "", state->quiet, "No progress line.");
  command.main = [state] { return runBench(*state); };
  command.state = state;
  return command;
}

} // namespace compressc
