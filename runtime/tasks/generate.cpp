#include "runtime/tasks/generate.h"
#include "runtime/session/slot_allocator.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/text_stream.h"
#include <algorithm>
#include <chrono>
#include <list>

namespace compressc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Status check(const GenerationModel &model, const std::vector<std::vector<int32_t>> &prompts,
             const GenerationOptions &options) {
  COMPRESSC_RETURN_IF_ERROR(CheckSampling(options.sampling));
  COMPRESSC_RETURN_IF_ERROR(CheckStops(options.stops));
  if (options.maxTokens < 0)
    return Invalid("the tokens to generate must be 0 or more, not ", options.maxTokens);
  if (options.batch < 1)
    return Invalid("the batch must be 1 prompt or more, not ", options.batch);
  if (model.limits.maxTokens < 1 || model.limits.maxSelected < 1)
    return absl::InternalError("the schedule takes no tokens");
  int64_t most = std::min(model.contextLength, model.limits.cacheSlots);
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty())
      return Invalid("prompt ", i, " has no tokens");
    if (int64_t(prompts[i].size()) > most)
      return Invalid("prompt ", i, " has ", prompts[i].size(), " tokens, more than the context of ",
                     most);
  }
  return absl::OkStatus();
}

/// A prompt that has its cache slots. Its tokens that are not yet computed go through the model
/// next: the prompt at first, later the token that was generated last.
struct Active {
  Active(size_t prompt, const std::vector<int32_t> &ids, SlotRange slots, TextStream text)
      : prompt(prompt), slots(slots), tokens(ids), promptTokens(int64_t(ids.size())), text(text) {}

  int64_t pending() const { return int64_t(tokens.size()) - computed; }

  size_t prompt;
  SlotRange slots; // the slot of a token is slots.begin + its position
  std::vector<int32_t> tokens;
  int64_t promptTokens;
  int64_t computed = 0;
  TextStream text;
  size_t told = 0; // bytes of the text that onText has had
  Clock::time_point start = Clock::now();
  Generation result;
};

class Generator {
public:
  Generator(const GenerationModel &model, const std::vector<std::vector<int32_t>> &prompts,
            const GenerationOptions &options, const GenerationCallbacks &callbacks)
      : model(model), prompts(prompts), options(options), callbacks(callbacks),
        slots(int32_t(model.limits.cacheSlots)),
        context(std::min(model.contextLength, model.limits.cacheSlots)), results(prompts.size()) {}

  StatusOr<std::vector<Generation>> run() {
    admit();
    while (!active.empty()) {
      COMPRESSC_RETURN_IF_ERROR(CheckInterrupt());
      COMPRESSC_RETURN_IF_ERROR(step());
      admit();
    }
    if (next < prompts.size())
      return absl::InternalError("a prompt found no room in an empty cache");
    return std::move(results);
  }

private:
  /// Lets waiting prompts in, in their order, as long as there is room for all that they may
  /// become.
  void admit() {
    int64_t most = std::min(options.batch, model.limits.maxSelected);
    slots.reclaim();
    for (; next < prompts.size() && int64_t(active.size()) < most; ++next) {
      if (options.maxTokens == 0) {
        tell(results[next]);
        continue;
      }
      // The last token is never computed.
      int64_t wanted = std::min(
          int64_t(prompts[next].size()) + std::min(options.maxTokens, context) - 1, context);
      SlotRange range = slots.take(int32_t(wanted));
      if (range.count < wanted) {
        if (range.count > 0)
          slots.giveBack(range);
        return;
      }
      active.emplace_back(next, prompts[next], range, TextStream(*model.tokenizer, options.stops));
    }
  }

  void tell(const Generation &result) {
    if (callbacks.onFinish)
      callbacks.onFinish(size_t(&result - results.data()), result);
  }

  /// One batch: the pending tokens of each sequence, the oldest sequence first, as far as there are
  /// rows. So those with one token never wait behind a long prompt.
  Status step() {
    Batch batch;
    std::vector<std::list<Active>::iterator> complete; // whose logits are asked for
    for (auto it = active.begin(); it != active.end(); ++it) {
      int64_t count = std::min(it->pending(), model.limits.maxTokens - batch.rows());
      if (count == 0)
        break;
      append(batch, *it, count);
      if (it->pending() == 0) {
        batch.selectedRows.push_back(int32_t(batch.rows() - 1));
        complete.push_back(it);
      }
    }
    COMPRESSC_ASSIGN_OR_RETURN(Tensor logits, model.forward(batch));
    if (logits.rank() != 2 || logits.dim(0) != int64_t(complete.size()) ||
        logits.dtype != DType::F32)
      return absl::InternalError("the model gave no row of fp32 logits for each sequence");
    const float *row = logits.as<float>();
    for (auto it : complete) {
      COMPRESSC_ASSIGN_OR_RETURN(bool done, extend(*it, {row, size_t(logits.dim(1))}));
      row += logits.dim(1);
      if (done)
        retire(it);
    }
    return absl::OkStatus();
  }

  static void append(Batch &batch, Active &sequence, int64_t count) {
    Sequence rows;
    rows.rowBegin = int32_t(batch.rows());
    rows.rowCount = int32_t(count);
    rows.positionBegin = int32_t(sequence.computed);
    rows.slotBegin = int32_t(sequence.slots.begin + sequence.computed);
    if (sequence.computed > 0)
      rows.context.push_back({sequence.slots.begin, int32_t(sequence.computed)});
    batch.sequences.push_back(std::move(rows));
    auto begin = sequence.tokens.begin() + sequence.computed;
    batch.tokens.insert(batch.tokens.end(), begin, begin + count);
    sequence.computed += count;
  }

  /// Chooses the next token; whether it was the last one.
  StatusOr<bool> extend(Active &sequence, absl::Span<const float> logits) {
    Generation &result = sequence.result;
    if (result.tokens.empty()) {
      result.prefillSeconds = secondsSince(sequence.start);
      sequence.start = Clock::now();
    } else {
      ++result.decodeSteps;
    }
    COMPRESSC_ASSIGN_OR_RETURN(int32_t token, SampleToken(logits, options.sampling, sequence.prompt,
                                                          sequence.tokens.size()));
    if (std::find(model.endTokens.begin(), model.endTokens.end(), token) != model.endTokens.end())
      return finish(sequence, Finish::EndToken);
    sequence.tokens.push_back(token);
    result.tokens.push_back(token);
    if (sequence.text.push(token)) {
      report(sequence);
      result.finish = Finish::StopString;
      return true;
    }
    if (int64_t(result.tokens.size()) == options.maxTokens)
      return finish(sequence, Finish::Length);
    if (int64_t(sequence.tokens.size()) > context)
      return finish(sequence, Finish::Context);
    if (!report(sequence)) {
      result.finish = Finish::Cancelled;
      return true;
    }
    return false;
  }

  bool finish(Active &sequence, Finish reason) {
    sequence.result.finish = reason;
    sequence.text.finish();
    report(sequence);
    return true;
  }

  bool report(Active &sequence) {
    std::string_view text = sequence.text.text().substr(sequence.told);
    sequence.told += text.size();
    return text.empty() || !callbacks.onText || callbacks.onText(sequence.prompt, text);
  }

  void retire(std::list<Active>::iterator it) {
    it->result.text = std::string(it->text.text());
    it->result.decodeSeconds = secondsSince(it->start);
    Generation &result = results[it->prompt] = std::move(it->result);
    slots.giveBack(it->slots);
    active.erase(it);
    tell(result);
  }

  const GenerationModel &model;
  const std::vector<std::vector<int32_t>> &prompts;
  const GenerationOptions &options;
  const GenerationCallbacks &callbacks;
  SlotAllocator slots;
  int64_t context; // the most tokens of a sequence that are computed
  size_t next = 0; // prompt to let in
  std::list<Active> active;
  std::vector<Generation> results;
};

} // namespace

GenerationModel GenerationModelOf(Model &model) {
  return {[&model](const Batch &batch) { return model.forward(batch); }, &model.tokenizer(),
          model.limits(), model.info().contextLength, model.info().endTokens};
}

std::string_view FinishName(Finish finish) {
  switch (finish) {
  case Finish::EndToken:
    return "end token";
  case Finish::StopString:
    return "stop string";
  case Finish::Length:
    return "length";
  case Finish::Context:
    return "context";
  case Finish::Cancelled:
    return "cancelled";
  }
  return "";
}

StatusOr<std::vector<Generation>> Generate(const GenerationModel &model,
                                           const std::vector<std::vector<int32_t>> &prompts,
                                           const GenerationOptions &options,
                                           const GenerationCallbacks &callbacks) {
  COMPRESSC_RETURN_IF_ERROR(check(model, prompts, options));
  return Generator(model, prompts, options, callbacks).run();
}

} // namespace compressc
