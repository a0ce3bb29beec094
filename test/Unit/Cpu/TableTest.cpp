#include "ModelSupport.h"
#include "compressc/runtime/kernel_row.h"
#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace compressc;
using namespace compressc::test;

namespace {

std::string operandsText(absl::Span<const OperandRow> operands) {
  std::string text;
  for (const OperandRow &operand : operands) {
    std::string one(operand.name);
    std::string kinds = operand.kind == OperandRow::Kind::Tokens   ? "i32"
                        : operand.kind == OperandRow::Kind::Cache  ? ""
                        : operand.types == types::weight           ? "W"
                        : operand.types == types::statistics       ? "Statistics"
                        : operand.types == types::packed           ? "Packed"
                        : operand.types == types::plain            ? "plain"
                        : operand.types == (types::f32 | types::bf16) ? "f or bf16"
                        : operand.types == types::f32              ? "f"
                        : operand.types & types::packed            ? operand.types & types::plain ? "plain or Packed" : "Packed or GGUF blocks"
                                                                   : "?";
    if (!kinds.empty())
      one += " " + kinds;
    if (!operand.shape.empty())
      one += " " + std::string(operand.shape);
    if (operand.count == OperandRow::Count::Number || operand.count == OperandRow::Count::Rest)
      one += " …";
    else if (operand.count != OperandRow::Count::One)
      one = "[" + one + (operand.count == OperandRow::Count::Bits ? " …" : "") + "]";
    text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

/// The table of kernels in Markdown.
std::string tableText() {
  std::string text = "| kernel | inputs | outputs | attributes | |\n|---|---|---|---|---|\n";
  for (const KernelRow &row : KernelRows()) {
    std::string attributes;
    for (const AttributeRow &attribute : row.allAttributes())
      attributes += (attributes.empty() ? "" : ", ") + std::string(attribute.name);
    text += "| `" + std::string(row.name) + "` | " + operandsText(row.allInputs()) + " | " + operandsText(row.allOutputs()) +
            (row.accumulates ? " (state, accumulated)" : "") + " | " + attributes + " | " + std::string(row.notes) + " |\n";
  }
  return text;
}

/// COMPRESSC_WRITE_DOCS=1 writes it.
TEST(KernelTable, TheReadmeHasIt) {
  const std::string path = std::string(COMPRESSC_TEST_DIR) + "/../runtime/cpu/README.md";
  std::ifstream file(path);
  ASSERT_TRUE(file);
  std::string readme((std::istreambuf_iterator<char>(file)), {});
  const std::string begin = "<!-- kernels.def -->\n", end = "<!-- end -->\n";
  size_t from = readme.find(begin), to = readme.find(end);
  ASSERT_TRUE(from != readme.npos && to != readme.npos);
  from += begin.size();
  if (std::getenv("COMPRESSC_WRITE_DOCS")) {
    readme.replace(from, to - from, tableText());
    std::ofstream(path) << readme;
    return;
  }
  EXPECT_EQ(readme.substr(from, to - from), tableText()) << "run CpuTests with COMPRESSC_WRITE_DOCS=1";
}

TEST(KernelTable, HasAFunctionForEachRow) {
  for (const KernelRow &row : KernelRows())
    EXPECT_NE(FindKernel(row.name), nullptr) << row.name;
}

/// Which operands a call of `linear` has depends on its attributes.
TEST(KernelTable, LaysOutOperandsByAttributes) {
  const KernelRow &linear = *FindKernelRow("linear");
  Attributes attributes;
  attributes.set("weights", int64_t(2));
  attributes.set("biases", int64_t(2));
  attributes.set("prologue", "rms_norm");
  StatusOr<OperandLayout> layout = OperandLayout::Inputs(linear, 5, attributes);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ((*layout)["norm"].begin, 1u);
  EXPECT_EQ((*layout)["weights"].begin, 2u);
  EXPECT_EQ((*layout)["weights"].count, 2u);
  EXPECT_EQ((*layout)["biases"].begin, 4u);
  EXPECT_EQ((*layout)["biases"].count, 1u);
  EXPECT_EQ((*layout)["residual"].count, 0u);
  EXPECT_EQ(layout->of(3).name, "weights");
  expectRefused(OperandLayout::Inputs(linear, 6, attributes).status(), "linear: got 6 inputs; it takes 5");

  // One weight may have a bias without saying so.
  Attributes added;
  added.set("epilogue", "add");
  layout = OperandLayout::Inputs(linear, 4, added);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ((*layout)["biases"].begin, 2u);
  EXPECT_EQ((*layout)["residual"].begin, 3u);
  layout = OperandLayout::Inputs(linear, 3, added);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ((*layout)["biases"].count, 0u);
  EXPECT_EQ((*layout)["residual"].begin, 2u);
}

TEST(KernelTable, ChecksAttributes) {
  const KernelRow &norm = *FindKernelRow("rms_norm");
  Attributes attributes;
  expectRefused(CheckAttributes(norm, attributes), "rms_norm: needs the attribute 'epsilon'");
  attributes.set("epsilon", "small");
  expectRefused(CheckAttributes(norm, attributes), "rms_norm: 'epsilon' must be a number");
  attributes.set("epsilon", int64_t(0));
  EXPECT_TRUE(CheckAttributes(norm, attributes).ok());
  attributes.set("epsilom", 1.0);
  expectRefused(CheckAttributes(norm, attributes), "rms_norm: has no attribute 'epsilom'");
}

TEST(KernelTable, FindsOnlyWholeNames) {
  for (std::string_view name : {"", "ad", "addd", "zzz", "Linear", "linear "})
    EXPECT_EQ(FindKernel(name), nullptr) << name;
}

TEST(InstructionSet, SwitchesAmongWhatTheMachineHas) {
  std::string before(InstructionSet());
  EXPECT_FALSE(SetInstructionSetForTesting("sse9"));
  EXPECT_EQ(InstructionSet(), before);
  ASSERT_TRUE(SetInstructionSetForTesting("portable"));
  EXPECT_EQ(InstructionSet(), "portable");
  ASSERT_TRUE(SetInstructionSetForTesting(before));
}

} // namespace
