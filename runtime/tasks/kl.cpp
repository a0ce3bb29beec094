// How far a model's predictions are from its base's, over windows of a text.
#include "absl/strings/str_format.h"
#include "compressc/runtime/digest.h"
#include "runtime/tasks/distributions.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/tasks.h"
#include "runtime/tasks/text.h"
#include "runtime/tasks/windows.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace compressc {
namespace {

std::string digestOf(const Work &work) {
  std::string bytes;
  for (const Request &request : work.requests)
    bytes.append(reinterpret_cast<const char *>(request.tokens.data()), request.tokens.size() * sizeof(int32_t));
  return TextDigest(bytes);
}

/// Between neighbours in the order of size, as numpy's percentile.
double percentile(const std::vector<double> &sorted, double part) {
  double place = part * double(sorted.size() - 1);
  size_t below = size_t(place), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - double(below)) * (sorted[above] - sorted[below]);
}

double mean(const std::vector<double> &values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

class KlTask : public Task {
public:
  TaskText text() const override {
    return {.name = "kl",
            .summary = "Measure how far predictions are from the base's",
            .details = "Of the base (--save), writes what it predicts behind each token of a text: the likeliest "
                       "tokens' log-probabilities and the probability of the rest. Of a compressed model (--base), "
                       "measures the Kullback-Leibler divergence of its predictions from those, the rest counted as "
                       "one token; how often both predict the same token; and the perplexities of both. The text is "
                       "cut into windows as by perplexity.",
            .examples = "kl --windows 16 --save base.kl\n"
                        "kl --windows 16 --base base.kl --json kl.json",
            .unit = "tokens"};
  }

  void define(Options &options) override {
    windows.define(options);
    options.add("save", "FILE", savePath, "Write this model's predictions.");
    options.add("base", "FILE", basePath, "Compare with predictions that the base wrote, of the same tokens.");
    options.add("top-k", "K", kept, "With --save: the likeliest tokens that are kept of each position.")
        .within(1, 1 << 20);
  }

  Status load() override {
    if (savePath.empty() == basePath.empty())
      return Invalid("pass --save FILE to the base or --base FILE, which it wrote, to the model compressed from it");
    if (!savePath.empty() && !WritesFile(savePath))
      return Invalid("--save: ", savePath, " is no file");
    if (!basePath.empty()) {
      COMPRESSC_ASSIGN_OR_RETURN(base, ReadDistributions(basePath));
    }
    COMPRESSC_ASSIGN_OR_RETURN(data, windows.read());
    return absl::OkStatus();
  }

  StatusOr<Work> ask(const Tokenizer &tokenizer, const ModelInfo &model, ThreadPool &) override {
    COMPRESSC_ASSIGN_OR_RETURN(work, CutWindows(data, windows, tokenizer, model));
    work.distributions = true;
    if (basePath.empty()) {
      base.model = model.name;
      base.digest = digestOf(work);
      base.vocabulary = model.vocabularySize;
      base.windows = int64_t(work.count());
      base.context = windows.context;
      base.kept = std::min(kept, model.vocabularySize);
      base.resize();
    } else {
      COMPRESSC_RETURN_IF_ERROR(checkBase(model));
    }
    size_t positions = size_t(base.positions());
    divergences.resize(positions);
    followers.resize(positions);
    agree.resize(positions);
    return work;
  }

  void measure(int32_t request, int32_t position, absl::Span<const float> logits) override {
    size_t at = size_t(request * (base.context - 1) + position), k = size_t(base.kept);
    int32_t *tokens = &base.tokens[at * k];
    float *logs = &base.logs[at * k];
    if (basePath.empty()) {
      std::vector<int32_t> greatest = GreatestTokens(logits, base.kept);
      std::copy(greatest.begin(), greatest.end(), tokens);
    }
    Mass mass = MassBeside(logits, {tokens, k});
    int32_t follower = work.targets[size_t(request)][size_t(position)];
    followers[at] = double(logits[size_t(follower)]) - mass.norm;
    if (basePath.empty()) {
      base.followers[at] = float(followers[at]);
      base.rests[at] = float(mass.rest);
      for (size_t i = 0; i < k; ++i)
        logs[i] = float(double(logits[size_t(tokens[i])]) - mass.norm);
      return;
    }
    double divergence = 0, rest = base.rests[at];
    for (size_t i = 0; i < k; ++i)
      divergence += std::exp(double(logs[i])) * (double(logs[i]) - (double(logits[size_t(tokens[i])]) - mass.norm));
    if (rest > 0)
      divergence += rest * (std::log(rest) - std::log(std::max(mass.rest, std::numeric_limits<double>::min())));
    divergences[at] = std::max(divergence, 0.0); // what is kept is rounded
    agree[at] = std::max_element(logits.begin(), logits.end()) - logits.begin() == tokens[0];
  }

  void grade(size_t, absl::Span<const double>) override {}

  StatusOr<Results> report(const RunFacts &facts) override {
    nlohmann::ordered_json json;
    json["task"] = "kl";
    json["model"] = facts.model.name;
    json["pipeline"] = facts.model.pipeline;
    double perplexity = std::exp(-mean(followers));
    Results results;
    if (basePath.empty()) {
      COMPRESSC_RETURN_IF_ERROR(WriteDistributions(savePath, base));
      json["saved"] = savePath;
      results.table = absl::StrFormat("saved       %s, the %d likeliest tokens of each position\n", savePath, base.kept);
    } else {
      std::vector<double> sorted = divergences, baseFollowers(base.followers.begin(), base.followers.end());
      std::sort(sorted.begin(), sorted.end());
      double average = mean(sorted), high = percentile(sorted, 0.99), basePerplexity = std::exp(-mean(baseFollowers));
      double agreement = double(std::count(agree.begin(), agree.end(), 1)) / double(agree.size());
      json["base"] = base.model;
      json["kl_mean"] = average;
      json["kl_p99"] = high;
      json["kl_worst"] = sorted.back();
      json["top1_agreement"] = agreement;
      json["base_perplexity"] = basePerplexity;
      results.table = absl::StrFormat(
          "KL          mean %.6f, 99th percentile %.6f, worst %.6f (from %s)\n"
          "agreement   %.2f %% of likeliest tokens\nperplexity  %.4f of the base\n",
          average, high, sorted.back(), base.model, 100 * agreement, basePerplexity);
    }
    json["perplexity"] = NumberOrNull(perplexity);
    json["windows"] = base.windows;
    json["context"] = base.context;
    if (windows.bos)
      json["beginning_token"] = work.requests[0].tokens[0];
    json["kept"] = base.kept;
    json["tokens"] = base.positions();
    json["weight_bytes"] = facts.model.weightBytes;
    json["original_weight_bytes"] = facts.model.originalWeightBytes;
    json["seconds"] = facts.seconds;
    if (!facts.gpus.empty())
      json["gpus"] = GpuUseJson(facts.gpus);
    results.json = JsonText(json);
    absl::StrAppendFormat(&results.table, "perplexity  %.4f\nwindows     %d of %d tokens, %s predicted\ntime        %.1f s\n",
                          perplexity, base.windows, base.context, FormatCount(base.positions()), facts.seconds);
    return results;
  }

private:
  /// Whether the base was asked the same.
  Status checkBase(const ModelInfo &model) const {
    if (base.windows != int64_t(work.count()) || base.context != windows.context)
      return Invalid(basePath, ": holds ", base.windows, " windows of ", base.context, " tokens, not ", work.count(),
                     " of ", windows.context, "; pass --windows ", base.windows, " --context ", base.context);
    if (base.vocabulary != model.vocabularySize)
      return Invalid(basePath, ": is of a model with ", base.vocabulary, " logits, but this one has ",
                     model.vocabularySize);
    if (base.digest != digestOf(work))
      return Invalid(basePath, ": is of other tokens: the tokenizer, the text or --bos differs; save it again");
    return absl::OkStatus();
  }

  WindowOptions windows;
  std::string savePath, basePath, data;
  int64_t kept = 64;
  Work work;
  Distributions base;              // read, or this model's
  std::vector<double> divergences; // of each position
  std::vector<double> followers;   // log-probabilities
  std::vector<char> agree;
};

} // namespace

std::unique_ptr<Task> MakeKl() { return std::make_unique<KlTask>(); }

} // namespace compressc
