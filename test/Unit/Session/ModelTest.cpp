#include "ModelFixture.h"

using namespace compressc;

namespace {

class ModelScores : public ModelFixture, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Weights, ModelScores, testing::Bool(),
                         [](const auto &info) { return info.param ? "packed" : "plain"; });

TEST_P(ModelScores, AgreeWithReference) {
  ToyModel toy(GetParam(), 16, 4);
  write(toy);
  StatusOr<std::unique_ptr<Model>> model = Model::Open(payloadOf(toy.schedule), directory, pool);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->info().name, "toy");
  PlannerLimits limits = (*model)->limits();
  EXPECT_EQ(limits.maxTokens, 16);
  EXPECT_EQ(limits.maxSelected, 4);
  EXPECT_EQ(limits.cacheSlots, 16 + 40);

  std::vector<Request> requests;
  for (const char *text :
       {"5+5=10", "5+5=11", "5+5", "(5+5)/2", "5+5=10", "A-MORE+THAN-FULL-BATCH/OF-TOKENS"}) {
    Request request;
    request.tokens = (*model)->tokenizer().encode(text);
    ASSERT_EQ(request.tokens.size(), std::string_view(text).size());
    request.wanted = {0, int32_t(request.tokens.size()) - 1};
    requests.push_back(std::move(request));
  }
  std::map<std::pair<int32_t, int32_t>, int> calls;
  int64_t batches = 0, rows = 0;
  // Every token's log-probability, of the whole vocabulary or of three tokens among themselves.
  std::vector<int32_t> all(ToyModel::vocabulary), some = {30, 2, 7};
  std::iota(all.begin(), all.end(), 0);
  Targets targets;
  targets.alone = GetParam();
  targets.count = targets.alone ? 3 : ToyModel::vocabulary;
  targets.tokens = [&](int32_t, int32_t) { return absl::MakeConstSpan(targets.alone ? some : all); };
  Status status = (*model)->score(
      requests, targets,
      [&](int32_t request, int32_t position, absl::Span<const double> logProbabilities) -> Status {
        ++calls[{request, position}];
        std::vector<double> reference = toy.reference(requests[request].tokens);
        absl::Span<const int32_t> tokens = targets.tokens(request, position);
        double sum = 0;
        for (int32_t token : tokens)
          sum += std::exp(reference[size_t(position * ToyModel::vocabulary + token)]);
        for (size_t i = 0; i < tokens.size(); ++i)
          EXPECT_NEAR(logProbabilities[i], reference[size_t(position * ToyModel::vocabulary + tokens[i])] - std::log(sum), 2e-4);
        return absl::OkStatus();
      },
      [&](const PlannedBatch &planned) {
        ++batches;
        rows += planned.batch.rows();
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(calls.size(), 2 * requests.size());
  for (const auto &[use, count] : calls)
    EXPECT_EQ(count, 1);
  std::vector<float> last(ToyModel::vocabulary);
  std::vector<double> reference = toy.reference(requests[5].tokens);
  status = (*model)->lastLogits(requests[5].tokens, last.data());
  ASSERT_TRUE(status.ok()) << status;
  for (size_t i = 0; i < last.size(); ++i)
    EXPECT_NEAR(last[i], reference[reference.size() - last.size() + i], 2e-4);
  EXPECT_EQ(rows, 7 + 7 + 32); // "5+5=10" and its last digit changed, then two of their own
  EXPECT_GE(batches, 3);
}

TEST_F(ModelFixture, StopsWhenTheCallbackFails) {
  ToyModel toy(false);
  write(toy);
  StatusOr<std::unique_ptr<Model>> model = Model::Open(payloadOf(toy.schedule), directory, pool);
  ASSERT_TRUE(model.ok()) << model.status();
  int calls = 0;
  Targets targets;
  int32_t target = 1;
  targets.tokens = [&](int32_t, int32_t) { return absl::MakeConstSpan(&target, 1); };
  Status status = (*model)->score({{{1, 2}, {0, 1}}}, targets, [&](int32_t, int32_t, absl::Span<const double>) {
    ++calls;
    return IOError("the disk is full");
  });
  EXPECT_EQ(status.message(), "the disk is full");
  EXPECT_EQ(calls, 1);
  EXPECT_NE((*model)
                ->score({{std::vector<int32_t>(57, 1), {56}}}, targets,
                        [](int32_t, int32_t, absl::Span<const double>) { return absl::OkStatus(); })
                .message()
                .find("request 0 has 57 tokens"),
            absl::string_view::npos);
}

TEST_F(ModelFixture, OptionsOfTheGpuReachIt) {
  ToyModel toy(false);
  write(toy);
  ModelOptions options;
  options.cuda.half = DType::F16;
  EXPECT_EQ(Model::Open(payloadOf(toy.schedule), directory, pool, options).status().message(),
            "--half is the GPU's; leave it out with --device=cpu");
  options.device = "cuda";
  options.openCuda = [](const DeviceOptions &cuda) -> StatusOr<std::unique_ptr<Device>> {
    return Invalid("asked for ", DTypeName(cuda.half.value_or(DType::F32)));
  };
  EXPECT_EQ(Model::Open(payloadOf(toy.schedule), directory, pool, options).status().message(), "asked for f16");
}

TEST_F(ModelFixture, RefusesACheckpointOfAnotherModel) {
  ToyModel plain(false), packed(true);
  write(plain);
  StatusOr<std::unique_ptr<Model>> model = Model::Open(payloadOf(packed.schedule), directory, pool);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find("layers.0.q.weight_packed"), absl::string_view::npos)
      << model.status();
  write(packed);
  EXPECT_TRUE(Model::Open(payloadOf(packed.schedule), directory, pool).ok());
  EXPECT_FALSE(Model::Open(payloadOf(plain.schedule), directory, pool).ok());

  // Right names with another type, shape or format.
  struct {
    void (*change)(WeightDecl &);
    const char *message;
  } cases[] = {
      {[](WeightDecl &w) { w.shape[0] += 8; }, "weight_packed"},
      {[](WeightDecl &w) { w.packed.group = 16; }, "weight_scale"},
      {[](WeightDecl &w) { w.packed.bits = 8; }, "weight_packed"},
      {[](WeightDecl &w) { w.packed.scaleType = DType::F32; }, "weight_scale"},
      {[](WeightDecl &w) { w.dtype = DType::F16; }, "no tensor layers.1.down;"},
      {[](WeightDecl &w) { w.dtype = DType::Q4_0; }, "layers.1.down"},
  };
  for (const auto &c : cases) {
    Schedule changed = packed.schedule;
    for (WeightDecl &decl : changed.weights)
      if (decl.key == "layers.1.down")
        c.change(decl);
    model = Model::Open(payloadOf(changed), directory, pool);
    ASSERT_FALSE(model.ok()) << c.message;
    EXPECT_NE(model.status().message().find(c.message), absl::string_view::npos) << model.status();
  }
}

TEST_F(ModelFixture, RefusesOtherPayloads) {
  ToyModel toy(false);
  write(toy);
  auto refused = [&](const std::string &payload, const char *message) {
    StatusOr<std::unique_ptr<Model>> model = Model::Open(payload, directory, pool);
    ASSERT_FALSE(model.ok()) << message;
    EXPECT_NE(model.status().message().find(message), absl::string_view::npos) << model.status();
  };
  refused("", "not valid JSON");
  refused("[]", "expected an object");
  refused("{}", "model is missing");
  refused("{\"model\":{}}", "schedule is missing");
  ModelInfo info = infoOf();
  info.vocabularySize = 51;
  refused(payloadOf(toy.schedule, info), "is not f32 [selected, 51]");
  Schedule changed = toy.schedule;
  changed.entries[0].name = "backward";
  refused(payloadOf(changed), "no entry point \"forward\"");
  changed = toy.schedule;
  changed.entries[0].outputs.clear();
  refused(payloadOf(changed), "one output");
  changed = toy.schedule;
  changed.entries[0].outputs = {0};
  refused(payloadOf(changed), "the logits");
  std::error_code error;
  std::filesystem::remove(path("model/tokenizer.json"), error);
  refused(payloadOf(toy.schedule), "tokenizer.json");
}

} // namespace
