#include "runtime/tasks/perplexity.h"
#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

constexpr int64_t vocabulary = 5;

/// Latest window first; the token behind the position's has logit 2, the others 0.
Scorer makeScorer(std::vector<Request> *seen) {
  return [seen](const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
                const std::function<void(const PlannedBatch &)> &) -> Status {
    EXPECT_EQ(targets.count, 1);
    EXPECT_FALSE(targets.alone);
    *seen = requests;
    double norm = std::log(std::exp(2.0) + double(vocabulary - 1));
    for (size_t r = requests.size(); r-- > 0;)
      for (int32_t position : requests[r].wanted) {
        int32_t target = targets.tokens(int32_t(r), position)[0];
        bool next = target == (requests[r].tokens[size_t(position)] + 1) % vocabulary;
        COMPRESSC_RETURN_IF_ERROR(onScore(int32_t(r), position, {(next ? 2.0 : 0.0) - norm}));
      }
    return absl::OkStatus();
  };
}

TEST(Perplexity, CutsWindowsAndPredictsAllButTheFirstToken) {
  std::vector<int32_t> ids = {0, 1, 2, 4, 0, 3, 1, 1};
  std::vector<Request> seen;
  int64_t calls = 0;
  StatusOr<PerplexityResult> result =
      MeasurePerplexity(makeScorer(&seen), vocabulary, ids, 3, 0, [&] { ++calls; });
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].tokens, (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(seen[1].tokens, (std::vector<int32_t>{4, 0, 3}));
  EXPECT_EQ(seen[1].wanted, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(result->windows, 2);
  EXPECT_EQ(result->tokens, 4);
  EXPECT_EQ(calls, 4);
  // 0->1, 1->2 and 4->0 have logit 2, 0->3 has logit 0.
  double norm = std::log(std::exp(2.0) + 4);
  EXPECT_NEAR(result->nll, 3 * (norm - 2) + norm, 1e-6);
  EXPECT_NEAR(result->perplexity(), std::exp((4 * norm - 6) / 4), 1e-6);
}

TEST(Perplexity, TakesTheFirstWindowsAskedFor) {
  std::vector<Request> seen;
  StatusOr<PerplexityResult> result =
      MeasurePerplexity(makeScorer(&seen), vocabulary, {0, 1, 2, 3, 4, 0}, 2, 1);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(result->tokens, 1);
}

TEST(Perplexity, SaysWhatIsWrong) {
  std::vector<Request> seen;
  auto failure = [&](std::vector<int32_t> ids, int64_t context, int64_t windows) {
    return std::string(
        MeasurePerplexity(makeScorer(&seen), vocabulary, ids, context, windows).status().message());
  };
  EXPECT_EQ(failure({0, 1, 2, 3}, 2, 3),
            "the text has 4 tokens, enough for 2 windows of 2; pass a smaller --windows or "
            "--context, or a longer text");
  EXPECT_EQ(failure({0}, 2, 0).substr(0, 43), "the text has 1 tokens, enough for 0 windows");
  EXPECT_EQ(failure({0, 5}, 2, 0), "the text has token 5, but the model has 5 logits");
  EXPECT_EQ(failure({0, 1}, 1, 0), "--context must be at least 2 tokens");
}

TEST(Perplexity, WritesItsKeys) {
  ModelInfo info;
  info.weightBytes = 100;
  info.originalWeightBytes = 400;
  nlohmann::json json =
      nlohmann::json::parse(PerplexityJson({2, 3, 4, 8}, info, 1.5), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["windows"], 2);
  EXPECT_EQ(json["context"], 3);
  EXPECT_EQ(json["tokens"], 4);
  EXPECT_EQ(json["nll"], 8.0);
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(2.0), 1e-12);
  EXPECT_EQ(json["weight_bytes"], 100);
  EXPECT_EQ(json["original_weight_bytes"], 400);
  EXPECT_EQ(json["seconds"], 1.5);
}

} // namespace
} // namespace compressc
