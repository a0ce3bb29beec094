#include "ONNXFixture.h"

namespace compressc {
namespace {

using ONNXReaderTest = ONNXFixture;
using B = ONNXBuilder;

TEST_F(ONNXReaderTest, ReadsNodesConstantsAndAttributes) {
  auto graph = open(B().ints("shape", {2}, {3, -1})
                        .initializer(B::tensor("typed", B::f32, {2}).real(4, 0.5f).real(4, -2))
                        .input("tokens")
                        .node("Reshape", {"tokens", "shape"}, {"y"}, {intAttribute("allowzero", 1)})
                        .node("Transpose", {"y"}, {"z"}, {intsAttribute("perm", {1, 0})})
                        .node("Clip", {"z", "", "typed"}, {"w"})
                        .output("w"));
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_EQ(graph->nodes().size(), 3u);
  EXPECT_EQ(graph->nodes()[0].op, "Reshape");
  EXPECT_EQ(graph->nodes()[0].getInt("allowzero", 0), 1);
  EXPECT_EQ(graph->nodes()[0].getInt("missing", 7), 7);
  EXPECT_EQ(graph->nodes()[1].getInts("perm"), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(graph->nodes()[2].inputs[1], -1);
  const ONNXValue &shape = graph->values()[size_t(graph->nodes()[0].inputs[1])];
  EXPECT_EQ(shape.name, "shape");
  EXPECT_EQ(shape.initializer->at(1), -1);
  const ONNXValue &typed = graph->values()[size_t(graph->nodes()[2].inputs[2])];
  EXPECT_EQ(typed.initializer->type, ONNXType::F32);
  EXPECT_EQ(typed.initializer->at(0), 0.5);
  EXPECT_EQ(typed.initializer->at(1), -2);
  ASSERT_EQ(graph->inputs().size(), 1u);
  EXPECT_EQ(graph->inputs()[0].shape, (std::vector<int64_t>{-1, -1}));
  EXPECT_EQ(graph->values()[size_t(graph->outputs()[0])].producer, 2);
  EXPECT_EQ(graph->describe(graph->outputs()[0]), "node 'w' (Clip)");
}

TEST_F(ONNXReaderTest, AConstantNodeIsAnInitializer) {
  Message value = Message()
                      .text(1, "value")
                      .number(20, 4)
                      .message(5, B::tensor("", B::i64, {}).text(9, rawBytes<int64_t>({42})));
  auto graph = open(B().input("tokens").node("Constant", {}, {"c"}, {value}).output("c"));
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_TRUE(graph->nodes().empty());
  EXPECT_EQ(graph->values()[size_t(graph->outputs()[0])].initializer->at(0), 42);
}

TEST_F(ONNXReaderTest, EveryValueThatAConstantNodeNamesHasItsProducer) {
  Message value = Message()
                      .text(1, "value")
                      .number(20, 4)
                      .message(5, B::tensor("", B::i64, {}).text(9, rawBytes<int64_t>({42})));
  auto graph = open(B().input("tokens").node("Constant", {}, {"c", "d"}, {value}).output("d"));
  ASSERT_TRUE(graph.ok()) << graph.status();
  for (const ONNXValue &each : graph->values())
    EXPECT_LT(each.producer, int(graph->nodes().size()));
}

TEST_F(ONNXReaderTest, RefusesGraphsThatDoNotHangTogether) {
  expectError(open(B().node("Neg", {"x"}, {"y"}).output("y")).status(),
              "node '' (Neg) reads 'x', which nothing before it makes");
  expectError(open(B().input("x").node("Neg", {"x"}, {"x"}).output("x")).status(),
              "'x' is defined twice");
  expectError(open(B().ints("x", {1}, {1}).ints("x", {1}, {1})).status(), "'x' is defined twice");
  expectError(open(B().input("x").node("Neg", {"x"}, {})).status(), "has no output");
  expectError(open(B().input("x").output("y")).status(), "nothing makes the output 'y'");
  expectError(open(B().input("x", 8)).status(), "input 'x' is not a tensor of a supported type");
}

TEST_F(ONNXReaderTest, RefusesOtherOperatorSets) {
  expectError(open(B().build(17)).status(),
              "operator set 17 is not supported; export with opset_version=23");
  expectError(open(Message().message(7, Message()).bytes).status(), "names no version");
  expectError(open(Message().number(1, 10).bytes).status(), "it has no graph");
}

TEST_F(ONNXReaderTest, RefusesTensorsThatAreNotWhatTheySay) {
  expectError(open(B().initializer(B::tensor("x", B::i64, {3}).text(9, rawBytes<int64_t>({1, 2}))))
                  .status(),
              "initialiser 'x': 16 bytes for a tensor of 24");
  expectError(open(B().initializer(B::tensor("x", B::f32, {-1}))).status(), "impossible shape");
  expectError(open(B().initializer(B::tensor("x", B::f32, {int64_t(1) << 40, 2}))).status(),
              "impossible shape");
  expectError(open(B().initializer(B::tensor("x", 8, {1}))).status(),
              "element type 8 of the schema is not supported");
}

Message external(const std::string &location, const std::string &offset = "0",
                 int64_t elements = 2) {
  auto entry = [](const std::string &key, const std::string &value) {
    return Message().text(1, key).text(2, value);
  };
  return B::tensor("x", B::f32, {elements})
      .number(14, 1)
      .message(13, entry("location", location))
      .message(13, entry("offset", offset));
}

TEST_F(ONNXReaderTest, ReadsExternalData) {
  put("data", rawBytes<float>({1, 2, 3}));
  auto graph = open(B().initializer(external("data", "4")));
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->values()[0].initializer->at(0), 2);
  EXPECT_EQ(graph->values()[0].initializer->at(1), 3);
}

TEST_F(ONNXReaderTest, RefusesExternalDataOutsideOfItsFile) {
  put("data", rawBytes<float>({1, 2, 3}));
  expectError(open(B().initializer(external("data", "8"))).status(),
              "bytes 8 to 16 lie outside of 'data' of 12 bytes");
  expectError(open(B().initializer(external("data", "2"))).status(), "not aligned: offset 2");
  expectError(open(B().initializer(external("data", "-4"))).status(), "must be numbers");
  expectError(open(B().initializer(external("gone"))).status(),
              "there is no external data file 'gone'");
  expectError(open(B().initializer(external("../data"))).status(),
              "does not lie in the model's folder");
  expectError(open(B().initializer(external("/etc/passwd"))).status(),
              "does not lie in the model's folder");
  expectError(open(B().initializer(external(""))).status(), "does not lie in the model's folder");
}

TEST_F(ONNXReaderTest, NoPrefixOfAFileIsReadAsTheWhole) {
  std::string bytes = B().ints("shape", {2}, {3, -1})
                          .input("x")
                          .node("Reshape", {"x", "shape"}, {"y"})
                          .output("y")
                          .build();
  ASSERT_TRUE(open(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(open(bytes.substr(0, size)).ok()) << size;
}

} // namespace
} // namespace compressc
