#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "compressc/runtime/progress.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/generate.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/prompt_file.h"
#include <chrono>
#include <cstdio>
#include <unistd.h>

ABSL_FLAG(std::string, prompt, "", "text to go on from");
ABSL_FLAG(std::string, prompt_file, "", "file with the text to go on from");
ABSL_FLAG(std::string, prompts, "", "file with many prompts");
ABSL_FLAG(int64_t, batch, 8, "prompts computed together");
ABSL_FLAG(int64_t, max_tokens, 128, "tokens to generate");
ABSL_FLAG(double, temperature, 0, "sharpness of the distribution");
ABSL_FLAG(int64_t, top_k, 0, "tokens to choose from");
ABSL_FLAG(double, top_p, 1, "probability to choose from");
ABSL_FLAG(compressc::TextList, stop, {}, "texts to stop at");

namespace compressc {
namespace {

/// --prompt, --prompt-file or --prompts.
StatusOr<std::vector<std::string>> readPrompts() {
  std::string text = absl::GetFlag(FLAGS_prompt), file = absl::GetFlag(FLAGS_prompt_file),
              many = absl::GetFlag(FLAGS_prompts);
  if (int(!text.empty()) + int(!file.empty()) + int(!many.empty()) != 1)
    return Invalid("pass one of --prompt TEXT, --prompt-file FILE and --prompts FILE");
  if (!many.empty())
    return ReadPrompts(many);
  if (!file.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(text, ReadTextFile(file, size_t(1) << 28));
  }
  return std::vector<std::string>{text};
}

StatusOr<GenerationOptions> readOptions() {
  GenerationOptions options;
  options.maxTokens = absl::GetFlag(FLAGS_max_tokens);
  options.batch = absl::GetFlag(FLAGS_batch);
  options.stops = absl::GetFlag(FLAGS_stop).items;
  Sampling &sampling = options.sampling;
  sampling.temperature = absl::GetFlag(FLAGS_temperature);
  sampling.topK = absl::GetFlag(FLAGS_top_k);
  sampling.topP = absl::GetFlag(FLAGS_top_p);
  sampling.seed = absl::GetFlag(FLAGS_seed);
  COMPRESSC_RETURN_IF_ERROR(CheckRange("max-tokens", double(options.maxTokens), 0, 1 << 24));
  COMPRESSC_RETURN_IF_ERROR(CheckRange("batch", double(options.batch), 1, 1 << 16));
  COMPRESSC_RETURN_IF_ERROR(CheckRange("temperature", sampling.temperature, 0, 1e6));
  COMPRESSC_RETURN_IF_ERROR(CheckRange("top-k", double(sampling.topK), 0, 1 << 24));
  return options;
}

double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

/// What a result is, without the times: the same on every run.
nlohmann::ordered_json describe(const Generation &result, size_t promptTokens) {
  nlohmann::ordered_json json;
  json["text"] = result.text;
  json["tokens"] = result.tokens;
  json["finish"] = std::string(FinishName(result.finish));
  json["prompt_tokens"] = promptTokens;
  return json;
}

std::string describeOne(const Generation &result, size_t promptTokens, const ModelInfo &info,
                        const Sampling &sampling) {
  nlohmann::ordered_json json;
  json["task"] = "generate";
  json["model"] = info.name;
  json["pipeline"] = info.pipeline;
  json["temperature"] = sampling.temperature;
  json["top_k"] = sampling.topK;
  json["top_p"] = sampling.topP;
  json["seed"] = sampling.seed;
  json.update(describe(result, promptTokens));
  json["prefill_seconds"] = result.prefillSeconds;
  json["decode_seconds"] = result.decodeSeconds;
  json["prompt_tokens_per_second"] = rate(double(promptTokens), result.prefillSeconds);
  json["decode_tokens_per_second"] = rate(double(result.decodeSteps), result.decodeSeconds);
  return JsonText(json);
}

Status continueOne(Model &model, const std::vector<std::vector<int32_t>> &ids,
                   const GenerationOptions &options, bool quiet) {
  std::string jsonPath = absl::GetFlag(FLAGS_json);
  bool show = jsonPath != "-", live = show && isatty(STDOUT_FILENO);
  GenerationCallbacks callbacks;
  callbacks.onText = [&](size_t, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  if (!live)
    callbacks.onText = {};
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Generation> results,
                             Generate(GenerationModelOf(model), ids, options, callbacks));
  const Generation &result = results[0];
  size_t promptTokens = ids[0].size();
  if (!jsonPath.empty())
    COMPRESSC_RETURN_IF_ERROR(
        WriteOutput(jsonPath, describeOne(result, promptTokens, model.info(), options.sampling)));
  if (show && !live)
    std::fwrite(result.text.data(), 1, result.text.size(), stdout);
  if (show)
    std::fputs("\n", stdout);
  if (!quiet)
    std::fputs(absl::StrFormat("%d prompt tokens at %.1f tokens/s, %d generated at %.1f tokens/s, "
                               "finished by %s\n",
                               promptTokens, rate(double(promptTokens), result.prefillSeconds),
                               result.tokens.size(),
                               rate(double(result.decodeSteps), result.decodeSeconds),
                               std::string(FinishName(result.finish)))
                   .c_str(),
               stderr);
  return absl::OkStatus();
}

Status continueMany(Model &model, const std::vector<std::string> &prompts,
                    const std::vector<std::vector<int32_t>> &ids, const GenerationOptions &options,
                    bool quiet) {
  auto start = std::chrono::steady_clock::now();
  Progress progress("generate", int64_t(prompts.size()), "prompts", quiet);
  GenerationCallbacks callbacks;
  callbacks.onFinish = [&](size_t, const Generation &) { progress.advance(); };
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Generation> results,
                             Generate(GenerationModelOf(model), ids, options, callbacks));
  progress.finish();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::string lines;
  int64_t promptTokens = 0, generated = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    nlohmann::ordered_json json;
    json["index"] = i;
    json["prompt"] = prompts[i];
    json.update(describe(results[i], ids[i].size()));
    lines += JsonLine(json);
    promptTokens += int64_t(ids[i].size());
    generated += int64_t(results[i].tokens.size());
  }
  std::string path = absl::GetFlag(FLAGS_json);
  COMPRESSC_RETURN_IF_ERROR(WriteOutput(path.empty() ? "-" : path, lines));
  if (!quiet)
    std::fputs(absl::StrFormat("%d prompts of %d tokens, %d generated, %.2f s, %.1f generated/s\n",
                               prompts.size(), promptTokens, generated, seconds,
                               rate(double(generated), seconds))
                   .c_str(),
               stderr);
  return absl::OkStatus();
}

Status runGenerate() {
  COMPRESSC_ASSIGN_OR_RETURN(GenerationOptions options, readOptions());
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> prompts, readPrompts());
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment());
  Model &model = *deployment->model;
  std::vector<std::vector<int32_t>> ids;
  for (const std::string &prompt : prompts)
    ids.push_back(model.tokenizer().encode(prompt, model.info().addSpecialTokens));
  bool quiet = absl::GetFlag(FLAGS_quiet);
  if (!absl::GetFlag(FLAGS_prompts).empty())
    return continueMany(model, prompts, ids, options, quiet);
  return continueOne(model, ids, options, quiet);
}

} // namespace

Command GenerateCommand() {
  return {
      "generate",
      "Continue texts",
      "Continues one text, or many at once (--prompts). Each next token is the likeliest one, or "
      "with --temperature one drawn at random: the logits are divided by the temperature, then "
      "--top-k, then --top-p leave tokens to draw from, as in transformers. A text ends at an end "
      "token, before a stop string, at --max-tokens or when the context is full. The same seed "
      "gives the same text, whatever the batch and the threads. The text of one prompt goes to "
      "standard output; of many, one line of JSON each, in their order.",
      {{"prompt", "TEXT", "The text to continue."},
       {"prompt-file", "FILE", "The same from a UTF-8 file, as it is."},
       {"prompts", "FILE",
        "Many texts: lines of JSON with \"prompt\" when its name ends in .jsonl, otherwise one on "
        "each line. Blank lines are skipped."},
       {"batch", "N", "Prompts of --prompts computed together; fewer when the cache has no room."},
       {"max-tokens", "N", "The most tokens to generate."},
       {"temperature", "T", "0: the likeliest token. 1: the model's own probabilities."},
       {"top-k", "K", "Draw from the K likeliest tokens only; 0: all."},
       {"top-p", "P",
        "Draw only from the fewest likeliest tokens whose probabilities reach P, over 0 to 1."},
       {"seed", "S", "Draws are a function of seed, prompt (its index) and position."},
       {"stop", "TEXT", "End before this text. May be given several times."},
       {"json", "FILE", "Write text, tokens and speeds to a JSON file; - is standard output."},
       ModelFlag(),
       ThreadsFlag(),
       DeviceFlag(), GpuMemoryFlag(), HalfFlag(), InterpretFlag(),
       {"quiet", "", "No progress and no line about speeds."}},
      "generate --prompt \"The capital of France is\" --max-tokens 20\n"
      "generate --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.95 --seed 7\n"
      "generate --prompt-file question.txt --stop \"Question:\" --stop \"###\" --json answer.json\n"
      "generate --prompts prompts.jsonl --batch 16 --json answers.jsonl",
      runGenerate};
}

} // namespace compressc
