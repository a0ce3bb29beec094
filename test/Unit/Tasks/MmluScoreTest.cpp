#include "SmallTokenizer.h"
#include "runtime/tasks/mmlu_prompt.h"
#include "runtime/tasks/questions.h"
#include "runtime/tasks/runner.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

const std::vector<std::string> prompts = {
    "Q?\nAnswer:", "Longer Q?\nAnswer:", "R\nAnswer:", "S\nAnswer:", "T\nAnswer:"};

ModelInfo makeInfo(int64_t contextLength = 100) {
  ModelInfo info;
  info.vocabularySize = 120;
  info.contextLength = contextLength;
  return info;
}

TEST(MmluScore, EncodesPromptsAndFindsTheAnswers) {
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer();
  ASSERT_NE(tokenizer, nullptr);
  ThreadPool pool(2);
  StatusOr<Work> encoded = EncodePrompts(*tokenizer, makeInfo(), prompts, pool);
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  EXPECT_EQ(encoded->answers, (std::vector<int32_t>{96, 97, 98, 99}));
  ASSERT_EQ(encoded->requests.size(), prompts.size());
  int64_t total = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(encoded->requests[i].tokens, tokenizer->encode(prompts[i]));
    EXPECT_EQ(encoded->requests[i].wanted,
              std::vector<int32_t>{int32_t(encoded->requests[i].tokens.size()) - 1});
    total += int64_t(encoded->requests[i].tokens.size());
  }
  EXPECT_EQ(encoded->promptTokens(), total);
  EXPECT_EQ(encoded->truncated, 0);
}

TEST(MmluScore, CutsLongPromptsOnTheLeft) {
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer();
  ASSERT_NE(tokenizer, nullptr);
  ThreadPool pool(1);
  std::vector<int32_t> whole = tokenizer->encode(prompts[1]);
  int64_t length = int64_t(whole.size()) - 3;
  StatusOr<Work> encoded = EncodePrompts(*tokenizer, makeInfo(length), prompts, pool);
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  EXPECT_EQ(encoded->truncated, 1);
  EXPECT_EQ(encoded->requests[1].tokens, std::vector<int32_t>(whole.begin() + 3, whole.end()));
  EXPECT_EQ(encoded->requests[1].wanted, std::vector<int32_t>{int32_t(length) - 1});
}

TEST(MmluScore, RefusesATokenizerThatSplitsAnAnswer) {
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer('D');
  ASSERT_NE(tokenizer, nullptr);
  ThreadPool pool(1);
  StatusOr<Work> encoded = EncodePrompts(*tokenizer, makeInfo(), prompts, pool);
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().message().substr(0, 56),
            "the tokenizer does not continue prompt 0 with \" D\" as ex");
}

TEST(MmluScore, RefusesAnAnswerTokenBeyondTheLogits) {
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer();
  ASSERT_NE(tokenizer, nullptr);
  ThreadPool pool(1);
  ModelInfo info = makeInfo();
  info.vocabularySize = 98;
  StatusOr<Work> encoded = EncodePrompts(*tokenizer, info, prompts, pool);
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().message(),
            "the tokenizer gives \" C\" the id 98, but the model has 98 logits");
}

Work makeEncoded() {
  Work encoded;
  encoded.answers = {1, 3, 5, 7};
  encoded.requests = {{{4, 2}, {1}}, {{6}, {0}}};
  encoded.items = {0, 1};
  return encoded;
}

TEST(MmluScore, PredictsTheFirstOfTheGreatestAnswers) {
  Scorer scorer = [&](const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                      const std::function<void(const PlannedBatch &)> &onBatch) -> Status {
    EXPECT_EQ(requests.size(), 2u);
    EXPECT_EQ(targets.count, 4);
    EXPECT_FALSE(targets.alone);
    for (int32_t request : {0, 1}) {
      absl::Span<const int32_t> tokens = targets.tokens(request, 0);
      EXPECT_EQ(std::vector<int32_t>(tokens.begin(), tokens.end()), (std::vector<int32_t>{1, 3, 5, 7}));
    }
    COMPRESSC_RETURN_IF_ERROR(onScore(1, 0, {-4, -4, -5, -1}));
    COMPRESSC_RETURN_IF_ERROR(onScore(0, 1, {-3, -2, -2, -5}));
    PlannedBatch batch;
    batch.batch.tokens = {4, 2, 6};
    onBatch(batch);
    return absl::OkStatus();
  };
  std::vector<size_t> order;
  std::vector<std::vector<double>> logprobs(2);
  WorkCallbacks callbacks;
  callbacks.onItem = [&](size_t i, absl::Span<const double> values) {
    order.push_back(i);
    logprobs[i].assign(values.begin(), values.end());
    return absl::OkStatus();
  };
  StatusOr<int64_t> computed = ScoreWork(scorer, makeEncoded(), callbacks);
  ASSERT_TRUE(computed.ok()) << computed.status();
  EXPECT_EQ(*computed, 3);
  EXPECT_EQ(order, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(Greatest(logprobs[0]), 1);
  EXPECT_EQ(Greatest(logprobs[1]), 3);
  EXPECT_EQ(logprobs[0], (std::vector<double>{-3, -2, -2, -5}));
}

TEST(MmluScore, AsksForTheAnswersAloneWhenItNormalisesOverThem) {
  Scorer scorer = [&](const std::vector<Request> &, const Targets &targets, const ScoreCallback &onScore,
                      const std::function<void(const PlannedBatch &)> &) -> Status {
    EXPECT_TRUE(targets.alone);
    COMPRESSC_RETURN_IF_ERROR(onScore(0, 1, {-1, -2, -2, -3}));
    return onScore(1, 0, {-1, -2, -2, -3});
  };
  Work work = makeEncoded();
  work.alone = true;
  EXPECT_TRUE(ScoreWork(scorer, work, {}).ok());
}

TEST(MmluScore, PassesErrorsOnAndMissesNoAnswer) {
  Scorer broken = [&](const std::vector<Request> &, const Targets &, const ScoreCallback &,
                      const std::function<void(const PlannedBatch &)> &) { return Invalid("broken"); };
  EXPECT_EQ(ScoreWork(broken, makeEncoded(), {}).status().message(), "broken");
  Scorer silent = [](const std::vector<Request> &, const Targets &, const ScoreCallback &,
                     const std::function<void(const PlannedBatch &)> &) { return absl::OkStatus(); };
  EXPECT_FALSE(ScoreWork(silent, makeEncoded(), {}).ok());
}

TEST(ScoreWork, GathersAnItemFromItsRequestsAndLeavesKnownOnesOut) {
  Work work;
  work.requests = {{{1, 2, 3}, {1, 2}}, {{1, 2}, {1}}, {{7}, {0}}, {{8}, {0}}};
  work.items = {0, 0, 1, 2};
  work.targets = {{3, 4}, {5}, {6}, {9}};
  EXPECT_EQ(work.count(), 3u);
  EXPECT_EQ(work.sizes(), (std::vector<size_t>{3, 1, 1}));
  EXPECT_EQ(work.promptTokens(), 7);
  Scorer scorer = [&](const std::vector<Request> &, const Targets &targets, const ScoreCallback &onScore,
                      const std::function<void(const PlannedBatch &)> &) -> Status {
    EXPECT_EQ(targets.count, 1);
    EXPECT_TRUE(targets.known(2, 0));
    EXPECT_FALSE(targets.known(1, 1));
    for (auto [request, position] : {std::pair(2, 0), std::pair(1, 1), std::pair(3, 0), std::pair(0, 2), std::pair(0, 1)})
      COMPRESSC_RETURN_IF_ERROR(onScore(request, position, {-double(targets.tokens(request, position)[0])}));
    return absl::OkStatus();
  };
  std::vector<size_t> order;
  std::vector<std::vector<double>> found(3);
  WorkCallbacks callbacks;
  callbacks.onItem = [&](size_t i, absl::Span<const double> values) {
    order.push_back(i);
    found[i].assign(values.begin(), values.end());
    return absl::OkStatus();
  };
  ASSERT_TRUE(ScoreWork(scorer, work, callbacks, {{1, {-6}}}).ok());
  EXPECT_EQ(order, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(found, (std::vector<std::vector<double>>{{-3, -4, -5}, {}, {-9}}));
}

} // namespace
} // namespace compressc
