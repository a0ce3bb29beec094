#include "runtime/tasks/bench.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

/// Always likes token 2 best, and remembers what was computed.
struct Recorder {
  std::vector<Batch> batches;
  std::vector<float> logits;
  GenerationModel model;
  Recorder() {
    model.forward = [this](const Batch &batch) -> StatusOr<Tensor> {
      batches.push_back(batch);
      logits.clear();
      for (size_t i = 0; i < batch.selectedRows.size(); ++i)
        logits.insert(logits.end(), {0, 1, 5, 2});
      Tensor tensor;
      tensor.shape = {int64_t(batch.selectedRows.size()), 4};
      tensor.data = logits.data();
      return tensor;
    };
    model.limits = {.maxTokens = 5, .maxSelected = 5, .cacheSlots = 100};
    model.contextLength = 20;
  }
};

TEST(Bench, ComputesPromptsThenEveryStep) {
  Recorder recorder;
  int runs = 0;
  StatusOr<std::vector<BenchRun>> result = MeasureSpeed(
      recorder.model, 4, {.prompt = 4, .decode = 3, .batch = 2, .repeats = 2}, [&] { ++runs; });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->size(), 2u);
  EXPECT_EQ(runs, 3); // one to warm up
  // 8 tokens of prompts in batches of at most 5 rows, then 3 steps of both sequences.
  ASSERT_EQ(recorder.batches.size(), 3 * 5u);
  for (size_t run = 0; run < 3; ++run) {
    const Batch *batch = &recorder.batches[run * 5];
    EXPECT_EQ(batch[0].rows(), 5);
    EXPECT_EQ(batch[0].selectedRows, (std::vector<int32_t>{3}));
    EXPECT_EQ(batch[1].rows(), 3);
    EXPECT_EQ(batch[1].selectedRows, (std::vector<int32_t>{2}));
    EXPECT_EQ(batch[1].sequences[0].positionBegin, 1);
    EXPECT_EQ(batch[1].sequences[0].slotBegin, 8); // 7 slots a sequence
    for (int step = 0; step < 3; ++step) {
      EXPECT_EQ(batch[2 + step].tokens, (std::vector<int32_t>{2, 2}));
      EXPECT_EQ(batch[2 + step].selectedRows, (std::vector<int32_t>{0, 1}));
      for (int s = 0; s < 2; ++s) {
        const Sequence &sequence = batch[2 + step].sequences[size_t(s)];
        EXPECT_EQ(sequence.positionBegin, 4 + step);
        EXPECT_EQ(sequence.slotBegin, 7 * s + 4 + step);
        ASSERT_EQ(sequence.context.size(), 1u);
        EXPECT_EQ(sequence.context[0].begin, 7 * s);
        EXPECT_EQ(sequence.context[0].count, 4 + step);
      }
    }
    EXPECT_EQ(batch[0].tokens, recorder.batches[0].tokens); // the same prompts
  }
}

TEST(Bench, SaysWhatDoesNotFit) {
  Recorder recorder;
  auto failure = [&](const BenchOptions &options) {
    return std::string(MeasureSpeed(recorder.model, 4, options).status().message());
  };
  EXPECT_EQ(failure({.prompt = 15, .decode = 6}),
            "--prompt and --decode make 21 tokens, more than the context of 20");
  EXPECT_EQ(failure({.prompt = 1, .decode = 1, .batch = 6}),
            "--batch 6 is more than the 5 sequences that the model computes at once");
  recorder.model.limits.cacheSlots = 30;
  EXPECT_EQ(failure({.prompt = 10, .decode = 6, .batch = 2}),
            "--batch 2 needs 32 slots of the cache, which has 30");
  EXPECT_EQ(failure({.repeats = 0}), "--prompt, --decode, --batch and --repeats must be 1 or more");
  EXPECT_TRUE(recorder.batches.empty());
}

TEST(Bench, CountsTheWeightsOfAStep) {
  Schedule schedule;
  WeightDecl table, matrix, packed;
  table.dtype = DType::F16;
  table.shape = {100, 8};
  matrix.dtype = DType::F32;
  matrix.shape = {16, 8};
  packed.dtype = DType::Packed;
  packed.shape = {64, 128};
  packed.packed = {.bits = 4, .group = 64, .symmetric = true, .scaleType = DType::F16};
  schedule.weights = {table, matrix, packed};
  auto weight = [](int32_t index) { return Operand{Operand::Kind::Weight, index}; };
  Operand buffer{Operand::Kind::Buffer, 0};
  EntryPoint entry;
  entry.calls = {{"embedding", {buffer, weight(0)}, {}, {}},
                 {"linear", {buffer, weight(1), weight(2)}, {}, {}},
                 {"linear", {buffer, weight(0)}, {}, {}}};
  int64_t row = 8 * 2, whole = 100 * 8 * 2 + 16 * 8 * 4 + 64 * 128 / 2 + 64 * 2 * 2;
  EXPECT_EQ(WeightBytesRead(schedule, entry, 1), whole + row);
  EXPECT_EQ(WeightBytesRead(schedule, entry, 3), whole + 3 * row);
}

TEST(Bench, Spread) {
  Spread odd = SpreadOf({3, 1, 2}), even = SpreadOf({4, 1, 2, 9}), one = SpreadOf({7});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(even.median, 3);
  EXPECT_EQ(even.least, 1);
  EXPECT_EQ(even.most, 9);
  EXPECT_EQ(one.median, 7);
}

} // namespace
} // namespace compressc
