#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/generate.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include <algorithm>
#include <cstdio>
#include <unistd.h>

ABSL_FLAG(std::string, prompt, "", "text to go on from");
ABSL_FLAG(std::string, prompt_file, "", "file with the text to go on from");
ABSL_FLAG(int64_t, max_tokens, 128, "tokens to generate");

namespace compressc {
namespace {

constexpr absl::string_view replacement = "\xEF\xBF\xBD";

/// Prints the text of the tokens so far, but for a character whose last bytes are still to come.
class Printer {
public:
  explicit Printer(const Tokenizer &tokenizer) : tokenizer(tokenizer) {}

  void show(const std::vector<int32_t> &tokens, bool last) {
    std::string text = tokenizer.decode(tokens);
    absl::string_view whole = text;
    while (!last && absl::EndsWith(whole, replacement))
      whole.remove_suffix(replacement.size());
    if (whole.size() <= printed)
      return;
    std::fwrite(whole.data() + printed, 1, whole.size() - printed, stdout);
    std::fflush(stdout);
    printed = whole.size();
  }

private:
  const Tokenizer &tokenizer;
  size_t printed = 0;
};

StatusOr<std::string> readPrompt() {
  std::string text = absl::GetFlag(FLAGS_prompt), file = absl::GetFlag(FLAGS_prompt_file);
  if (text.empty() == file.empty())
    return Invalid("pass either --prompt TEXT or --prompt-file FILE");
  if (!file.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(text, ReadTextFile(file, size_t(1) << 28));
  }
  return text;
}

double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

std::string describe(const Generation &result, const ModelInfo &info, const std::string &text,
                     int64_t promptTokens) {
  nlohmann::ordered_json json;
  json["task"] = "generate";
  json["model"] = info.name;
  json["pipeline"] = info.pipeline;
  json["text"] = text;
  json["tokens"] = result.tokens;
  json["stop"] = result.stop;
  json["prompt_tokens"] = promptTokens;
  json["prompt_tokens_per_second"] = rate(double(promptTokens), result.prefillSeconds);
  json["decode_tokens_per_second"] = rate(double(result.decodeSteps), result.decodeSeconds);
  json["prefill_seconds"] = result.prefillSeconds;
  json["decode_seconds"] = result.decodeSeconds;
  return JsonText(json);
}

Status runGenerate() {
  int64_t maxTokens = absl::GetFlag(FLAGS_max_tokens);
  COMPRESSC_RETURN_IF_ERROR(CheckRange("max-tokens", double(maxTokens), 0, 1 << 24));
  COMPRESSC_ASSIGN_OR_RETURN(std::string prompt, readPrompt());
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment());
  Model &model = *deployment->model;
  const ModelInfo &info = model.info();
  std::vector<int32_t> ids = model.tokenizer().encode(prompt, info.addSpecialTokens);

  PlannerLimits planner = model.limits();
  GenerationLimits limits;
  limits.maxTokens = maxTokens;
  limits.rowsPerBatch = planner.maxTokens;
  limits.contextLength = std::min(info.contextLength, planner.cacheSlots);

  std::string jsonPath = absl::GetFlag(FLAGS_json);
  bool live = isatty(STDOUT_FILENO) && jsonPath != "-";
  Printer printer(model.tokenizer());
  auto onToken = [&](const std::vector<int32_t> &tokens) {
    if (live)
      printer.show(tokens, false);
  };
  COMPRESSC_ASSIGN_OR_RETURN(Generation result,
                             Generate([&](const Batch &batch) { return model.forward(batch); }, ids,
                                      info.endTokens, limits, onToken));
  std::string text = model.tokenizer().decode(result.tokens);
  if (jsonPath != "-") {
    printer.show(result.tokens, true);
    std::fputs("\n", stdout);
  }
  if (!jsonPath.empty())
    COMPRESSC_RETURN_IF_ERROR(
        WriteOutput(jsonPath, describe(result, info, text, int64_t(ids.size()))));
  if (!absl::GetFlag(FLAGS_quiet))
    std::fputs(absl::StrFormat("%d prompt tokens at %.1f tokens/s, %d generated at %.1f tokens/s, "
                               "stopped by %s\n",
                               ids.size(), rate(double(ids.size()), result.prefillSeconds),
                               result.tokens.size(),
                               rate(double(result.decodeSteps), result.decodeSeconds), result.stop)
                   .c_str(),
               stderr);
  return absl::OkStatus();
}

} // namespace

Command GenerateCommand() {
  return {
      "generate",
      "Continue a text",
      "Greedy decoding with a key-value cache: the prompt is computed in pieces, then each next "
      "token is the likeliest one. Ends at an end token, at --max-tokens or when the context is "
      "full. The text goes to standard output, speeds to standard error.",
      {{"prompt", "TEXT", "The text to continue."},
       {"prompt-file", "FILE", "The same from a UTF-8 file, as it is."},
       {"max-tokens", "N", "The most tokens to generate."},
       {"json", "FILE", "Write text, tokens and speeds to a JSON file; - is standard output."},
       ModelFlag(),
       ThreadsFlag(),
       InterpretFlag(),
       {"quiet", "", "No line about speeds."}},
      "generate --prompt \"The capital of France is\" --max-tokens 20\n"
      "generate --prompt-file question.txt --json answer.json",
      runGenerate};
}

} // namespace compressc
