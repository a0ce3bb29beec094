// The table of kernels: kernels.def, and the words that its rows are said in.
#include "compressc/runtime/kernel_row.h"
#include <algorithm>
#include <iterator>

namespace compressc {
namespace {

//===-- Operands and attributes --------------------------------------------------------------------===//

using Text = std::string_view;

constexpr OperandRow tensor(Text name, uint32_t types, Text shape) {
  OperandRow operand;
  operand.name = name;
  operand.types = types;
  operand.shape = shape;
  return operand;
}
constexpr OperandRow rows(Text name, Text shape) { return tensor(name, types::f32, shape); }
constexpr OperandRow narrowRows(Text name, Text shape) { return tensor(name, types::f32 | types::bf16, shape); }
constexpr OperandRow floats(Text name, Text shape) { return tensor(name, types::f32, shape); }
constexpr OperandRow vector(Text name, Text shape) { return tensor(name, types::plain, shape); }
constexpr OperandRow plain(Text name, Text shape) { return tensor(name, types::plain, shape); }
constexpr OperandRow weight(Text name, Text shape) { return tensor(name, types::weight, shape); }
constexpr OperandRow packed(Text name, Text shape) { return tensor(name, types::packed, shape); }
constexpr OperandRow plainOrPacked(Text name, Text shape) { return tensor(name, types::plain | types::packed, shape); }
constexpr OperandRow quantized(Text name, Text shape) { return tensor(name, types::packed | types::blocks, shape); }
constexpr OperandRow statistics(Text name, Text shape) { return tensor(name, types::statistics, shape); }
constexpr OperandRow tokens(Text name, Text shape) {
  OperandRow operand = tensor(name, types::of(DType::I32), shape);
  operand.kind = OperandRow::Kind::Tokens;
  return operand;
}
constexpr OperandRow cache(Text name) {
  OperandRow operand = tensor(name, 0, "");
  operand.kind = OperandRow::Kind::Cache;
  return operand;
}

constexpr OperandRow counted(OperandRow operand, OperandRow::Count count, Text attribute = {}, Text value = {}) {
  operand.count = count;
  operand.attribute = attribute;
  operand.value = value;
  return operand;
}
constexpr OperandRow optional(OperandRow operand) { return counted(operand, OperandRow::Count::Optional); }
constexpr OperandRow rest(OperandRow operand) { return counted(operand, OperandRow::Count::Rest); }
constexpr OperandRow number(OperandRow operand, Text attribute) {
  return counted(operand, OperandRow::Count::Number, attribute);
}
constexpr OperandRow bits(OperandRow operand, Text attribute) { return counted(operand, OperandRow::Count::Bits, attribute); }
constexpr OperandRow where(OperandRow operand, Text attribute, Text value) {
  return counted(operand, OperandRow::Count::Where, attribute, value);
}

constexpr AttributeRow integer(Text name) { return {name, AttributeRow::Kind::Integer}; }
constexpr AttributeRow real(Text name) { return {name, AttributeRow::Kind::Real}; }
constexpr AttributeRow text(Text name) { return {name, AttributeRow::Kind::Text}; }
constexpr AttributeRow reals(Text name) { return {name, AttributeRow::Kind::Reals}; }
constexpr AttributeRow required(AttributeRow attribute) {
  attribute.required = true;
  return attribute;
}

//===-- Work ---------------------------------------------------------------------------------------===//

// Counts of operations alone mislead: searches round, compare and give up early, statistics and attention work on less
// regular blocks, elementwise work waits for memory. Measured kernel by kernel in processor time, in AWQ W4 g64 of
// SmolLM2 on 8 x 512 tokens; tools/bench/bench_plan.py compares plans with runs.

double results(const CallShape &call) {
  double elements = 0;
  for (const OperandShape &output : call.outputs)
    elements += output.elements;
  return elements;
}

double elementwise(const CallShape &call) { return 100 * results(call); }
/// Between plain and packed values.
double conversion(const CallShape &call) { return 450 * results(call); }

double linear(const CallShape &call) {
  StatusOr<OperandLayout> layout = OperandLayout::Inputs(call.row, call.inputs.size(), call.attributes);
  double elements = 0;
  if (layout.ok())
    for (size_t i = 0; i < (*layout)["weights"].count; ++i)
      elements += call.inputs[(*layout)["weights"].begin + i].elements;
  return 2 * call.inputs[0].rows * elements;
}

/// Scores and sums, each key at or before a query.
double attention(const CallShape &call) { return 1.6 * 4 * call.pairs * call.inputs[0].columns; }
/// One half of the Gram matrix.
double observe(const CallShape &call) { return 1.35 * call.inputs[0].elements * call.inputs[0].columns; }

/// For each element of the weights: the products with the Gram matrix, for each of its columns, and the rounding. Up to
/// 41 points, most given up early.
double awqScale(const CallShape &call) {
  double elements = 0;
  for (const OperandShape &input : call.inputs.subspan(1))
    elements += input.elements;
  return elements * (54 * call.inputs[0].columns + 11500);
}

/// 10 lower and 10 upper limits for each group: for each element and each column of a group.
double clip(const CallShape &call) {
  return 72 * call.inputs[0].elements * double(call.attributes.getIntOr("group", 1));
}

double outputError(const CallShape &call) { return 1.65 * 2 * call.inputs[0].elements * call.inputs[0].columns; }

/// Two Gram-like products, and some 15 n^3 of LAPACK, fp64 and ten times slower each.
double svd(const CallShape &call) {
  const OperandShape &weight = call.inputs[0];
  return (10 * weight.rows + 150 * weight.columns) * weight.columns * weight.columns +
         2 * weight.elements * call.outputs[1].rows;
}

//===-- Scratch memory -----------------------------------------------------------------------------===//

/// Squares and LAPACK's workspace in fp64, blocks of rows.
double svdScratch(const CallShape &call) {
  double columns = call.inputs[0].columns;
  return 40 * columns * columns + 8 * 1024 * columns + 20 * call.outputs[1].elements;
}

/// Blocks of an error and of its product with the Gram matrix.
double gramErrors(const CallShape &call) {
  double most = 0;
  for (const OperandShape &input : call.inputs)
    most = std::max(most, std::min(double(16 << 20), 8 * input.elements));
  return most;
}

//===-- The table ----------------------------------------------------------------------------------===//

constexpr KernelRow table[] = {
#define COMPRESSC_KERNEL(kernel, function, ...) {.name = #kernel, __VA_ARGS__},
#define COMPRESSC_CPU_KERNEL COMPRESSC_KERNEL
#include "kernels.def"
};

constexpr bool isSorted() {
  for (size_t i = 1; i < std::size(table); ++i)
    if (!(table[i - 1].name < table[i].name))
      return false;
  return true;
}
static_assert(isSorted(), "kernels.def must be sorted by name");

constexpr bool allHaveWork() {
  for (const KernelRow &row : table)
    if (!row.work)
      return false;
  return true;
}
static_assert(allHaveWork(), "a kernel lacks its work, which the dry run needs");

} // namespace

absl::Span<const KernelRow> KernelRows() { return table; }

const KernelRow *FindKernelRow(std::string_view name) {
  const KernelRow *row = std::lower_bound(std::begin(table), std::end(table), name,
                                          [](const KernelRow &row, std::string_view name) { return row.name < name; });
  return row != std::end(table) && row->name == name ? row : nullptr;
}

//===-- Layout -------------------------------------------------------------------------------------===//

StatusOr<OperandLayout> OperandLayout::Inputs(const KernelRow &row, size_t count, const Attributes &attributes) {
  return Create(row, row.allInputs(), count, attributes, "inputs");
}
StatusOr<OperandLayout> OperandLayout::Outputs(const KernelRow &row, size_t count, const Attributes &attributes) {
  return Create(row, row.allOutputs(), count, attributes, "outputs");
}

StatusOr<OperandLayout> OperandLayout::Create(const KernelRow &row, absl::Span<const OperandRow> operands, size_t count,
                                              const Attributes &attributes, const char *what) {
  OperandLayout layout;
  layout.operands = operands;
  size_t fixed = 0;
  auto isOpen = [&](const OperandRow &operand) {
    return operand.count == OperandRow::Count::Optional || operand.count == OperandRow::Count::Rest ||
           (operand.count == OperandRow::Count::Bits && attributes.getIntOr(operand.attribute, 0) == 0);
  };
  size_t open = 0, fewest = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    const OperandRow &operand = operands[i];
    size_t &number = layout.ranges[i].count;
    switch (operand.count) {
    case OperandRow::Count::One:
      number = 1;
      break;
    case OperandRow::Count::Number:
      number = size_t(std::clamp<int64_t>(attributes.getIntOr(operand.attribute, 1), 0, 1 << 12));
      break;
    case OperandRow::Count::Bits:
      number = size_t(__builtin_popcountll(uint64_t(attributes.getIntOr(operand.attribute, 0))));
      break;
    case OperandRow::Count::Where:
      number = attributes.getStringOr(operand.attribute, "") == operand.value;
      break;
    case OperandRow::Count::Optional:
    case OperandRow::Count::Rest:
      break;
    }
    fixed += number;
    open += isOpen(operand);
    fewest += operand.count == OperandRow::Count::Rest;
  }
  bool hasRest = std::any_of(operands.begin(), operands.end(),
                             [](const OperandRow &operand) { return operand.count == OperandRow::Count::Rest; });
  if (count < fixed + fewest || (!hasRest && count > fixed + open))
    return Invalid(row.name, ": got ", count, " ", what, "; it takes ", fixed + fewest,
                   hasRest ? " or more" : open ? absl::StrCat(" to ", fixed + open) : "");
  // What is left goes to the open ones, in order.
  size_t left = count - fixed, begin = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (isOpen(operands[i]))
      layout.ranges[i].count = operands[i].count == OperandRow::Count::Rest ? left : std::min<size_t>(1, left);
    if (isOpen(operands[i]))
      left -= layout.ranges[i].count;
    layout.ranges[i].begin = begin;
    begin += layout.ranges[i].count;
  }
  return layout;
}

size_t OperandLayout::placeOf(size_t index) const {
  size_t place = 0;
  while (place + 1 < operands.size() && index >= ranges[place].begin + ranges[place].count)
    ++place;
  return place;
}

OperandLayout::Range OperandLayout::operator[](std::string_view name) const {
  for (size_t i = 0; i < operands.size(); ++i)
    if (operands[i].name == name)
      return ranges[i];
  return {};
}

const OperandRow &OperandLayout::of(size_t index) const { return operands[placeOf(index)]; }
uint32_t OperandLayout::bitOf(size_t index) const { return 1u << placeOf(index); }

//===-- Attributes ---------------------------------------------------------------------------------===//

Status CheckAttributes(const KernelRow &row, const Attributes &attributes) {
  constexpr std::string_view kinds[] = {"an integer", "a number", "a text", "a list of numbers"};
  for (const auto &[name, value] : attributes.all()) {
    if (name == "name") // of a weight, for messages
      continue;
    auto known = row.allAttributes();
    auto found = std::find_if(known.begin(), known.end(), [&](const AttributeRow &attribute) { return attribute.name == name; });
    if (found == known.end())
      return Invalid(row.name, ": has no attribute '", name, "'");
    size_t kind = value.index(); // in the order of AttributeRow::Kind, but for integers and numbers
    bool fits = kind == size_t(found->kind) || (kind == 0 && found->kind == AttributeRow::Kind::Real);
    if (!fits)
      return Invalid(row.name, ": '", name, "' must be ", kinds[size_t(found->kind)]);
  }
  for (const AttributeRow &attribute : row.allAttributes())
    if (attribute.required && !attributes.all().count(std::string(attribute.name)))
      return Invalid(row.name, ": needs the attribute '", attribute.name, "'");
  return absl::OkStatus();
}

} // namespace compressc
