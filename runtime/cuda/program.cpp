// Programs that compressc emitted as CUDA, bound to a session.
#include "program_run.h"
#include "../cpu/model_kernels.h"
#include "../cpu/program_run.h"
#include "device.h"
#include "matrix.h"

// Defined by an emitted program that is linked in.
extern "C" __attribute__((weak)) const compressc::cuda::program::Program compressc_cuda_program;

namespace compressc::cuda {

class BoundProgram : public DeviceProgram, private program::Services {
public:
  BoundProgram(CudaDevice &device, const program::Program &program, absl::Span<const ProgramWeight> weights,
               absl::Span<const CacheView> caches, uint8_t *arena)
      : device(device), program(program), weights(weights), caches(caches), arena(arena) {
    for (const ProgramWeight &weight : weights) {
      matrices.push_back(matrixOf(weight.matrix));
      vectors.push_back(weight.vector);
    }
  }

  bool start(std::string_view entry) override {
    for (size_t i = 0; i < program.entryCount; ++i)
      if (program.entries[i].name == entry) {
        program::Run run{device.stream,    arena,
                         device.batch->rows(), int64_t(device.batch->selectedRows.size()),
                         device.positions, device.selectedPositions,
                         device.selected,  matrices.data(),
                         vectors.data(),   device.half,
                         *this};
        program.entries[i].run(run);
        return true;
      }
    return false;
  }

private:
  void embedding(int table, float *out) override {
    const WeightMatrix &matrix = weights[size_t(table)].matrix;
    const std::vector<int32_t> &tokens = device.batch->tokens;
    if (int64_t row = FirstTokenOutside(tokens.data(), int64_t(tokens.size()), matrix.rows); row >= 0)
      return device.note(Invalid("embedding: token ", tokens[size_t(row)], " in row ", row, " is not in the vocabulary of ", matrix.rows));
    device.embedding(matrix, out);
  }

  void linear(const program::LinearCall &call) override {
    LinearOperands operands;
    operands.x = {const_cast<void *>(call.x), call.type};
    operands.rows = call.rows;
    operands.depth = call.depth;
    operands.norm = call.norm;
    operands.epsilon = call.epsilon;
    operands.inBf16 = call.compute == program::Compute::BF16;
    operands.inFp8 = call.compute == program::Compute::Fp8;
    GemmProduct products[program::LinearCall::most];
    for (int i = 0; i < call.count; ++i) {
      const program::LinearCall::Product &from = call.products[i];
      GemmProduct &to = products[i];
      to.w = &weights[size_t(from.weight)].matrix;
      to.columns = to.ldo = to.w->rows;
      to.out = static_cast<float *>(from.out);
      to.outType = from.outType;
      to.epilogue = {from.bias, from.residual, to.columns};
      if (from.gate >= 0) {
        to.gate = &weights[size_t(from.gate)].matrix;
        to.gateBias = from.gateBias;
        to.activation = from.activation;
      }
    }
    if (call.answers) {
      operands.answers = device.batch->answers;
      for (int32_t answer : operands.answers)
        if (answer < 0 || answer >= products[0].columns)
          return device.note(Invalid("linear: the answer ", answer, " is not one of ", products[0].columns, " columns"));
    }
    device.linear(operands, products, size_t(call.count));
  }

  void attention(const program::AttentionCall &call) override {
    AttentionOperands operands;
    operands.query = call.query;
    operands.key = call.key;
    operands.value = call.value;
    operands.out = {call.out, call.outType};
    operands.cache = caches[size_t(call.cache)];
    operands.queries = call.heads;
    operands.groups = call.groups;
    operands.dim = call.dim;
    operands.window = call.window;
    operands.scale = call.scale;
    operands.selected = call.selected;
    operands.rotation = {call.dim, call.frequencies, call.factor, call.selected, call.queryNorm, call.epsilon};
    operands.keyNorm = call.keyNorm;
    device.attention(operands);
  }

  const float *frequencies(const float *host, int count) override { return device.sentFrequencies({host, size_t(count)}); }
  void *rowScratch(int64_t bytes) override { return device.grow(device.rows, bytes); }

  CudaDevice &device;
  const program::Program &program;
  absl::Span<const ProgramWeight> weights;
  absl::Span<const CacheView> caches;
  uint8_t *arena;
  std::vector<Matrix> matrices;
  std::vector<const float *> vectors;
};

StatusOr<std::unique_ptr<DeviceProgram>> CudaDevice::bindProgram(const std::string &schedule, absl::Span<const ProgramWeight> weights,
                                                                 absl::Span<const CacheView> caches, uint8_t *arena) {
  const program::Program *program = &compressc_cuda_program;
  if (!program)
    return std::unique_ptr<DeviceProgram>();
  if (program->schedule != schedule)
    return Invalid("the CUDA program is of another schedule (", program->schedule, ", not ", schedule, "); compile the model again");
  return std::make_unique<BoundProgram>(*this, *program, weights, caches, arena);
}

} // namespace compressc::cuda
