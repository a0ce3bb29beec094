#include "runtime/tasks/generate.h"
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

/// A model whose next token is (sum of all tokens before, as the cache has them) mod 7.
class CountingModel {
public:
  StatusOr<Tensor> operator()(const Batch &batch) {
    EXPECT_EQ(batch.sequences.size(), 1u);
    const Sequence &sequence = batch.sequences[0];
    EXPECT_EQ(sequence.rowBegin, 0);
    EXPECT_EQ(sequence.rowCount, batch.rows());
    EXPECT_EQ(sequence.positionBegin, int32_t(cache.size()));
    EXPECT_EQ(sequence.slotBegin, int32_t(cache.size()));
    int32_t context = 0;
    for (const SlotRange &range : sequence.context) {
      EXPECT_EQ(range.begin, context);
      context += range.count;
    }
    EXPECT_EQ(context, int32_t(cache.size()));
    cache.insert(cache.end(), batch.tokens.begin(), batch.tokens.end());
    sizes.push_back(batch.rows());
    int32_t sum = 0;
    for (int32_t token : cache)
      sum += token;
    logits.assign(7, 0);
    logits[sum % 7] = bad ? NAN : 1;
    if (bad)
      logits.assign(7, NAN);
    Tensor tensor;
    tensor.shape = {int64_t(batch.selectedRows.size()), 7};
    tensor.data = logits.data();
    return tensor;
  }
  std::vector<int32_t> cache;
  std::vector<int64_t> sizes;
  std::vector<float> logits;
  bool bad = false;
};

TEST(Generate, PrefillsInPiecesThenDecodesOneByOne) {
  CountingModel model;
  StatusOr<Generation> result = Generate(std::ref(model), {1, 2, 3, 4, 5}, {},
                                         {.maxTokens = 3, .rowsPerBatch = 2, .contextLength = 100});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tokens, (std::vector<int32_t>{1, 2, 4})); // 15, 16, 18 mod 7
  EXPECT_EQ(result->stop, "length");
  EXPECT_EQ(model.sizes, (std::vector<int64_t>{2, 2, 1, 1, 1}));
  EXPECT_EQ(result->decodeSteps, 2);
}

TEST(Generate, StopsAtAnEndTokenAndLeavesItOut) {
  CountingModel model;
  std::vector<size_t> lengths;
  StatusOr<Generation> result =
      Generate(std::ref(model), {1, 2, 3, 4, 5}, {6, 4},
               {.maxTokens = 9, .rowsPerBatch = 8, .contextLength = 100},
               [&](const std::vector<int32_t> &tokens) { lengths.push_back(tokens.size()); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tokens, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(result->stop, "end token");
  EXPECT_EQ(lengths, (std::vector<size_t>{1, 2}));
}

TEST(Generate, StopsWhenTheContextIsFull) {
  CountingModel model;
  StatusOr<Generation> result = Generate(std::ref(model), {1, 2, 3}, {},
                                         {.maxTokens = 9, .rowsPerBatch = 8, .contextLength = 4});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tokens.size(), 2u); // the last one is never computed itself
  EXPECT_EQ(result->stop, "context");
  EXPECT_EQ(model.cache.size(), 4u);
}

TEST(Generate, NothingWanted) {
  CountingModel model;
  StatusOr<Generation> result =
      Generate(std::ref(model), {1}, {}, {.maxTokens = 0, .rowsPerBatch = 8, .contextLength = 4});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->tokens.empty());
  EXPECT_EQ(result->stop, "length");
}

TEST(Generate, SaysWhatIsWrong) {
  CountingModel model;
  GenerationLimits limits = {.maxTokens = 4, .rowsPerBatch = 8, .contextLength = 4};
  EXPECT_EQ(Generate(std::ref(model), {}, {}, limits).status().message(),
            "the prompt has no tokens; pass a longer --prompt");
  EXPECT_EQ(Generate(std::ref(model), {1, 2, 3, 4, 5}, {}, limits).status().message(),
            "the prompt has 5 tokens, more than the context of 4");
  model.bad = true;
  EXPECT_EQ(Generate(std::ref(model), {1}, {}, limits).status().message(),
            "the model's logits are not finite");
}

} // namespace
} // namespace compressc
