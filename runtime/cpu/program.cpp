// Emitted programs on the CPU.
#include "program_run.h"
#include "kernels.h"

namespace compressc::program {
namespace {

/// Whether there is anything to do: no error, and rows to work on.
bool idle(const Run &run, Value out) { return !run.status.ok() || run.rows(out) == 0; }

Tensor tensorOf(const Run &run, const Operand &operand) {
  if (operand.kind == Operand::Kind::Weight)
    return run.weights[operand.weight].tensor;
  Tensor tensor;
  if (operand.kind == Operand::Kind::TokenIds) {
    tensor.dtype = DType::I32;
    tensor.shape = {run.context.batch->rows()};
    tensor.data = const_cast<int32_t *>(run.context.batch->tokens.data());
    return tensor;
  }
  Activations values = run.activations(operand.value);
  tensor.dtype = values.type;
  tensor.shape = {run.rows(operand.value), operand.value.columns};
  tensor.data = values.data;
  return tensor;
}

Attributes attributesOf(std::initializer_list<Constant> constants) {
  Attributes attributes;
  for (const Constant &constant : constants)
    switch (constant.kind) {
    case Constant::Kind::Integer:
      attributes.set(constant.name, constant.integer);
      break;
    case Constant::Kind::Real:
      attributes.set(constant.name, constant.real);
      break;
    case Constant::Kind::Text:
      attributes.set(constant.name, std::string(constant.text));
      break;
    }
  return attributes;
}

} // namespace

void call(Run &run, const char *kernel, std::initializer_list<Operand> inputs, std::initializer_list<Value> outputs,
          std::initializer_list<Constant> constants) {
  if (idle(run, *outputs.begin()))
    return;
  std::vector<Tensor> in, out;
  for (const Operand &operand : inputs)
    in.push_back(tensorOf(run, operand));
  for (Value value : outputs)
    out.push_back(tensorOf(run, value));
  Attributes attributes = attributesOf(constants);
  run.status = FindKernel(kernel)(run.context, {in, out, {}, attributes});
}

void rmsNorm(Run &run, Value x, Weight weight, double epsilon, Value out) {
  if (!idle(run, out))
    RmsNorm(run.context, run.at(x), run.rows(x), x.columns, run.vector(weight), run.weights[weight].matrix.rows,
            float(epsilon), run.at(out));
}

void linear(Run &run, Value x, std::initializer_list<Weight> weights, std::initializer_list<Value> outs,
            const LinearOptions &options) {
  if (idle(run, x))
    return;
  LinearProduct products[mostProducts];
  auto bias = [&](size_t i) { return run.vector(i < options.biases.size() ? options.biases.begin()[i] : none); };
  size_t count = std::min<size_t>(outs.size(), mostProducts);
  for (size_t i = 0; i < count; ++i) {
    LinearProduct &product = products[i];
    size_t index = options.gate ? 1 : i;
    product.w = &run.weights[weights.begin()[index]].matrix;
    product.bias = bias(index);
    product.out = run.activations(outs.begin()[i]);
    if (options.gate) {
      product.gate = &run.weights[weights.begin()[0]].matrix;
      product.gateBias = bias(0);
      product.activation = *options.gate;
    }
    if (options.add)
      product.residual = run.at(*options.add);
  }
  LinearOperands operands;
  operands.x = run.activations(x);
  operands.rows = run.rows(x);
  operands.depth = x.columns;
  operands.norm = run.vector(options.norm);
  operands.epsilon = float(options.epsilon);
  operands.compute = options.compute;
  operands.products = products;
  operands.count = int(count);
  if (options.answers) {
    operands.answers = run.context.batch->answers.data();
    operands.answerCount = int64_t(run.context.batch->answers.size());
    run.status = CheckAnswers(operands);
  }
  if (run.status.ok())
    Linear(run.context, operands);
}

void rotaryEmbedding(Run &run, Value x, Value out, const RotaryOptions &options) {
  if (!idle(run, out))
    RotaryEmbedding(run.context, run.at(x), run.rows(x), x.columns,
                    {options.headDim, options.frequencies, float(options.factor), x.rows == Rows::Selected,
                     run.vector(options.norm), float(options.epsilon)},
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
  operands.rotation = {operands.dim,      options.frequencies,           float(options.factor),
                       operands.selected, run.vector(options.queryNorm), float(options.epsilon)};
  operands.keyNorm = run.vector(options.keyNorm);
  Attention(run.context, operands);
}

} // namespace compressc::program

compressc::Status compressc::RunProgram(void (*entry)(program::Run &), const KernelContext &context, uint8_t *arena,
                                        const ProgramWeight *weights, CacheView *caches) {
  program::Run run{context, arena, weights, caches, absl::OkStatus()};
  entry(run);
  return run.status;
}
