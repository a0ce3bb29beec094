#include "runtime/tasks/bench.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/random.h"
#include <algorithm>
#include <chrono>

namespace compressc {
namespace {

/// Sequences of one length, side by side in the cache.
class Sequences {
public:
  Sequences(const GenerationModel &model, const BenchOptions &options)
      : model(model), options(options), length(options.prompt + options.decode),
        next(size_t(options.batch)) {}

  Status prefill(const std::vector<int32_t> &prompts) {
    for (int64_t s = 0; s < options.batch; ++s)
      for (int64_t begin = 0; begin < options.prompt;) {
        int64_t count = std::min(options.prompt - begin, model.limits.maxTokens - batch.rows());
        append(s, begin, count, prompts.data() + s * options.prompt + begin);
        begin += count;
        if (begin == options.prompt)
          select(s);
        if (batch.rows() == model.limits.maxTokens)
          COMPRESSC_RETURN_IF_ERROR(flush());
      }
    return flush();
  }

  Status decode() {
    for (int64_t position = options.prompt; position < length; ++position) {
      for (int64_t s = 0; s < options.batch; ++s) {
        append(s, position, 1, &next[size_t(s)]);
        select(s);
      }
      COMPRESSC_RETURN_IF_ERROR(flush());
    }
    return absl::OkStatus();
  }

private:
  void append(int64_t s, int64_t begin, int64_t count, const int32_t *tokens) {
    Sequence rows;
    rows.rowBegin = int32_t(batch.rows());
    rows.rowCount = int32_t(count);
    rows.positionBegin = int32_t(begin);
    rows.slotBegin = int32_t(s * length + begin);
    if (begin > 0)
      rows.context.push_back({int32_t(s * length), int32_t(begin)});
    batch.sequences.push_back(std::move(rows));
    batch.tokens.insert(batch.tokens.end(), tokens, tokens + count);
  }

  void select(int64_t s) {
    batch.selectedRows.push_back(int32_t(batch.rows() - 1));
    selected.push_back(s);
  }

  /// Computes what was appended, and each selected sequence's next token.
  Status flush() {
    if (batch.rows() == 0)
      return absl::OkStatus();
    COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, model.forward(batch));
    for (size_t i = 0; i < selected.size(); ++i) {
      const float *row = logits.as<float>() + int64_t(i) * logits.dim(1);
      COMPRESSC_ASSIGN_OR_RETURN(next[size_t(selected[i])],
                                 SampleToken({row, size_t(logits.dim(1))}, {}, 0, 0));
    }
    batch = {};
    selected.clear();
    return absl::OkStatus();
  }

  const GenerationModel &model;
  const BenchOptions &options;
  int64_t length;
  std::vector<int32_t> next; // token of each sequence
  Batch batch;
  std::vector<int64_t> selected; // sequences
};

Status check(const GenerationModel &model, const BenchOptions &options) {
  int64_t length = options.prompt + options.decode;
  if (options.prompt < 1 || options.decode < 1 || options.batch < 1 || options.repeats < 1)
    return Invalid("--prompt, --decode, --batch and --repeats must be 1 or more");
  if (length > model.contextLength)
    return Invalid("--prompt and --decode make ", length, " tokens, more than the context of ",
                   model.contextLength);
  if (length * options.batch > model.limits.cacheSlots)
    return Invalid("--batch ", options.batch, " needs ", length * options.batch,
                   " slots of the cache, which has ", model.limits.cacheSlots);
  int64_t most = std::min(model.limits.maxTokens, model.limits.maxSelected);
  if (options.batch > most)
    return Invalid("--batch ", options.batch, " is more than the ", most,
                   " sequences that the model computes at once");
  return absl::OkStatus();
}

} // namespace

StatusOr<std::vector<BenchRun>> MeasureSpeed(const GenerationModel &model, int64_t vocabularySize,
                                             const BenchOptions &options,
                                             const std::function<void()> &onRun) {
  COMPRESSC_RETURN_IF_ERROR(check(model, options));
  SplitMix64 random(1);
  std::vector<int32_t> prompts(size_t(options.batch * options.prompt));
  for (int32_t &token : prompts)
    token = int32_t(random.below(uint64_t(vocabularySize)));
  std::vector<BenchRun> runs;
  for (int64_t i = 0; i <= options.repeats; ++i) {
    using Clock = std::chrono::steady_clock;
    auto seconds = [](Clock::duration time) { return std::chrono::duration<double>(time).count(); };
    Sequences sequences(model, options);
    Clock::time_point start = Clock::now();
    COMPRESSC_RETURN_IF_ERROR(sequences.prefill(prompts));
    Clock::time_point middle = Clock::now();
    COMPRESSC_RETURN_IF_ERROR(sequences.decode());
    if (i > 0)
      runs.push_back({seconds(middle - start), seconds(Clock::now() - middle)});
    if (onRun)
      onRun();
  }
  return runs;
}

int64_t WeightBytesRead(const Schedule &schedule, const EntryPoint &entry, int64_t rows) {
  int64_t bytes = 0;
  for (const Call &call : entry.calls)
    for (const Operand &operand : call.inputs) {
      if (operand.kind != Operand::Kind::Weight)
        continue;
      const WeightDecl &weight = schedule.weights[size_t(operand.index)];
      Tensor tensor;
      tensor.dtype = weight.dtype;
      tensor.shape = weight.shape;
      tensor.packed = weight.packed;
      bytes += call.kernel == "embedding" ? tensor.bytes() / tensor.dim(0) * rows : tensor.bytes();
    }
  return bytes;
}

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  double median = values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

} // namespace compressc
