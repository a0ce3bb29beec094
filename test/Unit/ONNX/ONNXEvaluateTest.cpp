#include "lib/Import/ONNX/Evaluate/ONNXEvaluate.h"
#include "ONNXFixture.h"
#include "lib/Import/ONNX/Evaluate/ONNXLength.h"

namespace compressc {
namespace {

using B = ONNXBuilder;
using Shape = std::vector<int64_t>;
using Data = std::vector<double>;

class ONNXEvaluateTest : public ONNXFixture {
protected:
  /// The graph's output, for one input of positions (and 2 sequences of 3 unless said).
  ONNXKnown run(const ONNXBuilder &builder, int64_t batch = 2, int64_t sequence = 3,
                ONNXInputKind kind = ONNXInputKind::Positions) const {
    auto graph = open(builder);
    EXPECT_TRUE(graph.ok()) << graph.status();
    if (!graph.ok())
      return {};
    return EvaluateONNX(*graph, {kind}, batch, sequence)[size_t(graph->outputs()[0])];
  }
  void expect(const ONNXKnown &value, const Shape &shape, const Data &data) const {
    EXPECT_TRUE(value.hasShape && value.hasData);
    EXPECT_EQ(value.shape, shape);
    EXPECT_EQ(value.data, data);
  }
  void expectUnknown(const ONNXKnown &value) const {
    EXPECT_FALSE(value.hasShape || value.hasData);
  }

  /// x holds 0 … 5 in [2, 3].
  static ONNXBuilder table() { return B().input("p").ints("x", {2, 3}, {0, 1, 2, 3, 4, 5}); }
};

TEST_F(ONNXEvaluateTest, InputsAreRowsOfPositionsOrOnes) {
  auto identity = B().input("p").node("Identity", {"p"}, {"y"}).output("y");
  expect(run(identity), {2, 3}, {0, 1, 2, 0, 1, 2});
  expect(run(identity, 1, 2, ONNXInputKind::Ones), {1, 2}, {1, 1});
  ONNXKnown unknown = run(identity, 2, 3, ONNXInputKind::Unknown);
  EXPECT_EQ(unknown.shape, (Shape{2, 3}));
  EXPECT_FALSE(unknown.hasData);
}

TEST_F(ONNXEvaluateTest, ACausalMask) {
  ONNXKnown mask = run(B().input("p")
                           .ints("query", {1}, {2})
                           .ints("key", {1}, {1})
                           .node("Unsqueeze", {"p", "query"}, {"q"})
                           .node("Unsqueeze", {"p", "key"}, {"k"})
                           .node("LessOrEqual", {"k", "q"}, {"y"})
                           .output("y"),
                       1, 3);
  expect(mask, {1, 3, 3}, {1, 0, 0, 1, 1, 0, 1, 1, 1});
  EXPECT_EQ(mask.type, ONNXType::Bool);
}

TEST_F(ONNXEvaluateTest, ShapesAndReshapes) {
  expect(run(table().node("Shape", {"p"}, {"y"}).output("y"), 4, 9), {2}, {4, 9});
  expect(run(table().node("Shape", {"p"}, {"y"}, {intAttribute("start", -1)}).output("y"), 4, 9),
         {1}, {9});
  expect(run(table().ints("s", {3}, {0, -1, 1}).node("Reshape", {"x", "s"}, {"y"}).output("y")),
         {2, 3, 1}, {0, 1, 2, 3, 4, 5});
  expectUnknown(
      run(table().ints("s", {2}, {4, -1}).node("Reshape", {"x", "s"}, {"y"}).output("y")));
  expectUnknown(
      run(table().ints("s", {2}, {-1, -1}).node("Reshape", {"x", "s"}, {"y"}).output("y")));
  expect(run(table().ints("a", {2}, {0, -1}).node("Unsqueeze", {"x", "a"}, {"y"}).output("y")),
         {1, 2, 3, 1}, {0, 1, 2, 3, 4, 5});
  expectUnknown(run(table().ints("a", {1}, {0}).node("Squeeze", {"x", "a"}, {"y"}).output("y")));
}

TEST_F(ONNXEvaluateTest, MovesElements) {
  expect(run(table().node("Transpose", {"x"}, {"y"}).output("y")), {3, 2}, {0, 3, 1, 4, 2, 5});
  expect(run(table().node("Concat", {"x", "x"}, {"y"}, {intAttribute("axis", -1)}).output("y")),
         {2, 6}, {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  expect(run(table()
                 .ints("from", {1}, {-2})
                 .ints("to", {1}, {INT64_MAX})
                 .ints("axis", {1}, {1})
                 .node("Slice", {"x", "from", "to", "axis"}, {"y"})
                 .output("y")),
         {2, 2}, {1, 2, 4, 5});
  expect(run(table()
                 .ints("i", {2}, {-1, 0})
                 .node("Gather", {"x", "i"}, {"y"}, {intAttribute("axis", 1)})
                 .output("y")),
         {2, 2}, {2, 0, 5, 3});
  expect(
      run(table().ints("i", {2, 2}, {0, 2, 1, 0}).node("GatherND", {"x", "i"}, {"y"}).output("y")),
      {2}, {2, 3});
  expect(run(table()
                 .ints("s", {3}, {2, 2, 1})
                 .ints("v", {2, 1}, {7, 8})
                 .node("Expand", {"v", "s"}, {"y"})
                 .output("y")),
         {2, 2, 1}, {7, 8, 7, 8});
}

TEST_F(ONNXEvaluateTest, AnIndexThatIsOutsideIsUnknown) {
  ONNXKnown value = run(table().ints("i", {1}, {2}).node("Gather", {"x", "i"}, {"y"}).output("y"));
  EXPECT_EQ(value.shape, (Shape{1, 3}));
  EXPECT_FALSE(value.hasData);
}

TEST_F(ONNXEvaluateTest, Arithmetic) {
  expect(run(table().ints("s", {}, {2}).node("Div", {"x", "s"}, {"y"}).output("y")), {2, 3},
         {0, 0, 1, 1, 2, 2});
  expect(run(table().ints("s", {2, 1}, {1, 4}).node("Where", {"x", "x", "s"}, {"y"}).output("y")),
         {2, 3}, {1, 1, 2, 3, 4, 5});
  expect(run(table()
                 .floats("s", {1}, {1.75f})
                 .node("Cast", {"s"}, {"y"}, {intAttribute("to", B::i64)})
                 .output("y")),
         {1}, {1});
  expect(run(table().ints("a", {}, {1}).node("CumSum", {"x", "a"}, {"y"}).output("y")), {2, 3},
         {0, 1, 3, 3, 7, 12});
  expect(run(table().node("Trilu", {"x"}, {"y"}, {intAttribute("upper", 0)}).output("y")), {2, 3},
         {0, 0, 0, 3, 4, 0});
  expect(run(table().node("Transpose", {"x"}, {"t"}).node("MatMul", {"x", "t"}, {"y"}).output("y")),
         {2, 2}, {5, 14, 14, 50});
  expectUnknown(run(table().ints("s", {2}, {1, 2}).node("Add", {"x", "s"}, {"y"}).output("y")));
  expectUnknown(run(table().node("Add", {"x"}, {"y"}).output("y")));
  expectUnknown(run(table().node("Unheard", {"x"}, {"y"}).output("y")));
}

TEST_F(ONNXEvaluateTest, Ranges) {
  auto range = [&](float start, float limit, float step) {
    return run(B().input("p")
                   .floats("a", {}, {start})
                   .floats("b", {}, {limit})
                   .floats("c", {}, {step})
                   .node("Range", {"a", "b", "c"}, {"y"})
                   .output("y"));
  };
  expect(range(1, 6, 2), {3}, {1, 3, 5});
  expect(range(3, 0, -1), {3}, {3, 2, 1});
  expect(range(5, 0, 1), {0}, {});
  expect(range(0, -1e38f, 1e-30f), {0}, {});
  expectUnknown(range(0, 1e30f, 1));
  expectUnknown(range(0, 0, 0));
}

TEST_F(ONNXEvaluateTest, HugeValuesHaveAShapeOnly) {
  ONNXKnown huge = run(B().input("p")
                           .ints("s", {2}, {1 << 20, 1 << 20})
                           .node("ConstantOfShape", {"s"}, {"y"})
                           .output("y"));
  EXPECT_EQ(huge.shape, (Shape{1 << 20, 1 << 20}));
  EXPECT_FALSE(huge.hasData);
  expectUnknown(run(B().input("p")
                        .ints("s", {3}, {int64_t(1) << 40, int64_t(1) << 40, 0})
                        .node("ConstantOfShape", {"s"}, {"y"})
                        .output("y")));
}

TEST_F(ONNXEvaluateTest, AGraphThatAsksForMuchDataGetsNoMore) {
  auto graph = B().input("p").ints("s", {1}, {1 << 22}).node("ConstantOfShape", {"s"}, {"x0"});
  constexpr int count = 40;
  for (int i = 0; i < count; ++i)
    graph.node("Neg", {"x" + std::to_string(i)}, {"x" + std::to_string(i + 1)});
  ONNXKnown last = run(graph.output("x" + std::to_string(count)));
  EXPECT_EQ(last.shape, Shape{1 << 22});
  EXPECT_FALSE(last.hasData);
}

TEST_F(ONNXEvaluateTest, TheLengthThatTellsIsTwiceTheLargestThreshold) {
  auto comparing = [&](int64_t threshold) {
    return open(
        B().input("p").ints("t", {}, {threshold}).node("Less", {"p", "t"}, {"y"}).output("y"));
  };
  auto small = comparing(100), large = comparing(298);
  ASSERT_TRUE(small.ok() && large.ok());
  EXPECT_EQ(*TellingLength(*small), 206);
  expectError(TellingLength(*large).status(), "compares positions with 298");
}

} // namespace
} // namespace compressc
