#include "SmallTokenizer.h"
#include "TaskRun.h"
#include "runtime/tasks/distributions.h"
#include <cmath>
#include <gtest/gtest.h>

namespace compressc {
namespace {

constexpr int64_t vocabulary = 6;

ModelInfo makeInfo(const std::string &name = "base") {
  ModelInfo info;
  info.name = name;
  info.vocabularySize = vocabulary;
  info.contextLength = 100;
  return info;
}

std::vector<float> baseLogits(int32_t request, int32_t position) {
  std::vector<float> logits;
  for (int token = 0; token < vocabulary; ++token)
    logits.push_back(float(std::sin(3.7 * token + 1.3 * position + 2.1 * request) * 3));
  return logits;
}

std::vector<float> otherLogits(int32_t request, int32_t position) {
  std::vector<float> logits = baseLogits(request, position);
  for (size_t token = 0; token < logits.size(); ++token)
    logits[token] += float(std::cos(5.1 * double(token) + position) * 0.8);
  return logits;
}

std::vector<double> softmax(const std::vector<float> &logits) {
  std::vector<double> p;
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(double(logit));
  for (float logit : logits)
    p.push_back(std::exp(double(logit)) / sum);
  return p;
}

/// From all probabilities of the two: the two likeliest of the base, and the rest.
double divergence(const std::vector<double> &p, const std::vector<double> &q, size_t kept) {
  std::vector<size_t> order(p.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  double sum = 0, restP = 0, restQ = 0;
  for (size_t i = 0; i < order.size(); ++i)
    if (i < kept) {
      sum += p[order[i]] * std::log(p[order[i]] / q[order[i]]);
    } else {
      restP += p[order[i]];
      restQ += q[order[i]];
    }
  return kept < p.size() ? sum + restP * std::log(restP / restQ) : sum;
}

class Kl : public testing::Test {
protected:
  StatusOr<TaskRun> run(std::vector<std::string> arguments, const FakeLogits &logits, const std::string &name = "base",
                        int64_t logitsOfModel = vocabulary) {
    ModelInfo info = makeInfo(name);
    info.vocabularySize = logitsOfModel;
    arguments.push_back("--data=" + text);
    return RunTask(*MakeKl(), arguments, *tokenizer, info, {}, logits);
  }

  TemporaryDirectory directory;
  std::unique_ptr<Tokenizer> tokenizer = MakeSmallTokenizer();
  std::string text = directory.write("text", "!\"#$%&!#%\"$&&&"); // ids 0 to 5
  std::string file = directory.path + "/base.kl";
};

TEST_F(Kl, IsWhatItsDefinitionSays) {
  for (int64_t kept : {1, 2, 6, 64}) {
    StatusOr<TaskRun> saved = run({"--context=4", "--save=" + file, absl::StrCat("--top-k=", kept)}, baseLogits);
    ASSERT_TRUE(saved.ok()) << saved.status();
    EXPECT_EQ(saved->json["windows"], 3);
    EXPECT_EQ(saved->json["kept"], std::min(kept, vocabulary));
    EXPECT_FALSE(saved->json.contains("kl_mean"));
    StatusOr<TaskRun> found = run({"--context=4", "--base=" + file}, otherLogits, "other");
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<double> all;
    double agree = 0, baseLoss = 0, loss = 0;
    for (int32_t request = 0; request < 3; ++request)
      for (int32_t position = 0; position < 3; ++position) {
        std::vector<double> p = softmax(baseLogits(request, position)), q = softmax(otherLogits(request, position));
        all.push_back(divergence(p, q, size_t(std::min(kept, vocabulary))));
        agree += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
        size_t follower = size_t(found->work.requests[size_t(request)].tokens[size_t(position) + 1]);
        baseLoss -= std::log(p[follower]);
        loss -= std::log(q[follower]);
      }
    std::sort(all.begin(), all.end());
    double sum = 0;
    for (double value : all)
      sum += value;
    const nlohmann::json &json = found->json;
    EXPECT_NEAR(json["kl_mean"].get<double>(), sum / 9, 1e-6);
    EXPECT_NEAR(json["kl_worst"].get<double>(), all[8], 1e-6);
    EXPECT_NEAR(json["kl_p99"].get<double>(), all[7] + 0.92 * (all[8] - all[7]), 1e-6); // place 0.99 * 8
    EXPECT_NEAR(json["top1_agreement"].get<double>(), agree / 9, 1e-12);
    EXPECT_NEAR(json["base_perplexity"].get<double>(), std::exp(baseLoss / 9), 1e-5);
    EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(loss / 9), 1e-5);
    EXPECT_EQ(json["base"], "base");
    EXPECT_EQ(json["model"], "other");
  }
}

TEST_F(Kl, OfAModelFromItselfIsNothing) {
  ASSERT_TRUE(run({"--context=4", "--save=" + file, "--top-k=3"}, baseLogits).ok());
  StatusOr<TaskRun> found = run({"--context=4", "--base=" + file}, baseLogits);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_NEAR(found->json["kl_worst"].get<double>(), 0, 1e-6);
  EXPECT_EQ(found->json["top1_agreement"], 1.0);
  EXPECT_NEAR(found->json["perplexity"].get<double>(), found->json["base_perplexity"].get<double>(), 1e-5);
}

TEST_F(Kl, RefusesABaseThatWasAskedSomethingElse) {
  auto failure = [&](std::vector<std::string> arguments, int64_t logits = vocabulary) {
    std::string message(run(std::move(arguments), baseLogits, "other", logits).status().message());
    return message.rfind(file, 0) == 0 ? message.substr(file.size()) : message;
  };
  ASSERT_TRUE(run({"--context=4", "--save=" + file}, baseLogits).ok());
  EXPECT_EQ(failure({"--context=4", "--base=" + file, "--windows=2"}),
            ": holds 3 windows of 4 tokens, not 2 of 4; pass --windows 3 --context 4");
  EXPECT_EQ(failure({"--context=3", "--base=" + file, "--windows=3"}),
            ": holds 3 windows of 4 tokens, not 3 of 3; pass --windows 3 --context 4");
  EXPECT_EQ(failure({"--context=4", "--base=" + file}, 7), ": is of a model with 6 logits, but this one has 7");
  text = directory.write("text", "!\"#$%&!#%\"$!&&");
  EXPECT_EQ(failure({"--context=4", "--base=" + file}),
            ": is of other tokens: the tokenizer, the text or --bos differs; save it again");
  EXPECT_EQ(failure({}), "pass --save FILE to the base or --base FILE, which it wrote, to the model compressed from it");
  EXPECT_EQ(failure({"--save=" + file, "--base=" + file}).substr(0, 11), "pass --save");
  EXPECT_EQ(failure({"--save=-"}), "--save: - is no file");
}

TEST(Distributions, RefusesDamagedFiles) {
  TemporaryDirectory directory;
  std::string path = directory.path + "/d.kl";
  Distributions good;
  good.model = "m\x1b";
  good.digest = "0123456789abcdef";
  good.vocabulary = 5, good.windows = 2, good.context = 3, good.kept = 2;
  good.resize();
  for (size_t i = 0; i < good.tokens.size(); ++i)
    good.tokens[i] = int32_t(i % 5), good.logs[i] = -float(i);
  ASSERT_TRUE(WriteDistributions(path, good).ok());
  StatusOr<Distributions> read = ReadDistributions(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->model, "m ");
  EXPECT_EQ(read->digest, good.digest);
  EXPECT_EQ(read->tokens, good.tokens);
  EXPECT_EQ(read->logs, good.logs);
  std::ifstream stream(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  auto failure = [&](const std::string &contents) {
    std::string changed = directory.write("changed.kl", contents);
    StatusOr<Distributions> read = ReadDistributions(changed);
    return read.ok() ? "no error" : std::string(read.status().message().substr(changed.size()));
  };
  const std::string damaged = ": is damaged or cut short; save it again";
  EXPECT_EQ(failure(bytes), "no error");
  EXPECT_EQ(failure("other"), ": holds no distributions; `run kl --save` of the base writes them");
  EXPECT_EQ(failure(bytes.substr(0, bytes.size() - 1)), damaged);
  EXPECT_EQ(failure(bytes + "x"), damaged);
  EXPECT_EQ(failure(bytes.substr(0, 48)), damaged);
  auto with = [&](size_t at, uint32_t value) {
    std::string text = bytes;
    std::memcpy(text.data() + at, &value, 4);
    return text;
  };
  EXPECT_EQ(failure(with(8, 2)), ": has version 2 of the format, but this program reads 1; save it again");
  for (size_t field : {12, 16, 20, 24, 28}) // vocabulary, windows, context, kept, the name's length
    for (uint32_t value : {0u, 1u << 20, 0xFFFFFFFFu})
      if (!(field == 12 && value == 1u << 20) && !(field == 28 && value == 0))
        EXPECT_EQ(failure(with(field, value)), damaged) << field << " " << value;
  size_t begin = 48 + good.model.size(), positions = 4;
  uint32_t nan = 0x7FC00000;
  for (size_t array : {0, 1, 4}) // followers, rests, logs
    EXPECT_EQ(failure(with(begin + array * 4 * positions, nan)), damaged);
  EXPECT_EQ(failure(with(begin + 2 * 4 * positions, 5)), damaged); // a token
}

TEST(Distributions, MassIsExactWhereLittleIsLeft) {
  std::vector<float> logits = {0, -50, -60};
  Mass mass = MassBeside(logits, std::vector<int32_t>{0});
  EXPECT_NEAR(mass.rest / (std::exp(-50.0) + std::exp(-60.0)), 1, 1e-12);
  EXPECT_EQ(MassBeside(logits, std::vector<int32_t>{2, 0, 1}).rest, 0);
  EXPECT_EQ(GreatestTokens({{1, 3, 2, 3}}, 3), (std::vector<int32_t>{1, 3, 2}));
}

} // namespace
} // namespace compressc
