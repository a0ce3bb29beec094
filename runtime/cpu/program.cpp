#include "program_run.h"
#include "model_kernels.h"
#include "operands.h"
#include <algorithm>

namespace compressc {

StatusOr<ProgramWeight> ProgramWeight::Create(const Tensor &tensor, std::string_view what) {
  ProgramWeight weight;
  if (tensor.rank() != 1) {
    COMPRESSC_ASSIGN_OR_RETURN(weight.matrix, WeightMatrix::Create(tensor, what));
    return weight;
  }
  std::vector<float> storage;
  COMPRESSC_ASSIGN_OR_RETURN(weight.vector, VectorAsFloats(tensor, tensor.dim(0), what, storage));
  weight.matrix.rows = tensor.dim(0);
  if (!storage.empty()) {
    weight.storage = std::make_unique<float[]>(storage.size());
    std::copy(storage.begin(), storage.end(), weight.storage.get());
    weight.vector = weight.storage.get();
  }
  return weight;
}

namespace program {
namespace {

/// Whether there is anything to do: no error, and rows to work on.
bool idle(const Run &run, Value out) { return !run.status.ok() || run.rows(out) == 0; }

compressc::Activation activation(Activation kind) {
  static_assert(int(Activation::Silu) == int(compressc::Activation::Silu) + 1 &&
                int(Activation::Relu) == int(compressc::Activation::Relu) + 1);
  return compressc::Activation(uint8_t(kind) - 1);
}

} // namespace

void embedding(Run &run, Weight table, Value out, float scale) {
  if (idle(run, out))
    return;
  const WeightMatrix &matrix = run.weights[table].matrix;
  const std::vector<int32_t> &tokens = run.context.batch->tokens;
  if (int64_t row = FirstTokenOutside(tokens.data(), run.rows(out), matrix.rows); row >= 0) {
    run.status = Invalid("embedding: token ", tokens[size_t(row)], " in row ", row,
                         " is not in the vocabulary of ", matrix.rows);
    return;
  }
  Embedding(run.context, tokens.data(), run.rows(out), matrix, run.at(out), scale);
}

void selectRows(Run &run, Value x, Value out) {
  if (!idle(run, out))
    SelectRows(run.context, run.at(x), x.columns, run.at(out));
}

void add(Run &run, Value a, Value b, Value out) {
  if (!idle(run, out))
    Add(run.context, run.at(a), run.at(b), run.rows(out), out.columns, run.at(out));
}

void mul(Run &run, Value a, Value b, Value out) {
  if (!idle(run, out))
    Mul(run.context, run.at(a), run.at(b), run.rows(out), out.columns, run.at(out));
}

void gatedActivation(Run &run, Activation kind, Value gate, Value up, Value out) {
  if (!idle(run, out))
    GatedActivation(run.context, activation(kind), run.at(gate), run.at(up), run.rows(out), out.columns,
                    run.at(out));
}

void rmsNorm(Run &run, Value x, Weight weight, double epsilon, Value out) {
  if (!idle(run, out))
    RmsNorm(run.context, run.at(x), run.rows(out), out.columns, run.weights[weight].vector,
            run.weights[weight].matrix.rows, float(epsilon), run.at(out));
}

void layerNorm(Run &run, Value x, Weight weight, Weight bias, double epsilon, Value out) {
  if (!idle(run, out))
    LayerNorm(run.context, run.at(x), run.rows(out), out.columns, run.weights[weight].vector,
              bias == none ? nullptr : run.weights[bias].vector, float(epsilon), run.at(out));
}

void linear(Run &run, Value x, std::initializer_list<Weight> weights, std::initializer_list<Value> outs,
            const LinearOptions &options) {
  if (idle(run, x))
    return;
  constexpr size_t most = 32;
  GemmProduct products[most];
  auto bias = [&](size_t i) -> const float * {
    Weight place = i < options.biases.size() ? options.biases.begin()[i] : none;
    return place == none ? nullptr : run.weights[place].vector;
  };
  for (size_t i = 0; i < outs.size() && i < most; ++i) {
    GemmProduct &product = products[i];
    Value out = outs.begin()[i];
    bool gated = options.gate != Activation::None;
    size_t index = gated ? 1 : i;
    product.w = &run.weights[weights.begin()[index]].matrix;
    product.epilogue.bias = bias(index);
    product.out = run.at(out);
    product.outType = run.activations(out).type;
    product.columns = product.ldo = out.columns;
    if (gated) {
      product.gate = &run.weights[weights.begin()[0]].matrix;
      product.gateBias = bias(0);
      product.activation = activation(options.gate);
    }
    if (options.add) {
      product.epilogue.residual = run.at(*options.add);
      product.epilogue.residualStride = out.columns;
    }
  }
  LinearOperands operands;
  operands.x = run.activations(x);
  operands.rows = run.rows(x);
  operands.depth = x.columns;
  if (options.norm != none) {
    operands.norm = run.weights[options.norm].vector;
    operands.epsilon = float(options.epsilon);
  }
  operands.inInt8 = options.compute == Compute::Int8;
  operands.inBf16 = options.compute == Compute::BF16;
  operands.inFp8 = options.compute == Compute::Fp8;
  if (options.answers) {
    operands.answers = run.context.batch->answers;
    for (int32_t answer : operands.answers)
      if (answer < 0 || answer >= products[0].columns) {
        run.status = Invalid("linear: the answer ", answer, " is not one of ", products[0].columns, " columns");
        return;
      }
  }
  Linear(run.context, operands, {products, outs.size()});
}

void rotaryEmbedding(Run &run, Value x, Value out, const RotaryOptions &options) {
  if (!idle(run, out))
    RotaryEmbedding(run.context, run.at(x), run.rows(x), x.columns,
                    {options.headDim, options.frequencies, float(options.factor), x.rows == Rows::Selected,
                     options.norm == none ? nullptr : run.weights[options.norm].vector, float(options.epsilon)},
                    run.at(out));
}

void attention(Run &run, Value query, Value key, Value value, Cache cache, Value out,
               const AttentionOptions &options) {
  if (!run.status.ok())
    return; // without selected rows the cache is still to be filled
  AttentionOperands operands;
  operands.query = run.at(query);
  operands.key = run.at(key);
  operands.value = run.at(value);
  operands.out = run.activations(out);
  operands.cache = run.caches[cache];
  operands.queries = options.heads;
  operands.groups = options.kvHeads;
  operands.dim = query.columns / options.heads;
  operands.window = options.window;
  operands.scale = float(options.scale);
  operands.selected = query.rows == Rows::Selected;
  auto norm = [&](Weight weight) { return weight == none ? nullptr : run.weights[weight].vector; };
  operands.rotation = {operands.dim,      options.frequencies,     float(options.factor),
                       operands.selected, norm(options.queryNorm), float(options.epsilon)};
  operands.keyNorm = norm(options.keyNorm);
  Attention(run.context, operands);
}

} // namespace program
} // namespace compressc
