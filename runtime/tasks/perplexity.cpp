#include "runtime/tasks/perplexity.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/json_text.h"
#include <cmath>
#include <numeric>

namespace compressc {

double PerplexityResult::perplexity() const { return std::exp(nll / double(tokens)); }

StatusOr<PerplexityResult> MeasurePerplexity(const Scorer &score, int64_t vocabularySize,
                                             const std::vector<int32_t> &ids, int64_t context,
                                             int64_t windows,
                                             const std::function<void()> &onToken) {
  if (context < 2)
    return Invalid("--context must be at least 2 tokens");
  int64_t available = int64_t(ids.size()) / context;
  if (available == 0 || windows > available)
    return Invalid("the text has ", ids.size(), " tokens, enough for ", available, " windows of ",
                   context, "; pass a smaller --windows or --context, or a longer text");
  PerplexityResult result;
  result.windows = windows > 0 ? windows : available;
  result.context = context;
  result.tokens = result.windows * (context - 1);

  std::vector<Request> requests(result.windows);
  for (int64_t window = 0; window < result.windows; ++window) {
    auto begin = ids.begin() + window * context;
    requests[window].tokens.assign(begin, begin + context);
    requests[window].wanted.resize(context - 1);
    std::iota(requests[window].wanted.begin(), requests[window].wanted.end(), 0);
    for (int32_t id : requests[window].tokens)
      if (id < 0 || id >= vocabularySize)
        return Invalid("the text has token ", id, ", but the model has ", vocabularySize,
                       " logits");
  }
  // Summed by window, so that the order of the batches does not show in the last digits.
  std::vector<double> losses(result.windows, 0);
  int64_t seen = 0;
  Targets targets;
  targets.tokens = [&](int32_t request, int32_t position) {
    return absl::MakeConstSpan(&requests[request].tokens[position + 1], 1);
  };
  auto onScore = [&](int32_t request, int32_t, absl::Span<const double> logProbabilities) -> Status {
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    losses[request] -= logProbabilities[0];
    ++seen;
    if (onToken)
      onToken();
    return absl::OkStatus();
  };
  COMPRESSC_RETURN_IF_ERROR(score(requests, targets, onScore, {}));
  if (seen != result.tokens)
    return absl::InternalError("some positions were left without logits");
  result.nll = std::accumulate(losses.begin(), losses.end(), 0.0);
  return result;
}

std::string PerplexityJson(const PerplexityResult &result, const ModelInfo &model, double seconds,
                           const std::vector<GpuUse> &gpus) {
  nlohmann::ordered_json json;
  json["task"] = "perplexity";
  json["model"] = model.name;
  json["pipeline"] = model.pipeline;
  json["perplexity"] = NumberOrNull(result.perplexity());
  json["windows"] = result.windows;
  json["context"] = result.context;
  json["nll"] = NumberOrNull(result.nll);
  json["tokens"] = result.tokens;
  json["weight_bytes"] = model.weightBytes;
  json["original_weight_bytes"] = model.originalWeightBytes;
  json["seconds"] = seconds;
  if (!gpus.empty())
    json["gpus"] = GpuUseJson(gpus);
  return JsonText(json);
}

} // namespace compressc
