#include "SmallTokenizer.h"
#include "TaskRun.h"
#include <cmath>

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

/// The text that the small tokenizer gives these ids.
std::string textOf(const std::vector<int32_t> &ids) {
  std::string text;
  for (int32_t id : ids)
    text += char('!' + id);
  return text;
}

ModelInfo makeInfo() {
  ModelInfo info;
  info.vocabularySize = vocabulary;
  info.contextLength = 100;
  info.weightBytes = 100;
  info.originalWeightBytes = 400;
  return info;
}

struct PerplexityResult {
  int64_t windows = 0, context = 0, tokens = 0;
  double nll = 0, perplexity = 0;
  nlohmann::json json;
};

StatusOr<PerplexityResult> measure(const Scorer &score, const Tokenizer &tokenizer, const std::vector<int32_t> &ids,
                                   std::vector<std::string> arguments, const std::function<void()> &onToken = {}) {
  TemporaryDirectory directory;
  arguments.push_back("--data=" + directory.write("text", textOf(ids)));
  COMPRESSC_ASSIGN_OR_RETURN(TaskRun run,
                             RunTask(*MakePerplexity(), arguments, tokenizer, makeInfo(), score, {}, onToken));
  const nlohmann::json &json = run.json;
  return PerplexityResult{json["windows"].get<int64_t>(), json["context"].get<int64_t>(),
                          json["tokens"].get<int64_t>(),  json["nll"].get<double>(),
                          json["perplexity"].get<double>(), json};
}

StatusOr<PerplexityResult> measure(const Scorer &score, const std::vector<int32_t> &ids, int64_t context,
                                   int64_t windows, const std::function<void()> &onToken = {}) {
  return measure(score, *MakeSmallTokenizer(), ids,
                 {absl::StrCat("--context=", context), absl::StrCat("--windows=", windows)}, onToken);
}

TEST(Perplexity, CutsWindowsAndPredictsAllButTheFirstToken) {
  std::vector<int32_t> ids = {0, 1, 2, 4, 0, 3, 1, 1};
  std::vector<Request> seen;
  int64_t calls = 0;
  StatusOr<PerplexityResult> result =
      measure(makeScorer(&seen), ids, 3, 0, [&] { ++calls; });
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
  EXPECT_NEAR(result->perplexity, std::exp((4 * norm - 6) / 4), 1e-6);
}

TEST(Perplexity, TakesTheFirstWindowsAskedFor) {
  std::vector<Request> seen;
  StatusOr<PerplexityResult> result =
      measure(makeScorer(&seen), {0, 1, 2, 3, 4, 0}, 2, 1);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(result->tokens, 1);
}

TEST(Perplexity, SaysWhatIsWrong) {
  std::vector<Request> seen;
  auto failure = [&](std::vector<int32_t> ids, int64_t context, int64_t windows) {
    return std::string(
        measure(makeScorer(&seen), ids, context, windows).status().message());
  };
  EXPECT_EQ(failure({0, 1, 2, 3}, 2, 3),
            "the text has 4 tokens, enough for 2 windows of 2; pass a smaller --windows or "
            "--context, or a longer text");
  EXPECT_EQ(failure({0}, 2, 0).substr(0, 43), "the text has 1 tokens, enough for 0 windows");
  EXPECT_EQ(failure({0, 5}, 2, 0), "the text has token 5, but the model has 5 logits");
  EXPECT_EQ(failure({0, 1}, 1, 0), "--context must be at least 2 tokens");
}

TEST(Perplexity, WritesItsKeys) {
  std::vector<Request> seen;
  StatusOr<PerplexityResult> result = measure(makeScorer(&seen), {0, 1, 2, 4, 0, 3}, 3, 0);
  ASSERT_TRUE(result.ok()) << result.status();
  const nlohmann::json &json = result->json;
  EXPECT_EQ(json["task"], "perplexity");
  EXPECT_EQ(json["windows"], 2);
  EXPECT_EQ(json["context"], 3);
  EXPECT_EQ(json["tokens"], 4);
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(json["nll"].get<double>() / 4), 1e-12);
  EXPECT_EQ(json["weight_bytes"], 100);
  EXPECT_EQ(json["original_weight_bytes"], 400);
  EXPECT_EQ(json["seconds"], 1.5);
  EXPECT_FALSE(json.contains("beginning_token"));
}

TEST(Perplexity, MayBeginWindowsWithTheBeginningToken) {
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer('E', 4);
  ASSERT_NE(tokenizer, nullptr);
  std::vector<Request> seen;
  StatusOr<PerplexityResult> result =
      measure(makeScorer(&seen), *tokenizer, {0, 1, 2, 3, 0, 3, 1, 1}, {"--context=4", "--bos"});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(seen.size(), 2u); // 8 tokens are two pieces of 3
  EXPECT_EQ(seen[0].tokens, (std::vector<int32_t>{4, 0, 1, 2}));
  EXPECT_EQ(seen[1].tokens, (std::vector<int32_t>{4, 3, 0, 3}));
  EXPECT_EQ(seen[0].wanted, (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(result->tokens, 6);
  EXPECT_EQ(result->json["beginning_token"], 4);
  // 4->0, 0->1 and 1->2 have logit 2; so has none of 4->3, 3->0, 0->3.
  double norm = std::log(std::exp(2.0) + 4);
  EXPECT_NEAR(result->nll, 3 * (norm - 2) + 3 * norm, 1e-6);
  EXPECT_EQ(measure(makeScorer(&seen), *MakeSmallTokenizer(), {0, 1, 2}, {"--context=2", "--bos"}).status().message(),
            "--bos: the model's tokenizer puts no beginning token before a text; leave --bos out");
}

} // namespace
} // namespace compressc
