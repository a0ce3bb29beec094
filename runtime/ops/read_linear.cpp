#include "compressc/runtime/kernel_row.h"
#include "model_kernels.h"
#include "absl/strings/strip.h"
#include <algorithm>
#include <iterator>

namespace compressc {
namespace {

bool overlap(Activations a, int64_t countA, Activations b, int64_t countB) {
  auto endOf = [](Activations of, int64_t count) {
    return static_cast<char *>(of.data) + count * int64_t(DTypeSize(of.type));
  };
  return a.data < endOf(b, countB) && b.data < endOf(a, countA);
}

/// Reads a call's attributes, then its operands, into a LinearCall.
class Reader {
public:
  explicit Reader(const KernelCall &call) : operands("linear", call), call(call) {}

  StatusOr<LinearCall> read(const KernelContext &context) {
    COMPRESSC_RETURN_IF_ERROR(readAttributes());
    COMPRESSC_ASSIGN_OR_RETURN(
        layout, OperandLayout::Inputs(*FindKernelRow("linear"), call.inputs.size(), call.attributes));
    COMPRESSC_RETURN_IF_ERROR(readWeights());
    LinearOperands &linear = result.operands;
    if (normalised) {
      COMPRESSC_ASSIGN_OR_RETURN(linear.epsilon, operands.epsilon());
      COMPRESSC_ASSIGN_OR_RETURN(result.norm,
                                 Floats::Read(call.inputs[1], linear.depth, "linear: the norm's weight"));
      linear.norm = result.norm.data();
    }
    bool narrow = (linear.compute == Compute::BF16 || linear.compute == Compute::Fp8) && !normalised;
    COMPRESSC_ASSIGN_OR_RETURN(
        linear.x, operands.activations(call.inputs[0], "x", narrow, -1, linear.depth));
    linear.rows = call.inputs[0].dim(0);
    COMPRESSC_RETURN_IF_ERROR(readProducts());
    COMPRESSC_RETURN_IF_ERROR(readOutputs());
    linear.products = result.products.data();
    linear.count = int(result.products.size());
    if (answersOnly && context.batch) {
      linear.answers = context.batch->answers.data();
      linear.answerCount = int64_t(context.batch->answers.size());
      COMPRESSC_RETURN_IF_ERROR(CheckAnswers(linear));
    }
    return std::move(result);
  }

private:
  Status readAttributes() {
    const Attributes &attributes = call.attributes;
    std::string prologue = attributes.getStringOr("prologue", "");
    normalised = prologue == "rms_norm";
    if (!prologue.empty() && !normalised)
      return operands.error("the prologue '", prologue, "' is unknown; only \"rms_norm\" is");

    std::string epilogue = attributes.getStringOr("epilogue", "");
    residual = epilogue == "add";
    if (!epilogue.empty() && !residual) {
      absl::string_view kind = epilogue;
      const auto *name = std::end(activationNames);
      if (absl::ConsumeSuffix(&kind, "_mul"))
        name = std::find(std::begin(activationNames), std::end(activationNames),
                         std::string_view(kind.data(), kind.size()));
      if (name == std::end(activationNames))
        return operands.error("the epilogue '", epilogue,
                              "' is unknown; choose add, silu_mul, gelu_mul, gelu_tanh_mul or "
                              "relu_mul");
      activation = Activation(name - activationNames);
    }

    answersOnly = attributes.getIntOr("answers", 0) != 0;
    if (answersOnly && (attributes.getIntOr("weights", 1) != 1 || !epilogue.empty()))
      return operands.error("answers needs one weight and no epilogue");
    std::string compute = attributes.getStringOr("compute", "f32");
    const auto *name = std::find(std::begin(computeNames), std::end(computeNames), compute);
    if (name == std::end(computeNames))
      return operands.error("compute = '", compute, "' is unknown; choose f32, bf16, int8 or fp8");
    result.operands.compute = Compute(name - computeNames);

    count = attributes.getIntOr("weights", 1);
    if (count < 1 || count > mostProducts)
      return operands.error("weights = ", count, "; it must be 1 to ", mostProducts);
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

  std::string name(std::string_view what, int64_t i) const {
    return count == 1 ? absl::StrCat("the ", std::string(what))
                      : absl::StrCat(std::string(what), " ", i);
  }

  Status readWeights() {
    for (int64_t i = 0; i < count; ++i) {
      COMPRESSC_ASSIGN_OR_RETURN(result.weights.emplace_back(),
                                 ReadWeight(call.inputs[layout["weights"].begin + size_t(i)],
                                            "linear: " + name("weight", i)));
      const WeightMatrix &w = result.weights.back(), &first = result.weights.front();
      if (w.columns != first.columns || (activation && w.rows != first.rows))
        return operands.error(name("weight", i), " is [", w.rows, ", ", w.columns, "]; weight 0 is [",
                              first.rows, ", ", first.columns, "]");
    }
    result.operands.depth = result.weights.front().columns;
    return absl::OkStatus();
  }

  Status readProducts() {
    std::vector<const float *> vectors(size_t(count), nullptr);
    result.biases.resize(size_t(count));
    size_t next = layout["biases"].begin;
    for (int64_t i = 0; i < count; ++i)
      if (biases >> i & 1) {
        Floats &bias = result.biases[size_t(i)];
        COMPRESSC_ASSIGN_OR_RETURN(bias, Floats::Read(call.inputs[next++], result.weights[size_t(i)].rows,
                                                      "linear: " + name("bias", i)));
        vectors[size_t(i)] = bias.data();
      }
    if (activation) {
      LinearProduct &product = result.products.emplace_back();
      product.w = &result.weights[1];
      product.bias = vectors[1];
      product.gate = &result.weights[0];
      product.gateBias = vectors[0];
      product.activation = *activation;
      return absl::OkStatus();
    }
    for (int64_t i = 0; i < count; ++i) {
      LinearProduct &product = result.products.emplace_back();
      product.w = &result.weights[size_t(i)];
      product.bias = vectors[size_t(i)];
    }
    if (residual) {
      COMPRESSC_ASSIGN_OR_RETURN(
          result.products.front().residual,
          operands.matrix(call.inputs.back(), "the residual", result.operands.rows, result.weights[0].rows));
    }
    return absl::OkStatus();
  }

  Status readOutputs() {
    std::vector<LinearProduct> &products = result.products;
    int64_t rows = result.operands.rows;
    auto sizeOf = [&](const LinearProduct &product) { return rows * product.w->rows; };
    for (size_t i = 0; i < products.size(); ++i) {
      LinearProduct &product = products[i];
      std::string what = products.size() == 1 ? "the output" : absl::StrCat("output ", i);
      COMPRESSC_ASSIGN_OR_RETURN(product.out,
                                 operands.activations(call.outputs[i], what, product.gate != nullptr, rows,
                                                      product.w->rows));
      if (overlap(result.operands.x, rows * result.operands.depth, product.out, sizeOf(product)))
        return operands.error("x and ", what, " overlap");
      for (size_t j = 0; j < i; ++j)
        if (overlap(products[j].out, sizeOf(products[j]), product.out, sizeOf(product)))
          return operands.error("outputs ", j, " and ", i, " overlap");
      const float *added = product.residual;
      if (added && added != product.out.data &&
          overlap({const_cast<float *>(added)}, sizeOf(product), product.out, sizeOf(product)))
        return operands.error("the residual overlaps the output; it may be the whole output");
    }
    return absl::OkStatus();
  }

  Operands operands;
  const KernelCall &call;
  OperandLayout layout;
  bool normalised = false, residual = false, answersOnly = false;
  std::optional<Activation> activation;
  int64_t count = 0, biases = 0;
  LinearCall result;
};

} // namespace

StatusOr<LinearCall> ReadLinear(const KernelContext &context, const KernelCall &call) {
  return Reader(call).read(context);
}

Status CheckAnswers(const LinearOperands &operands) {
  for (int64_t i = 0; i < operands.answerCount; ++i)
    if (operands.answers[i] < 0 || operands.answers[i] >= operands.products[0].w->rows)
      return Invalid("linear: the answer ", operands.answers[i], " is not one of ",
                     operands.products[0].w->rows, " columns");
  return absl::OkStatus();
}

} // namespace compressc
