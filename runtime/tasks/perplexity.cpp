// Perplexity of a text over windows.
#include "absl/strings/str_format.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/tasks.h"
#include "runtime/tasks/text.h"
#include "runtime/tasks/windows.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace compressc {
namespace {

class PerplexityTask : public Task {
public:
  TaskText text() const override {
    return {.name = "perplexity",
            .summary = "Measure perplexity on a text",
            .details = "Encodes the file as it is, without special tokens, and cuts it into windows one after the "
                       "other. Every token of a window but the first is predicted from those before it in the "
                       "window; the perplexity is exp of the mean loss.",
            .examples = "perplexity --windows 16\n"
                        "perplexity --data text.txt --context 2048 --json perplexity.json\n"
                        "perplexity --bos --context 2048",
            .unit = "tokens"};
  }

  void define(Options &options) override { this->options.define(options); }

  Status load() override {
    COMPRESSC_ASSIGN_OR_RETURN(data, options.read());
    return absl::OkStatus();
  }

  StatusOr<Work> ask(const Tokenizer &tokenizer, const ModelInfo &model, ThreadPool &) override {
    COMPRESSC_ASSIGN_OR_RETURN(Work work, CutWindows(data, options, tokenizer, model));
    losses.resize(work.count());
    first = work.requests[0].tokens[0];
    return work;
  }

  // By window, so that the order of the batches does not show in the last digits.
  void grade(size_t window, absl::Span<const double> logProbabilities) override {
    for (double value : logProbabilities)
      losses[window] -= value;
  }

  StatusOr<Results> report(const RunFacts &facts) override {
    const ModelInfo &model = facts.model;
    double nll = std::accumulate(losses.begin(), losses.end(), 0.0);
    int64_t windows = int64_t(losses.size()), tokens = windows * (options.context - 1);
    double perplexity = std::exp(nll / double(tokens));
    nlohmann::ordered_json json;
    json["task"] = "perplexity";
    json["model"] = model.name;
    json["pipeline"] = model.pipeline;
    json["perplexity"] = NumberOrNull(perplexity);
    json["windows"] = windows;
    json["context"] = options.context;
    if (options.bos)
      json["beginning_token"] = first;
    json["nll"] = NumberOrNull(nll);
    json["tokens"] = tokens;
    json["weight_bytes"] = model.weightBytes;
    json["original_weight_bytes"] = model.originalWeightBytes;
    json["seconds"] = facts.seconds;
    if (!facts.gpus.empty())
      json["gpus"] = GpuUseJson(facts.gpus);
    Results results;
    results.json = JsonText(json);
    results.table = absl::StrFormat(
        "perplexity  %.4f\nwindows     %d of %d tokens, %s predicted\nweights     %s, %s at 16 bits\n"
        "time        %.1f s, %.1f tokens/s\n",
        perplexity, windows, options.context, FormatCount(tokens), FormatBytes(model.weightBytes),
        FormatBytes(model.originalWeightBytes), facts.seconds,
        double(windows * options.context) / std::max(facts.seconds, 1e-9));
    return results;
  }

private:
  WindowOptions options;
  std::string data;
  std::vector<double> losses; // of each window
  int32_t first = 0;          // token of the first window
};

} // namespace

std::unique_ptr<Task> MakePerplexity() { return std::make_unique<PerplexityTask>(); }

} // namespace compressc
