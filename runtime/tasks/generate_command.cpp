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

namespace compressc {
namespace {

struct GenerateOptions {
  std::string prompt, promptFile, prompts, json;
  GenerationOptions generation;
  TextList stops;
  bool quiet = false;
  DeploymentOptions deployment;
};

/// --prompt, --prompt-file or --prompts.
StatusOr<std::vector<std::string>> readPrompts(const GenerateOptions &options) {
  std::string text = options.prompt;
  if (int(!text.empty()) + int(!options.promptFile.empty()) + int(!options.prompts.empty()) != 1)
    return Invalid("pass one of --prompt TEXT, --prompt-file FILE and --prompts FILE");
  if (!options.prompts.empty())
    return ReadPrompts(options.prompts);
  if (!options.promptFile.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(text, ReadTextFile(options.promptFile, size_t(1) << 28));
  }
  return std::vector<std::string>{text};
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
                   const GenerateOptions &options) {
  bool show = options.json != "-", live = show && isatty(STDOUT_FILENO);
  GenerationCallbacks callbacks;
  callbacks.onText = [&](size_t, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  if (!live)
    callbacks.onText = {};
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Generation> results,
                             Generate(GenerationModelOf(model), ids, options.generation, callbacks));
  const Generation &result = results[0];
  size_t promptTokens = ids[0].size();
  if (!options.json.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(
        options.json, describeOne(result, promptTokens, model.info(), options.generation.sampling)));
  if (show && !live)
    std::fwrite(result.text.data(), 1, result.text.size(), stdout);
  if (show)
    std::fputs("\n", stdout);
  if (!options.quiet)
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
                    const std::vector<std::vector<int32_t>> &ids, const GenerateOptions &options) {
  auto start = std::chrono::steady_clock::now();
  Progress progress("generate", int64_t(prompts.size()), "prompts", options.quiet);
  GenerationCallbacks callbacks;
  callbacks.onFinish = [&](size_t, const Generation &) { progress.advance(); };
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Generation> results,
                             Generate(GenerationModelOf(model), ids, options.generation, callbacks));
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
  COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.json.empty() ? "-" : options.json, lines));
  if (!options.quiet)
    std::fputs(absl::StrFormat("%d prompts of %d tokens, %d generated, %.2f s, %.1f generated/s\n",
                               prompts.size(), promptTokens, generated, seconds,
                               rate(double(generated), seconds))
                   .c_str(),
               stderr);
  return absl::OkStatus();
}

Status runGenerate(GenerateOptions &options) {
  options.generation.stops = options.stops.items;
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<std::string> prompts, readPrompts(options));
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment(options.deployment));
  Model &model = *deployment->model;
  std::vector<std::vector<int32_t>> ids;
  for (const std::string &prompt : prompts)
    ids.push_back(model.tokenizer().encode(prompt, model.info().addSpecialTokens));
  if (!options.prompts.empty())
    return continueMany(model, prompts, ids, options);
  return continueOne(model, ids, options);
}

} // namespace

Command GenerateCommand() {
  Command command = {
      "generate",
      "Continue texts",
      "Continues one text, or many at once (--prompts). Each next token is the likeliest one, or "
      "with --temperature one drawn at random: the logits are divided by the temperature, then "
      "--top-k, then --top-p leave tokens to draw from, as in transformers. A text ends at an end "
      "token, before a stop string, at --max-tokens or when the context is full. The same seed "
      "gives the same text, whatever the batch and the threads. The text of one prompt goes to "
      "standard output; of many, one line of JSON each, in their order.",
      "generate --prompt \"The capital of France is\" --max-tokens 20\n"
      "generate --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.95 --seed 7\n"
      "generate --prompt-file question.txt --stop \"Question:\" --stop \"###\" --json answer.json\n"
      "generate --prompts prompts.jsonl --batch 16 --json answers.jsonl"};
  auto state = std::make_shared<GenerateOptions>();
  GenerationOptions &generation = state->generation;
  Sampling &sampling = generation.sampling;
  sampling.seed = 1234;
  Options &options = command.options;
  options.add("prompt", "TEXT", state->prompt, "The text to continue.");
  options.add("prompt-file", "FILE", state->promptFile, "The same from a UTF-8 file, as it is.");
  options.add("prompts", "FILE", state->prompts,
              "Many texts: lines of JSON with \"prompt\" when its name ends in .jsonl, otherwise one on "
              "each line. Blank lines are skipped.");
  options.add("batch", "N", generation.batch,
              "Prompts of --prompts computed together; fewer when the cache has no room.")
      .within(1, 1 << 16);
  options.add("max-tokens", "N", generation.maxTokens, "The most tokens to generate.").within(0, 1 << 24);
  options.add("temperature", "T", sampling.temperature,
              "0: the likeliest token. 1: the model's own probabilities.")
      .within(0, 1e6);
  options.add("top-k", "K", sampling.topK, "Draw from the K likeliest tokens only; 0: all.").within(0, 1 << 24);
  options.add("top-p", "P", sampling.topP,
              "Draw only from the fewest likeliest tokens whose probabilities reach P, over 0 to 1.");
  options.add("seed", "S", sampling.seed, "Draws are a function of seed, prompt (its index) and position.");
  options.add("stop", "TEXT", state->stops, "End before this text. May be given several times.");
  options.add("json", "FILE", state->json, "Write text, tokens and speeds to a JSON file; - is standard output.");
  state->deployment.define(options, false);
  options.add("quiet", "", state->quiet, "No progress and no line about speeds.");
  command.main = [state] { return runGenerate(*state); };
  command.state = state;
  return command;
}

} // namespace compressc
