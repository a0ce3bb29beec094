#include "compressc/runtime/session.h"
#include "ToyModel.h"
#include "compressc/runtime/planner.h"
#include <gtest/gtest.h>

using namespace compressc;

namespace {

Batch oneSequence(std::vector<int32_t> tokens, std::vector<int32_t> selected) {
  Batch batch;
  batch.sequences.push_back({0, int32_t(tokens.size()), 0, 0, {}});
  batch.tokens = std::move(tokens);
  batch.selectedRows = std::move(selected);
  return batch;
}

/// Logits of random weights reach a few units.
constexpr double tolerance = 2e-4;

void expectLogits(const float *logits, const std::vector<double> &reference, size_t position) {
  for (size_t i = 0; i < size_t(ToyModel::vocabulary); ++i)
    ASSERT_NEAR(logits[i], reference[position * ToyModel::vocabulary + i], tolerance)
        << "position " << position << ", token " << i;
}

std::unique_ptr<Session> open(const ToyModel &toy, ThreadPool &pool, int64_t cacheSlots = 0) {
  StatusOr<std::unique_ptr<Session>> session =
      Session::Create(toy.schedule, toy.resolver(), pool, {cacheSlots});
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *std::move(session) : nullptr;
}

class SessionForward : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Weights, SessionForward, testing::Bool(),
                         [](const auto &info) { return info.param ? "packed" : "plain"; });

TEST_P(SessionForward, AgreesWithReference) {
  ToyModel toy(GetParam());
  ThreadPool pool(2);
  std::unique_ptr<Session> session = open(toy, pool);
  ASSERT_TRUE(session);
  const EntryPoint &forward = session->schedule().entries[0];
  for (std::vector<int32_t> tokens : {std::vector<int32_t>{7},
                                      {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8},
                                      {49, 0, 49, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}) {
    int32_t last = int32_t(tokens.size()) - 1;
    Batch batch = oneSequence(tokens, last > 0 ? std::vector<int32_t>{0, last / 2, last}
                                               : std::vector<int32_t>{0});
    Status status = session->run(forward, &batch);
    ASSERT_TRUE(status.ok()) << status;
    StatusOr<Tensor> logits = session->output(forward, 0);
    ASSERT_TRUE(logits.ok()) << logits.status();
    ASSERT_EQ(logits->shape,
              (std::vector<int64_t>{int64_t(batch.selectedRows.size()), ToyModel::vocabulary}));
    std::vector<double> reference = toy.reference(tokens);
    for (size_t i = 0; i < batch.selectedRows.size(); ++i)
      expectLogits(logits->as<float>() + i * ToyModel::vocabulary, reference,
                   batch.selectedRows[i]);
  }
}

/// Prefixes that are shared, cut and evicted give what every prompt gives alone.
TEST_P(SessionForward, PlannedBatchesAgreeWithReference) {
  ToyModel toy(GetParam(), 11, 3);
  ThreadPool pool(2);
  std::mt19937 random(4);
  std::vector<Request> requests;
  for (int r = 0; r < 14; ++r) {
    Request request;
    if (r > 0) {
      const std::vector<int32_t> &other = requests[random() % requests.size()].tokens;
      request.tokens.assign(other.begin(), other.begin() + random() % (other.size() + 1));
    }
    for (size_t extra = 1 + random() % 12; extra > 0; --extra)
      request.tokens.push_back(int32_t(random() % ToyModel::vocabulary));
    int32_t last = int32_t(request.tokens.size()) - 1;
    if (last > 3)
      request.wanted.push_back(last / 2);
    request.wanted.push_back(last);
    requests.push_back(std::move(request));
  }
  std::unique_ptr<Session> session = open(toy, pool, 64);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->cacheSlots(), 64);
  StatusOr<Plan> plan = PlanBatches(requests, {11, 3, session->cacheSlots()});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_GT(plan->batches.size(), 3u);
  const EntryPoint &forward = session->schedule().entries[0];
  size_t uses = 0;
  for (const PlannedBatch &planned : plan->batches) {
    Status status = session->run(forward, &planned.batch);
    ASSERT_TRUE(status.ok()) << status;
    StatusOr<Tensor> logits = session->output(forward, 0);
    ASSERT_TRUE(logits.ok()) << logits.status();
    for (const RowUse &use : planned.uses) {
      expectLogits(logits->as<float>() + use.selectedIndex * ToyModel::vocabulary,
                   toy.reference(requests[use.request].tokens), use.position);
      ++uses;
    }
  }
  EXPECT_GE(uses, requests.size());
}

TEST(Session, RunsWithoutSelectedRows) {
  ToyModel toy(false);
  ThreadPool pool(1);
  std::unique_ptr<Session> session = open(toy, pool);
  ASSERT_TRUE(session);
  const EntryPoint &forward = session->schedule().entries[0];
  Batch prefix = oneSequence({5, 6, 7}, {});
  Status status = session->run(forward, &prefix);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(session->output(forward, 0)->shape, (std::vector<int64_t>{0, ToyModel::vocabulary}));
  Batch rest{{8, 9}, {{0, 2, 3, 3, {{0, 3}}}}, {1}};
  status = session->run(forward, &rest);
  ASSERT_TRUE(status.ok()) << status;
  expectLogits(session->output(forward, 0)->as<float>(), toy.reference({5, 6, 7, 8, 9}), 4);
}

TEST(Session, RefusesBadBatches) {
  ToyModel toy(false);
  ThreadPool pool(1);
  std::unique_ptr<Session> session = open(toy, pool, 20);
  ASSERT_TRUE(session);
  const EntryPoint &forward = session->schedule().entries[0];
  std::vector<int32_t> many(17, 1);
  struct {
    Batch batch;
    const char *message;
  } cases[] = {
      {{}, "0 rows"},
      {oneSequence(many, {}), "17 rows"},
      {oneSequence({1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 4}), "5 selected rows"},
      {oneSequence({1, -2, 3}, {2}), "token -2 of row 1"},
      {oneSequence({1, 2, 50}, {2}), "embedding"}, // only the kernel knows the vocabulary
      {oneSequence({1, 2}, {2}), "selected row 2"},
      {oneSequence({1, 2}, {-1}), "selected row -1"},
      {oneSequence({1, 2}, {1, 1}), "selected row 1"},
      {oneSequence({1, 2}, {1, 0}), "selected row 0"},
      {{{1, 2}, {}, {}}, "its sequences have 0 rows"},
      {{{1, 2}, {{0, 1, 0, 0, {}}}, {}}, "its sequences have 1 rows"},
      {{{1, 2}, {{0, 3, 0, 0, {}}}, {}}, "its sequences have 3 rows"},
      {{{1, 2}, {{1, 1, 0, 0, {}}}, {}}, "sequence 0: rows 1+1"},
      {{{1, 2}, {{0, 1, 0, 0, {}}, {0, 1, 0, 1, {}}}, {}}, "sequence 1: rows 0+1"},
      {{{1, 2}, {{0, 0, 0, 0, {}}, {0, 2, 0, 1, {}}}, {}}, "sequence 0: rows 0+0"},
      {{{1, 2}, {{0, 2, 0, 19, {}}}, {}}, "slots 19+2"},
      {{{1, 2}, {{0, 2, 0, -1, {}}}, {}}, "slots -1+2"},
      {{{1, 2}, {{0, 2, 0, INT32_MAX, {}}}, {}}, "slots 2147483647+2"},
      {{{1, 2}, {{0, 2, 3, 0, {{18, 3}}}}, {}}, "slots 18+3"},
      {{{1, 2}, {{0, 2, 0, 0, {{5, 0}}}}, {}}, "slots 5+0"},
      {{{1, 2}, {{0, 2, 0, 0, {{5, -1}}}}, {}}, "slots 5+-1"},
      {{{1, 2}, {{0, 2, 1, 0, {{5, 2}}}}, {}}, "begins at position 1 after a context of 2"},
      {{{1, 2}, {{0, 1, 0, 3, {}}, {1, 1, 0, 3, {}}}, {}}, "slot 3 is written by two"},
      {{{1, 2, 3}, {{0, 2, 0, 3, {}}, {2, 1, 0, 4, {}}}, {}}, "slot 4 is written by two"},
  };
  for (const auto &c : cases) {
    Status status = session->run(forward, &c.batch);
    ASSERT_FALSE(status.ok()) << c.message;
    EXPECT_NE(status.message().find(c.message), absl::string_view::npos) << status;
    EXPECT_FALSE(session->output(forward, 0).ok()) << "a failed run has no output";
  }
  Status status = session->run(forward, nullptr);
  EXPECT_NE(status.message().find("rows of a batch"), absl::string_view::npos) << status;
  Batch good = oneSequence({1, 2}, {1});
  EXPECT_TRUE(session->run(forward, &good).ok());
  Tensor tensor;
  EXPECT_FALSE(session->run(forward, &good, {tensor}).ok()) << "has no inputs";
  EntryPoint other;
  other.name = "other";
  EXPECT_FALSE(session->run(other, &good).ok());
  EXPECT_FALSE(session->output(other, 0).ok());
}

TEST(Session, RefusesOtherWeights) {
  ToyModel toy(true);
  ThreadPool pool(1);
  struct {
    const char *key;
    void (*change)(Tensor &);
    const char *message;
  } cases[] = {
      {"embed", [](Tensor &t) { t.dtype = DType::BF16; }, "weight embed: is bf16 [50,64]"},
      {"embed", [](Tensor &t) { t.shape[0] = 51; }, "weight embed: is f16 [51,64]"},
      {"embed", [](Tensor &t) { t.shape.push_back(1); }, "weight embed: is f16 [50,64,1]"},
      {"embed", [](Tensor &t) { t.data = nullptr; }, "weight embed: has no data"},
      {"layers.1.q", [](Tensor &t) { t.packed.bits = 8; }, "packed with bits 8"},
      {"layers.1.q", [](Tensor &t) { t.packed.symmetric = true; }, "asymmetric"},
      {"layers.1.q", [](Tensor &t) { t.packed.scaleType = DType::BF16; }, "scales f16"},
      {"layers.1.q", [](Tensor &t) { t.scales = nullptr; }, "has no data"},
      {"layers.1.q", [](Tensor &t) { t.zeros = nullptr; }, "has no data"},
  };
  for (const auto &c : cases) {
    WeightResolver plain = toy.resolver();
    StatusOr<std::unique_ptr<Session>> session = Session::Create(
        toy.schedule,
        [&](const WeightDecl &decl) {
          StatusOr<Tensor> tensor = plain(decl);
          if (decl.key == c.key)
            c.change(*tensor);
          return tensor;
        },
        pool);
    ASSERT_FALSE(session.ok()) << c.message;
    EXPECT_NE(session.status().message().find(c.message), absl::string_view::npos)
        << session.status();
  }
  toy.weights.pop_back();
  StatusOr<std::unique_ptr<Session>> session = Session::Create(toy.schedule, toy.resolver(), pool);
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.status().message(), "weight norm: no weight of this name");
}

/// Schedules that the compiler builds in memory get the checks of a file.
TEST(Session, ChecksItsSchedule) {
  ToyModel toy(false);
  ThreadPool pool(1);
  toy.schedule.arenaBytes -= 1024;
  StatusOr<std::unique_ptr<Session>> session = Session::Create(toy.schedule, toy.resolver(), pool);
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.status().message().find("do not fit the arena"), absl::string_view::npos);
}

TEST(Session, NamesTheFailingCall) {
  ToyModel toy(false);
  ThreadPool pool(1);
  for (Call &call : toy.schedule.entries[0].calls)
    if (call.attributes.getStringOr("name", "") == "layers.1.o")
      call.inputs.pop_back(); // the residual that the epilogue needs
  std::unique_ptr<Session> session = open(toy, pool);
  ASSERT_TRUE(session);
  Batch batch = oneSequence({1, 2}, {1});
  Status status = session->run(session->schedule().entries[0], &batch);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.message().find("linear layers.1.o: "), 0u) << status;
  EXPECT_EQ(status.message().find("linear", 1), absl::string_view::npos)
      << "named once: " << status;
}

/// Weight expressions: no batch, memory bound by the caller, packed results, states.
class SessionExpressions : public testing::Test {
protected:
  void SetUp() override {
    BufferDecl input, packed, back, statistics;
    input.shape = back.shape = {32, 64};
    packed.dtype = DType::Packed;
    packed.shape = {32, 64};
    packed.packed = {8, 32, false, DType::F32};
    packed.offset = 0;
    back.offset = 64 * 256;
    statistics.dtype = DType::Statistics;
    statistics.shape = {64};
    statistics.state = true; // outside the arena
    schedule.arenaBytes = 64 * 256 + 32 * 64 * 4;
    BufferDecl rows;
    rows.rows = Rows::Tokens;
    rows.shape = {64};
    schedule.maxTokens = 8;
    schedule.buffers = {input, packed, back, statistics, rows};
    auto b = [](int32_t index) { return Operand{Operand::Kind::Buffer, index}; };
    schedule.entries.push_back(
        {"pack",
         {0},
         {1, 2},
         {{"quantize", {b(0)}, {b(1)}, {}}, {"dequantize", {b(1)}, {b(2)}, {}}}});
    schedule.entries.push_back({"observe", {4}, {3}, {{"observe", {b(4)}, {b(3)}, {}}}});
    for (int i = 0; i < 32 * 64; ++i)
      values.push_back(float(i * 37 % 101) / 50 - 1);
    tensor.shape = {32, 64};
    tensor.data = values.data();
    auto resolver = [](const WeightDecl &) { return StatusOr<Tensor>(Invalid("no weights")); };
    StatusOr<std::unique_ptr<Session>> made = Session::Create(schedule, resolver, pool);
    ASSERT_TRUE(made.ok()) << made.status();
    session = *std::move(made);
  }

  const EntryPoint &entry(const char *name) { return *session->schedule().find(name); }

  Schedule schedule;
  ThreadPool pool{1};
  std::vector<float> values;
  Tensor tensor;
  std::unique_ptr<Session> session;
};

TEST_F(SessionExpressions, PackedResults) {
  Status status = session->run(entry("pack"), nullptr, {tensor});
  ASSERT_TRUE(status.ok()) << status;
  StatusOr<Tensor> packed = session->output(entry("pack"), 0);
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->packed, (PackedFormat{8, 32, false, DType::F32}));
  PackedSizes sizes = GetPackedSizes(32, 64, packed->packed);
  EXPECT_EQ(static_cast<uint8_t *>(packed->scales), packed->as<uint8_t>() + sizes.scalesOffset);
  EXPECT_EQ(static_cast<uint8_t *>(packed->zeros), packed->as<uint8_t>() + sizes.zerosOffset);
  StatusOr<Tensor> back = session->output(entry("pack"), 1);
  ASSERT_TRUE(back.ok()) << back.status();
  for (int i = 0; i < 32 * 64; ++i)
    ASSERT_NEAR(back->as<float>()[i], values[i], 2.0 / 255);
}

TEST_F(SessionExpressions, StatesAccumulate) {
  EXPECT_FALSE(session->output(entry("observe"), 0).ok()) << "nothing has run";
  std::vector<double> gram(64 * 64), absolute(64);
  int64_t count = 0;
  for (int32_t rows : {3, 8}) {
    Batch batch = oneSequence(std::vector<int32_t>(rows, 1), {});
    Tensor x;
    x.shape = {rows, 64};
    x.data = values.data() + 64 * rows;
    Status status = session->run(entry("observe"), &batch, {x});
    ASSERT_TRUE(status.ok()) << status;
    count += rows;
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < 64; ++i) {
        absolute[i] += std::abs(x.as<float>()[r * 64 + i]);
        for (int j = 0; j < 64; ++j)
          gram[i * 64 + j] += double(x.as<float>()[r * 64 + i]) * x.as<float>()[r * 64 + j];
      }
  }
  StatusOr<Tensor> output = session->output(entry("observe"), 0);
  ASSERT_TRUE(output.ok()) << output.status();
  StatisticsView view = AsStatistics(*output);
  EXPECT_EQ(view.width, 64);
  EXPECT_EQ(*view.count, float(count));
  for (int i = 0; i < 64; ++i) {
    ASSERT_NEAR(view.absSum[i], absolute[i], 1e-4);
    for (int j = 0; j < 64; ++j)
      ASSERT_NEAR(view.gram[i * 64 + j], gram[i * 64 + j], 1e-4);
  }
}

TEST_F(SessionExpressions, ChecksBoundInputs) {
  Batch batch = oneSequence({1, 2}, {});
  EXPECT_FALSE(session->run(entry("pack"), nullptr).ok());
  EXPECT_FALSE(session->run(entry("pack"), nullptr, {tensor, tensor}).ok());
  Tensor other = tensor;
  other.shape = {64, 32};
  Status status = session->run(entry("pack"), nullptr, {other});
  EXPECT_EQ(status.message(),
            "entry point pack: input 0: is f32 [64,32], the schedule was compiled "
            "for f32 [32,64]");
  other = tensor;
  other.data = nullptr;
  EXPECT_FALSE(session->run(entry("pack"), nullptr, {other}).ok());
  other = tensor;
  other.shape = {3, 64}; // the batch has two rows
  EXPECT_FALSE(session->run(entry("observe"), &batch, {other}).ok());
  EXPECT_FALSE(session->run(entry("observe"), nullptr, {other}).ok());
  EXPECT_FALSE(session->output(entry("pack"), 0).ok()) << "the last run failed";
  ASSERT_TRUE(session->run(entry("pack"), nullptr, {tensor}).ok());
  EXPECT_FALSE(session->output(entry("pack"), 2).ok());
}

/// Thirty layers' caches of a long context cost nothing until they are written.
TEST(Session, CachesAreReservedOnly) {
  ToyModel toy(false);
  ThreadPool pool(1);
  for (int i = 0; i < 30; ++i)
    toy.schedule.caches.push_back({8, 128});
  std::unique_ptr<Session> session = open(toy, pool, 1 << 17);
  ASSERT_TRUE(session);
  Batch batch = oneSequence({1, 2, 3}, {2});
  batch.sequences[0].slotBegin = (1 << 17) - 3;
  Status status = session->run(session->schedule().entries[0], &batch);
  ASSERT_TRUE(status.ok()) << status;
  expectLogits(session->output(session->schedule().entries[0], 0)->as<float>(),
               toy.reference({1, 2, 3}), 2);
}

} // namespace
