#include "runtime/tasks/sampling.h"
#include "compressc/runtime/safetensors.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {
namespace {

/// By the definition: probabilities of the tokens by id.
std::vector<double> reference(const std::vector<float> &logits, const Sampling &sampling) {
  size_t n = logits.size();
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<double> weights(n);
  for (size_t i = 0; i < n; ++i)
    weights[i] = std::exp(double(logits[i]) / sampling.temperature);
  if (sampling.topK > 0 && size_t(sampling.topK) < n)
    for (size_t i = 0; i < n; ++i)
      if (logits[i] < logits[order[size_t(sampling.topK) - 1]])
        weights[i] = 0;
  auto normalise = [&] {
    double sum = 0;
    for (double weight : weights)
      sum += weight;
    for (double &weight : weights)
      weight /= sum;
  };
  normalise();
  double before = 0;
  for (size_t token : order) {
    double probability = weights[token];
    if (before >= sampling.topP)
      weights[token] = 0;
    before += probability;
  }
  normalise();
  return weights;
}

std::vector<double> byToken(const std::vector<float> &logits, const Sampling &sampling) {
  StatusOr<std::vector<TokenProbability>> tokens = SamplingDistribution(logits, sampling);
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  std::vector<double> result(logits.size(), 0);
  if (tokens.ok())
    for (const TokenProbability &token : *tokens)
      result[size_t(token.token)] += token.probability;
  return result;
}

const std::vector<float> logits = {0.5f, 2, -1, 2, 0.25f, 3, -4, 1, 2.5f, -0.5f};

TEST(Sampling, FollowsTheDefinition) {
  for (double temperature : {0.3, 1.0, 1.7})
    for (int64_t topK : {0, 1, 3, 4, 9, 10, 50}) // the third and the fourth greatest are equal
      for (double topP : {1e-9, 0.2, 0.6, 0.9, 0.999, 1.0}) {
        Sampling sampling = {.temperature = temperature, .topK = topK, .topP = topP};
        std::vector<double> ours = byToken(logits, sampling), wanted = reference(logits, sampling);
        for (size_t i = 0; i < ours.size(); ++i)
          EXPECT_NEAR(ours[i], wanted[i], 1e-12) << temperature << " " << topK << " " << topP;
      }
}

TEST(Sampling, DrawsFromWhatTransformersDrawsFrom) {
  StatusOr<std::string> text =
      ReadTextFile(COMPRESSC_TEST_DIR "/Inputs/models/generation.golden.json");
  ASSERT_TRUE(text.ok()) << text.status();
  nlohmann::json cases = nlohmann::json::parse(*text)["sampling"];
  ASSERT_GE(cases.size(), 8u);
  for (const nlohmann::json &item : cases) {
    std::vector<float> values;
    for (const nlohmann::json &logit : item["logits"])
      values.push_back(logit.is_null() ? -INFINITY : logit.get<float>());
    std::vector<double> ours = byToken(values, {.temperature = item["temperature"].get<double>(),
                                                .topK = item["top_k"].get<int64_t>(),
                                                .topP = item["top_p"].get<double>()});
    for (size_t i = 0; i < ours.size(); ++i) {
      double wanted = item["probabilities"][i].get<double>();
      EXPECT_NEAR(ours[i], wanted, 2e-6) << item["temperature"] << item["top_k"] << item["top_p"];
      EXPECT_EQ(ours[i] == 0, wanted == 0);
    }
  }
}

TEST(Sampling, DrawsAsOftenAsTheProbabilitiesSay) {
  Sampling sampling = {.temperature = 1.2, .topK = 5, .topP = 0.95, .seed = 3};
  std::vector<double> wanted = reference(logits, sampling), counts(logits.size(), 0);
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i)
    ++counts[size_t(*SampleToken(logits, sampling, uint64_t(i % 7), uint64_t(i / 7)))];
  for (size_t i = 0; i < counts.size(); ++i) {
    double deviation = std::sqrt(wanted[i] * (1 - wanted[i]) / draws);
    EXPECT_NEAR(counts[i] / draws, wanted[i], 4.5 * deviation) << i;
  }
}

TEST(Sampling, IsAFunctionOfSeedStreamAndPosition) {
  auto draw = [&](uint64_t seed, uint64_t stream) {
    std::vector<int32_t> tokens;
    for (uint64_t position = 0; position < 40; ++position)
      tokens.push_back(*SampleToken(logits, {.temperature = 2, .seed = seed}, stream, position));
    return tokens;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

TEST(Sampling, TemperatureZeroIsTheFirstGreatest) {
  for (uint64_t position = 0; position < 5; ++position)
    EXPECT_EQ(*SampleToken({1, 4, -2, 4}, {}, 0, position), 1);
  // As does a temperature near it.
  EXPECT_EQ(*SampleToken(logits, {.temperature = 1e-6}, 0, 0), 5);
}

TEST(Sampling, RefusesWhatIsNoDistribution) {
  for (double temperature : {0.0, 1.0})
    for (std::vector<float> bad : std::vector<std::vector<float>>{
             {}, {1, NAN, 0}, {NAN, 1}, {0, INFINITY}, {-INFINITY, -INFINITY}})
      EXPECT_EQ(SampleToken(bad, {.temperature = temperature}, 0, 0).status().message(),
                "the model's logits are not finite");
  EXPECT_TRUE(CheckSampling({}).ok());
  EXPECT_TRUE(CheckSampling({.temperature = 2, .topK = 3, .topP = 0.5}).ok());
  EXPECT_EQ(CheckSampling({.temperature = -1}).message(),
            "the temperature must be 0 or more, not -1");
  EXPECT_FALSE(CheckSampling({.temperature = NAN}).ok());
  EXPECT_FALSE(CheckSampling({.temperature = INFINITY}).ok());
  EXPECT_EQ(CheckSampling({.topK = -1}).message(), "top-k must be 0 or more, not -1");
  EXPECT_EQ(CheckSampling({.topP = 0}).message(), "top-p must be over 0 and at most 1, not 0");
  EXPECT_FALSE(CheckSampling({.topP = NAN}).ok());
}

} // namespace
} // namespace compressc
