#include "runtime/tasks/generate.h"
#include "SmallTokenizer.h"
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace compressc {
namespace {

/// A model whose logits are a function of all tokens before, as the cache's slots have them. The
/// greatest is that of their sum mod 7.
class SumModel {
public:
  StatusOr<Tensor> operator()(const Batch &batch) {
    int32_t row = 0;
    std::set<int32_t> written;
    std::vector<int32_t> sums;
    for (const Sequence &sequence : batch.sequences) { // all rows are written before any is read
      EXPECT_EQ(sequence.rowBegin, row);
      for (int32_t i = 0; i < sequence.rowCount; ++i, ++row) {
        int32_t slot = sequence.slotBegin + i;
        EXPECT_TRUE(slot >= 0 && slot < slots && written.insert(slot).second) << slot;
        cache[slot] = batch.tokens.at(size_t(row));
      }
    }
    EXPECT_EQ(row, int32_t(batch.rows()));
    for (const Sequence &sequence : batch.sequences) {
      int32_t sum = 0, length = 0;
      for (const SlotRange &range : sequence.context)
        for (int32_t i = 0; i < range.count; ++i, ++length)
          sum += cache.at(range.begin + i);
      EXPECT_EQ(sequence.positionBegin, length);
      for (int32_t i = 0; i < sequence.rowCount; ++i)
        sums.push_back(sum += cache.at(sequence.slotBegin + i));
    }
    sizes.push_back(batch.rows());
    sequences.push_back(int64_t(batch.sequences.size()));
    logits.clear();
    for (int32_t selected : batch.selectedRows)
      for (int32_t token = 0; token < 7; ++token)
        logits.push_back(bad ? NAN : float((token - sums[size_t(selected)] % 7 + 7) % 7) * -0.3f);
    Tensor tensor;
    tensor.shape = {int64_t(batch.selectedRows.size()), 7};
    tensor.data = logits.data();
    return tensor;
  }

  int32_t slots = 100;
  std::vector<int64_t> sizes, sequences; // of each batch
  bool bad = false;

private:
  std::map<int32_t, int32_t> cache;
  std::vector<float> logits;
};

struct Tiny {
  SumModel sums;
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer(); // 0 is "!", 1 is "\"", 2 is "#" ...
  GenerationModel model;
  Tiny() {
    model.forward = [this](const Batch &batch) { return sums(batch); };
    model.tokenizer = tokenizer.get();
    model.limits = {.maxTokens = 8, .maxSelected = 8, .cacheSlots = 100};
    model.contextLength = 100;
  }
  Generation one(const std::vector<int32_t> &prompt, const GenerationOptions &options,
                 const GenerationCallbacks &callbacks = {}) {
    StatusOr<std::vector<Generation>> results = Generate(model, {prompt}, options, callbacks);
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->at(0) : Generation();
  }
};

using Tokens = std::vector<int32_t>;

TEST(Generate, PrefillsInPiecesThenDecodesOneByOne) {
  Tiny tiny;
  tiny.model.limits.maxTokens = 2;
  Generation result = tiny.one({1, 2, 3, 4, 5}, {.maxTokens = 3});
  EXPECT_EQ(result.tokens, (Tokens{1, 2, 4})); // 15, 16, 18 mod 7
  EXPECT_EQ(result.text, "\"#%");
  EXPECT_EQ(result.finish, Finish::Length);
  EXPECT_EQ(result.decodeSteps, 2);
  EXPECT_EQ(tiny.sums.sizes, (std::vector<int64_t>{2, 2, 1, 1, 1}));
}

TEST(Generate, StopsAtAnEndTokenAndLeavesItOut) {
  Tiny tiny;
  tiny.model.endTokens = {6, 4};
  Generation result = tiny.one({1, 2, 3, 4, 5}, {.maxTokens = 9});
  EXPECT_EQ(result.tokens, (Tokens{1, 2}));
  EXPECT_EQ(result.text, "\"#");
  EXPECT_EQ(result.finish, Finish::EndToken);
}

TEST(Generate, StopsWhenTheContextIsFull) {
  Tiny tiny;
  tiny.model.contextLength = tiny.sums.slots = 4;
  Generation result = tiny.one({1, 2, 3}, {.maxTokens = 9});
  EXPECT_EQ(result.tokens.size(), 2u); // the last one is never computed itself
  EXPECT_EQ(result.finish, Finish::Context);
  EXPECT_EQ(tiny.one({1, 2, 3, 4}, {.maxTokens = 9}).tokens.size(), 1u);
}

TEST(Generate, StopsBeforeAStopString) {
  Tiny tiny;
  std::string told;
  GenerationCallbacks callbacks;
  callbacks.onText = [&](size_t, std::string_view text) {
    told += text;
    told += '|';
    return true;
  };
  // Without stop strings: "\"#%!%!%!..."
  Generation result = tiny.one({1, 2, 3, 4, 5}, {.maxTokens = 9, .stops = {"x", "#%"}}, callbacks);
  EXPECT_EQ(result.tokens, (Tokens{1, 2, 4}));
  EXPECT_EQ(result.text, "\"");
  EXPECT_EQ(result.finish, Finish::StopString);
  EXPECT_EQ(told, "\"|");
  // What was held back appears at the end.
  told.clear();
  result = tiny.one({1, 2, 3, 4, 5}, {.maxTokens = 3, .stops = {"#%x"}}, callbacks);
  EXPECT_EQ(result.text, "\"#%");
  EXPECT_EQ(told, "\"|#%|");
}

TEST(Generate, NothingWanted) {
  Tiny tiny;
  Generation result = tiny.one({1}, {.maxTokens = 0});
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(result.finish, Finish::Length);
  EXPECT_TRUE(tiny.sums.sizes.empty());
}

TEST(Generate, ACallerMayCancelOnePrompt) {
  Tiny tiny;
  GenerationCallbacks callbacks;
  callbacks.onText = [](size_t prompt, std::string_view) { return prompt != 0; };
  StatusOr<std::vector<Generation>> results =
      Generate(tiny.model, {{1, 2}, {3}}, {.maxTokens = 3}, callbacks);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].finish, Finish::Cancelled);
  EXPECT_EQ((*results)[0].tokens.size(), 1u);
  EXPECT_EQ((*results)[1].finish, Finish::Length);
  EXPECT_EQ((*results)[1].tokens.size(), 3u);
}

std::vector<Tokens> manyPrompts() {
  std::vector<Tokens> prompts;
  for (int32_t i = 0; i < 13; ++i) {
    prompts.emplace_back();
    for (int32_t k = 0; k <= i * 5 % 17; ++k)
      prompts.back().push_back((i * i + 3 * k) % 7);
  }
  return prompts;
}

TEST(Generate, ResultsDoNotDependOnTheBatch) {
  Tiny tiny;
  tiny.model.endTokens = {6};
  std::vector<Tokens> prompts = manyPrompts();
  for (double temperature : {0.0, 1.5}) {
    GenerationOptions options = {.maxTokens = 12,
                                 .sampling = {.temperature = temperature, .seed = 5}};
    options.batch = 1;
    StatusOr<std::vector<Generation>> alone = Generate(tiny.model, prompts, options);
    ASSERT_TRUE(alone.ok()) << alone.status();
    std::map<Finish, int> finishes;
    for (const Generation &result : *alone)
      ++finishes[result.finish];
    EXPECT_GT(finishes[Finish::EndToken], 1); // places are taken over at different times
    EXPECT_GT(finishes[Finish::Length], 0);
    struct Case {
      int64_t batch, rows, selected, slots;
    };
    for (Case item : {Case{2, 8, 8, 100}, Case{13, 8, 8, 100}, Case{5, 3, 8, 100},
                      Case{50, 100, 100, 1000}, Case{4, 100, 2, 100}, Case{9, 20, 20, 31}}) {
      tiny.model.limits = {item.rows, item.selected, item.slots};
      tiny.sums.slots = int32_t(item.slots);
      tiny.sums.sequences.clear();
      options.batch = item.batch;
      std::vector<size_t> finished;
      GenerationCallbacks callbacks;
      callbacks.onFinish = [&](size_t prompt, const Generation &) { finished.push_back(prompt); };
      StatusOr<std::vector<Generation>> together =
          Generate(tiny.model, prompts, options, callbacks);
      ASSERT_TRUE(together.ok()) << together.status();
      EXPECT_EQ(finished.size(), prompts.size());
      for (size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_EQ((*together)[i].tokens, (*alone)[i].tokens) << i;
        EXPECT_EQ((*together)[i].text, (*alone)[i].text) << i;
        EXPECT_EQ((*together)[i].finish, (*alone)[i].finish) << i;
      }
      // They were really computed together.
      EXPECT_GT(*std::max_element(tiny.sums.sequences.begin(), tiny.sums.sequences.end()), 1);
    }
  }
}

TEST(Generate, FullBatchesTakeFewSteps) {
  Tiny tiny;
  tiny.model.limits = {.maxTokens = 64, .maxSelected = 64, .cacheSlots = 100};
  ASSERT_TRUE(Generate(tiny.model, std::vector<Tokens>(8, {1, 2}), {.maxTokens = 5}).ok());
  EXPECT_EQ(tiny.sums.sizes, (std::vector<int64_t>{16, 8, 8, 8, 8}));
}

TEST(Generate, ThePromptsIndexIsPartOfTheKey) {
  Tiny tiny;
  StatusOr<std::vector<Generation>> results =
      Generate(tiny.model, std::vector<Tokens>(2, {1, 2}),
               {.maxTokens = 30, .sampling = {.temperature = 3, .seed = 1}});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_NE((*results)[0].tokens, (*results)[1].tokens);
  EXPECT_EQ(tiny.one({1, 2}, {.maxTokens = 30, .sampling = {.temperature = 3, .seed = 1}}).tokens,
            (*results)[0].tokens);
}

TEST(Generate, SaysWhatIsWrong) {
  Tiny tiny;
  tiny.model.contextLength = 4;
  auto failure = [&](const std::vector<Tokens> &prompts, const GenerationOptions &options = {}) {
    return std::string(Generate(tiny.model, prompts, options).status().message());
  };
  EXPECT_EQ(failure({{1}, {}}), "prompt 1 has no tokens");
  EXPECT_EQ(failure({{1, 2, 3, 4, 5}}), "prompt 0 has 5 tokens, more than the context of 4");
  EXPECT_EQ(failure({{1}}, {.maxTokens = -1}), "the tokens to generate must be 0 or more, not -1");
  EXPECT_EQ(failure({{1}}, {.batch = 0}), "the batch must be 1 prompt or more, not 0");
  EXPECT_EQ(failure({{1}}, {.stops = {""}}), "a stop string must be UTF-8 text and not empty");
  EXPECT_EQ(failure({{1}}, {.sampling = {.topP = 2}}), "top-p must be over 0 and at most 1, not 2");
  EXPECT_TRUE(tiny.sums.sizes.empty());
  tiny.sums.bad = true;
  EXPECT_EQ(failure({{1}}), "the model's logits are not finite");
}

} // namespace
} // namespace compressc
