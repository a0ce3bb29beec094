#include "compressc/runtime/device.h"
#include "fp8.h"
#include "int8.h"
#include "kernels.h"
#include "model_kernels.h"
#include "operands.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/strip.h"

namespace compressc {
namespace {

bool overlap(Activations a, int64_t countA, Activations b, int64_t countB) {
  auto endOf = [](Activations of, int64_t count) { return static_cast<char *>(of.data) + count * int64_t(DTypeSize(of.type)); };
  return a.data < endOf(b, countB) && b.data < endOf(a, countA);
}

/// What a linear's products read, prepared once for all of them: x normalised and rounded, in the shared scratch.
class Rows {
public:
  Rows(KernelContext &context, const LinearOperands &operands, absl::Span<const GemmProduct> products)
      : operands(operands) {
    for (const GemmProduct &product : products)
      for (const WeightMatrix *w : {product.w, product.gate})
        if (std::optional<Int8Format> format = formatOf(w); format && !find(*format))
          int8.emplace_back().format = *format;
    values = operands.x.floats();
    // Of a narrow result, which one product has.
    size_t wideBytes = products[0].outType == DType::BF16 ? padded(operands.rows * products[0].columns) : 0;
    if (operands.norm || operands.inBf16 || operands.inFp8 || !int8.empty() || wideBytes)
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
    return w && operands.inInt8 ? Int8FormatOf(*w) : std::nullopt;
  }
  const Int8Rows *find(const Int8Format &format) const {
    for (const Int8Rows &to : int8)
      if (to.format == format)
        return &to;
    return nullptr;
  }

  static size_t padded(int64_t floats) { return size_t(floats * int64_t(sizeof(float)) + 63) / 64 * 64; }

  void prepare(KernelContext &context, size_t wideBytes) {
    int64_t rows = operands.rows, depth = operands.depth;
    bool changed = operands.norm || operands.inBf16 || operands.inFp8;
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
          if (operands.inBf16 || operands.inFp8)
            COMPRESSC_ISA_CALL(roundRowToBFloat16, from, depth, rounded);
        }
        if (operands.inFp8)
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
void answerColumns(KernelContext &context, const LinearOperands &operands, const float *x, const GemmProduct &product) {
  int64_t count = int64_t(operands.answers.size()), depth = operands.depth;
  std::vector<float> gathered(size_t(count * depth)), bias, sums(size_t(operands.rows * count));
  for (int64_t i = 0; i < count; ++i) {
    DequantizeRow(*product.w, operands.answers[size_t(i)], gathered.data() + i * depth);
    if (product.epilogue.bias)
      bias.push_back(product.epilogue.bias[operands.answers[size_t(i)]]);
  }
  WeightMatrix w = WeightMatrix::FromFloats(gathered.data(), count, depth, depth);
  GemmProduct wanted;
  wanted.w = &w;
  wanted.bf16 = operands.inBf16;
  wanted.columns = wanted.ldo = count;
  wanted.out = sums.data();
  wanted.epilogue.bias = bias.empty() ? nullptr : bias.data();
  Gemm(context, operands.rows, depth, x, depth, {&wanted, 1});
  for (int64_t row = 0; row < operands.rows; ++row)
    for (int64_t i = 0; i < count; ++i)
      product.out[row * product.ldo + operands.answers[size_t(i)]] = sums[size_t(row * count + i)];
}

/// The operands and attributes of one call, checked.
class LinearCall {
public:
  explicit LinearCall(const KernelCall &call) : operands("linear", call), call(call) {}

  Status parse() {
    COMPRESSC_RETURN_IF_ERROR(parseAttributes());
    COMPRESSC_RETURN_IF_ERROR(parseWeights());
    if (normalised) {
      COMPRESSC_ASSIGN_OR_RETURN(epsilon, operands.epsilon());
      COMPRESSC_ASSIGN_OR_RETURN(
          norm, VectorAsFloats(call.inputs[1], depth, "linear: the norm's weight", normStorage));
    }
    COMPRESSC_ASSIGN_OR_RETURN(x, operands.activations(call.inputs[0], "x", (inBf16 || inFp8) && !normalised, -1, depth));
    rows = call.inputs[0].dim(0);
    COMPRESSC_RETURN_IF_ERROR(parseProducts());
    return parseOutputs();
  }

  Status checkAnswers(const KernelContext &context) const {
    if (answersOnly && context.batch)
      for (int32_t answer : context.batch->answers)
        if (answer < 0 || answer >= weights[0].rows)
          return operands.error("the answer ", answer, " is not one of ", weights[0].rows, " columns");
    return absl::OkStatus();
  }

  void run(KernelContext &context) {
    absl::Span<const int32_t> answers;
    if (answersOnly && context.batch)
      answers = context.batch->answers;
    Linear(context, {x, rows, depth, normalised ? norm : nullptr, epsilon, inInt8, inBf16, inFp8, answers}, absl::MakeSpan(products));
  }

private:
  Status parseAttributes() {
    const Attributes &attributes = call.attributes;
    std::string prologue = attributes.getStringOr("prologue", "");
    normalised = prologue == "rms_norm";
    if (!prologue.empty() && !normalised)
      return operands.error("the prologue '", prologue, "' is unknown; only \"rms_norm\" is");

    std::string epilogue = attributes.getStringOr("epilogue", "");
    residual = epilogue == "add";
    if (!epilogue.empty() && !residual) {
      absl::string_view kind = epilogue;
      if (absl::ConsumeSuffix(&kind, "_mul"))
        activation = ActivationFromName({kind.data(), kind.size()});
      if (!activation)
        return operands.error("the epilogue '", epilogue,
                              "' is unknown; choose add, silu_mul, gelu_mul, gelu_tanh_mul or "
                              "relu_mul");
    }

    answersOnly = attributes.getIntOr("answers", 0) != 0;
    if (answersOnly && (attributes.getIntOr("weights", 1) != 1 || !epilogue.empty()))
      return operands.error("answers needs one weight and no epilogue");
    std::string compute = attributes.getStringOr("compute", "f32");
    inInt8 = compute == "int8";
    inBf16 = compute == "bf16";
    inFp8 = compute == "fp8";
    if (compute != "f32" && !inInt8 && !inBf16 && !inFp8)
      return operands.error("compute = '", compute, "' is unknown; choose f32, bf16, int8 or fp8");

    count = attributes.getIntOr("weights", 1);
    if (count < 1 || count > 32)
      return operands.error("weights = ", count, "; it must be 1 to 32");
    if (activation && count != 2)
      return operands.error("the epilogue '", epilogue, "' takes two weights, gate and up, not ",
                            count);
    if (residual && count != 1)
      return operands.error("the epilogue 'add' takes one weight, not ", count);

    size_t fixed = 1 + size_t(normalised) + size_t(count) + size_t(residual);
    biases = attributes.getIntOr("biases", 0);
    if (biases < 0 || biases >> count)
      return operands.error("biases = ", biases, "; it is a bit for each of ", count, " weights");
    size_t most = fixed + size_t(__builtin_popcountll(uint64_t(biases)));
    if (count == 1 && biases == 0) {
      most = fixed + 1;
      biases = call.inputs.size() == most;
      return operands.counts(fixed, most, 1);
    }
    return operands.counts(most, most, activation ? 1 : size_t(count));
  }

  size_t firstWeight() const { return 1 + size_t(normalised); }
  std::string name(std::string_view what, int64_t i) const {
    return count == 1 ? absl::StrCat("the ", std::string(what))
                      : absl::StrCat(std::string(what), " ", i);
  }

  Status parseWeights() {
    for (int64_t i = 0; i < count; ++i) {
      COMPRESSC_ASSIGN_OR_RETURN(weights.emplace_back(),
                                 WeightMatrix::Create(call.inputs[firstWeight() + size_t(i)],
                                                      "linear: " + name("weight", i)));
      const WeightMatrix &w = weights.back(), &first = weights.front();
      if (w.columns != first.columns || (activation && w.rows != first.rows))
        return operands.error(name("weight", i), " is [", w.rows, ", ", w.columns, "]; weight 0 is [",
                              first.rows, ", ", first.columns, "]");
    }
    depth = weights.front().columns;
    return absl::OkStatus();
  }

  Status parseProducts() {
    std::vector<const float *> vectors(size_t(count), nullptr);
    biasStorage.resize(size_t(count));
    size_t next = firstWeight() + size_t(count);
    for (int64_t i = 0; i < count; ++i)
      if (biases >> i & 1) {
        COMPRESSC_ASSIGN_OR_RETURN(
            vectors[size_t(i)],
            VectorAsFloats(call.inputs[next++], weights[size_t(i)].rows,
                           "linear: " + name("bias", i), biasStorage[size_t(i)]));
      }
    if (activation) {
      GemmProduct &product = products.emplace_back();
      product.w = &weights[1];
      product.epilogue.bias = vectors[1];
      product.gate = &weights[0];
      product.gateBias = vectors[0];
      product.activation = *activation;
    } else {
      for (int64_t i = 0; i < count; ++i) {
        GemmProduct &product = products.emplace_back();
        product.w = &weights[size_t(i)];
        product.epilogue.bias = vectors[size_t(i)];
      }
    }
    for (GemmProduct &product : products)
      product.columns = product.ldo = product.w->rows;
    if (residual) {
      GemmProduct &product = products.front();
      COMPRESSC_ASSIGN_OR_RETURN(
          product.epilogue.residual,
          operands.matrix(call.inputs.back(), "the residual", rows, product.columns));
      product.epilogue.residualStride = product.columns;
    }
    return absl::OkStatus();
  }

  Status parseOutputs() {
    for (size_t i = 0; i < products.size(); ++i) {
      GemmProduct &product = products[i];
      std::string what = products.size() == 1 ? "the output" : absl::StrCat("output ", i);
      COMPRESSC_ASSIGN_OR_RETURN(Activations out, operands.activations(call.outputs[i], what, product.gate != nullptr, rows, product.columns));
      product.out = out.floats();
      product.outType = out.type;
      if (overlap(x, rows * depth, out, rows * product.columns))
        return operands.error("x and ", what, " overlap");
      for (size_t j = 0; j < i; ++j)
        if (overlap({products[j].out}, rows * products[j].columns, out, rows * product.columns))
          return operands.error("outputs ", j, " and ", i, " overlap");
      const float *added = product.epilogue.residual;
      if (added && added != product.out &&
          overlap({const_cast<float *>(added)}, rows * product.columns, out, rows * product.columns))
        return operands.error("the residual overlaps the output; it may be the whole output");
    }
    return absl::OkStatus();
  }

  Operands operands;
  const KernelCall &call;
  bool normalised = false, residual = false, inInt8 = false, inBf16 = false, inFp8 = false, answersOnly = false;
  std::optional<Activation> activation;
  int64_t count = 0, biases = 0, rows = 0, depth = 0;
  float epsilon = 0;
  Activations x;
  const float *norm = nullptr;
  std::vector<WeightMatrix> weights;
  std::vector<GemmProduct> products;
  std::vector<float> normStorage;
  std::vector<std::vector<float>> biasStorage;
};

} // namespace

void Linear(KernelContext &context, const LinearOperands &operands, absl::Span<GemmProduct> products) {
  if (operands.rows == 0)
    return;
  if (context.device)
    return context.device->linear(operands, products.data(), products.size());
  Rows rows(context, operands, products);
  // In int8 the kernel reads the codes where they are.
  if (!operands.answers.empty() && !rows.codes(products[0].w))
    return answerColumns(context, operands, rows.floats(), products[0]);
  float *narrow = products[0].outType == DType::BF16 ? std::exchange(products[0].out, rows.wide()) : nullptr;
  for (GemmProduct &product : products) {
    product.bf16 = operands.inBf16;
    product.int8 = rows.codes(product.w);
    product.gateInt8 = rows.codes(product.gate);
  }
  Gemm(context, operands.rows, operands.depth, rows.floats(), operands.depth, products);
  if (narrow)
    RoundRows(context, rows.wide(), operands.rows, products[0].columns, narrow);
}

Status LinearKernel(KernelContext &context, const KernelCall &call) {
  LinearCall linear(call);
  COMPRESSC_RETURN_IF_ERROR(linear.parse());
  COMPRESSC_RETURN_IF_ERROR(linear.checkAnswers(context));
  linear.run(context);
  return absl::OkStatus();
}

} // namespace compressc
