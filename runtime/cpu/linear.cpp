#include "fp8.h"
#include "int8.h"
#include "isa/functions.h"
#include "kernels.h"
#include "rows.h"
#include "absl/container/inlined_vector.h"

namespace compressc {
namespace {

/// What a linear's products read, prepared once for all of them: x normalised and rounded, in the shared scratch.
class Rows {
public:
  Rows(KernelContext &context, const LinearOperands &operands) : operands(operands) {
    for (int i = 0; i < operands.count; ++i)
      for (const WeightMatrix *w : {operands.products[i].w, operands.products[i].gate})
        if (std::optional<Int8Format> format = formatOf(w); format && !find(*format))
          int8.emplace_back().format = *format;
    values = operands.x.floats();
    // Of a narrow result, which one product has.
    const LinearProduct &first = operands.products[0];
    size_t wideBytes = first.out.type == DType::BF16 ? padded(operands.rows * first.w->rows) : 0;
    if (operands.norm || rounds() || !int8.empty() || wideBytes)
      prepare(context, wideBytes);
  }

  /// Room for the product of a narrow result.
  float *wide() const { return wideMemory; }

  const float *floats() const { return values; }
  /// x in the format of this weight; null when its product is not computed in int8.
  const Int8Rows *codes(const WeightMatrix *w) const {
    std::optional<Int8Format> format = formatOf(w);
    return format ? find(*format) : nullptr;
  }

private:
  std::optional<Int8Format> formatOf(const WeightMatrix *w) const {
    return w && operands.compute == Compute::Int8 ? Int8FormatOf(*w) : std::nullopt;
  }
  const Int8Rows *find(const Int8Format &format) const {
    for (const Int8Rows &to : int8)
      if (to.format == format)
        return &to;
    return nullptr;
  }

  bool rounds() const { return operands.compute == Compute::BF16 || operands.compute == Compute::Fp8; }
  static size_t padded(int64_t floats) { return size_t(floats * int64_t(sizeof(float)) + 63) / 64 * 64; }

  void prepare(KernelContext &context, size_t wideBytes) {
    int64_t rows = operands.rows, depth = operands.depth;
    bool changed = operands.norm || rounds();
    bool narrow = operands.x.type == DType::BF16;
    size_t normedBytes = changed ? padded(rows * depth) : 0;
    size_t bytes = wideBytes + normedBytes;
    for (const Int8Rows &to : int8)
      bytes += Int8Rows::bytes(rows, depth, to.format);
    char *memory = static_cast<char *>(context.scratch.shared(bytes));
    wideMemory = reinterpret_cast<float *>(memory);
    memory += wideBytes;
    float *normed = reinterpret_cast<float *>(memory);
    memory += normedBytes;
    for (Int8Rows &to : int8) {
      to = Int8Rows::In(memory, rows, depth, to.format);
      memory += Int8Rows::bytes(rows, depth, to.format);
    }
    ForRows(context, rows, depth, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        const float *from = operands.x.floats() + row * depth;
        float *rounded = normed + row * depth;
        if (narrow) {
          const uint16_t *bits = static_cast<const uint16_t *>(operands.x.data) + row * depth;
          std::transform(bits, bits + depth, rounded, BFloat16ToFloat);
        } else {
          if (operands.norm) {
            COMPRESSC_ISA_CALL(rmsNorm, from, operands.norm, depth, operands.epsilon, rounded);
            from = rounded;
          }
          if (rounds())
            COMPRESSC_ISA_CALL(roundRowToBFloat16, from, depth, rounded);
        }
        if (operands.compute == Compute::Fp8)
          RoundRowToFp8(rounded, depth);
        for (const Int8Rows &to : int8)
          COMPRESSC_ISA_CALL(quantizeRow, from, depth, row, to);
      }
    });
    if (changed)
      values = normed;
  }

  const LinearOperands &operands;
  const float *values;
  float *wideMemory = nullptr;
  absl::InlinedVector<Int8Rows, 2> int8; // one for each distinct format
};

/// The wanted columns alone: their rows of the weight are gathered, and the bits are those of the whole product.
void answerColumns(KernelContext &context, const LinearOperands &operands, const float *x) {
  const LinearProduct &product = operands.products[0];
  int64_t count = operands.answerCount, depth = operands.depth;
  std::vector<float> gathered(size_t(count * depth)), bias, sums(size_t(operands.rows * count));
  for (int64_t i = 0; i < count; ++i) {
    DequantizeRow(*product.w, operands.answers[i], gathered.data() + i * depth);
    if (product.bias)
      bias.push_back(product.bias[operands.answers[i]]);
  }
  WeightMatrix w = WeightMatrix::FromFloats(gathered.data(), count, depth, depth);
  GemmProduct wanted;
  wanted.w = &w;
  wanted.bf16 = operands.compute == Compute::BF16;
  wanted.columns = wanted.ldo = count;
  wanted.out = sums.data();
  wanted.epilogue.bias = bias.empty() ? nullptr : bias.data();
  Gemm(context, operands.rows, depth, x, depth, {&wanted, 1});
  for (int64_t row = 0; row < operands.rows; ++row)
    for (int64_t i = 0; i < count; ++i)
      product.out.floats()[row * product.w->rows + operands.answers[i]] = sums[size_t(row * count + i)];
}

} // namespace

void Linear(KernelContext &context, const LinearOperands &operands) {
  if (operands.rows == 0)
    return;
  Rows rows(context, operands);
  // In int8 the kernel reads the codes where they are.
  if (operands.answerCount > 0 && !rows.codes(operands.products[0].w))
    return answerColumns(context, operands, rows.floats());
  absl::InlinedVector<GemmProduct, 4> products;
  for (int i = 0; i < operands.count; ++i) {
    const LinearProduct &from = operands.products[i];
    GemmProduct &product = products.emplace_back();
    product.w = from.w;
    product.int8 = rows.codes(from.w);
    product.bf16 = operands.compute == Compute::BF16;
    product.columns = product.ldo = from.w->rows;
    product.out = from.out.type == DType::BF16 ? rows.wide() : from.out.floats();
    product.epilogue = {from.bias, from.residual, from.w->rows};
    product.gate = from.gate;
    product.gateInt8 = rows.codes(from.gate);
    product.gateBias = from.gateBias;
    product.activation = from.activation;
  }
  Gemm(context, operands.rows, operands.depth, rows.floats(), operands.depth, products);
  if (operands.products[0].out.type == DType::BF16)
    RoundRows(context, rows.wide(), operands.rows, products[0].columns, operands.products[0].out.data);
}

Status LinearKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(LinearCall linear, ReadLinear(context, call));
  Linear(context, linear.operands);
  return absl::OkStatus();
}

} // namespace compressc
