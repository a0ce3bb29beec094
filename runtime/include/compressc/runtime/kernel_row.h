// What a kernel is, described once: its row in runtime/ops/kernels.def. The tables of the CPU and of devices, the
// verifier of exec.call, the lowering to exec, estimates, the emitters of source and the table in runtime/cpu/README.md
// are made from it.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/kernel.h"
#include <array>

namespace compressc {

/// Sets of types.
namespace types {
constexpr uint32_t of(DType dtype) { return 1u << int(dtype); }
constexpr uint32_t f32 = of(DType::F32), f16 = of(DType::F16), bf16 = of(DType::BF16);
constexpr uint32_t plain = f32 | f16 | bf16, packed = of(DType::Packed), statistics = of(DType::Statistics);
constexpr uint32_t blocks = of(DType::Q4_0) | of(DType::Q4_1) | of(DType::Q8_0) | of(DType::Q5_0) | of(DType::Q5_1) |
                            of(DType::Q4_K) | of(DType::Q5_K) | of(DType::Q6_K);
constexpr uint32_t weight = plain | packed | blocks;
} // namespace types

/// One operand, or several neighbours of one kind.
struct OperandRow {
  enum class Kind : uint8_t { Tensor, Tokens, Cache };
  enum class Count : uint8_t {
    One,
    Optional, // one or none
    Number,   // as many as the attribute says, 1 without it
    Bits,     // as many as the attribute has bits; without it one or none
    Where,    // one where the attribute is `value`, else none
    Rest,     // one or more
  };
  std::string_view name = {}; // empty: no operand
  uint32_t types = 0;
  std::string_view shape = {}; // for readers
  Kind kind = Kind::Tensor;
  Count count = Count::One;
  std::string_view attribute = {}, value = {};
};

struct AttributeRow {
  enum class Kind : uint8_t { Integer, Real, Text, Reals };
  std::string_view name = {}; // empty: no attribute
  Kind kind = Kind::Integer;
  bool required = false;
};

/// Sizes of an operand. A row of a batch counts as many times as there are.
struct OperandShape {
  double elements = 1, columns = 1, rows = 1;
};
struct KernelRow;
/// What estimates of one call are made from.
struct CallShape {
  const KernelRow &row;
  absl::Span<const OperandShape> inputs, outputs;
  const Attributes &attributes;
  double pairs; // of a query and a key that it attends to, in the whole batch
};

/// How emitters print a call.
enum class Form : uint8_t {
  None,     // not: what only calibration and weight expressions call
  Call,     // call(run, "name", {inputs}, {outputs}, {constants}): runs the kernel of the table
  RmsNorm,  // the others are functions that are compiled for their sizes
  Rotary,
  Attention,
  Linear,
};

struct KernelRow {
  std::string_view name;
  std::array<OperandRow, 6> inputs;
  std::array<OperandRow, 4> outputs;
  std::array<AttributeRow, 10> attributes = {};
  /// Results with rows have the batch's selected ones; else those of the first input.
  bool selects = false;
  /// Row i of the result depends on row i of the inputs, on weights and on nothing else.
  bool rowwise = false;
  /// Results are states, which sum up all batches of a run.
  bool accumulates = false;
  /// Bit i: the first result may be written over the inputs of inputs[i], element by element.
  uint32_t overwrites = 0;
  Form form = Form::None;
  /// How long a call takes, as operations of a matrix product that take as long.
  double (*work)(const CallShape &) = nullptr;
  /// Bytes of shared scratch memory on the CPU at most; null: next to none.
  double (*scratch)(const CallShape &) = nullptr;
  std::string_view notes = {}; // for readers

  absl::Span<const OperandRow> allInputs() const { return named(inputs); }
  absl::Span<const OperandRow> allOutputs() const { return named(outputs); }
  absl::Span<const AttributeRow> allAttributes() const { return named(attributes); }

private:
  template <typename T, size_t size> static absl::Span<const T> named(const std::array<T, size> &all) {
    size_t count = 0;
    while (count < size && !all[count].name.empty())
      ++count;
    return {all.data(), count};
  }
};

/// All rows, sorted by name.
absl::Span<const KernelRow> KernelRows();
/// The row of this name, or null.
const KernelRow *FindKernelRow(std::string_view name);

/// Which of a call's inputs (or outputs) each operand of the row is.
class OperandLayout {
public:
  struct Range {
    size_t begin = 0, count = 0;
  };
  /// Of `count` operands; an error says how many there should be.
  static StatusOr<OperandLayout> Inputs(const KernelRow &row, size_t count, const Attributes &attributes);
  static StatusOr<OperandLayout> Outputs(const KernelRow &row, size_t count, const Attributes &attributes);

  Range operator[](std::string_view name) const;
  /// What operand number `index` is.
  const OperandRow &of(size_t index) const;
  /// As `row.inputs`; a bit for the operand's place there.
  uint32_t bitOf(size_t index) const;

private:
  static StatusOr<OperandLayout> Create(const KernelRow &row, absl::Span<const OperandRow> operands, size_t count,
                                        const Attributes &attributes, const char *what);
  size_t placeOf(size_t index) const;
  absl::Span<const OperandRow> operands;
  std::array<Range, 6> ranges;
};

/// Whether the attributes are the row's: none unknown (but for the name that messages give), of another type or missing.
Status CheckAttributes(const KernelRow &row, const Attributes &attributes);

} // namespace compressc
