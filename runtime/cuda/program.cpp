// Programs that compressc emitted as CUDA, bound to a session.
#include "program_run.h"
#include "../ops/model_kernels.h"
#include "../ops/program_weight.h"
#include "../ops/model_kernels.h"
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
      whole.push_back(weight.matrix);
      matrices.push_back(matrixOf(weight.matrix));
      vectors.push_back(weight.vector.data());
    }
  }

  bool start(std::string_view entry, KernelContext &context) override {
    for (size_t i = 0; i < program.entryCount; ++i)
      if (program.entries[i].name == entry) {
        this->context = &context;
        program::Run run{device.stream,
                         arena,
                         device.batch->rows(),
                         int64_t(device.batch->selectedRows.size()),
                         device.positions,
                         device.selectedPositions,
                         whole.data(),
                         matrices.data(),
                         vectors.data(),
                         caches.data(),
                         device.half,
                         *this};
        program.entries[i].run(run);
        return true;
      }
    return false;
  }

private:
  Tensor tensorOf(const program::Operand &operand) const {
    if (operand.kind == program::Operand::Kind::Weight)
      return weights[size_t(operand.weight)].tensor;
    Tensor tensor;
    tensor.dtype = operand.type;
    const Batch &batch = *device.batch;
    if (operand.kind == program::Operand::Kind::TokenIds) {
      tensor.shape = {batch.rows()};
      tensor.data = const_cast<int32_t *>(batch.tokens.data());
      return tensor;
    }
    tensor.shape = {operand.selected ? int64_t(batch.selectedRows.size()) : batch.rows(), operand.columns};
    tensor.data = arena + operand.offset;
    return tensor;
  }

  void call(const char *kernel, std::initializer_list<program::Operand> inputs, std::initializer_list<program::Operand> outputs,
            std::initializer_list<program::Constant> constants) override {
    std::vector<Tensor> in, out;
    for (const program::Operand &operand : inputs)
      in.push_back(tensorOf(operand));
    for (const program::Operand &operand : outputs)
      out.push_back(tensorOf(operand));
    if (out.front().elements() == 0)
      return;
    Attributes attributes;
    for (const program::Constant &constant : constants)
      switch (constant.kind) {
      case program::Constant::Kind::Integer:
        attributes.set(constant.name, constant.integer);
        break;
      case program::Constant::Kind::Real:
        attributes.set(constant.name, constant.real);
        break;
      case program::Constant::Kind::Text:
        attributes.set(constant.name, std::string(constant.text));
        break;
      }
    device.note(device.findKernel(kernel)(*context, {in, out, {}, attributes}));
  }

  void linear(LinearOperands &operands, bool answers) override {
    if (answers) {
      operands.answers = device.batch->answers.data();
      operands.answerCount = int64_t(device.batch->answers.size());
      if (Status status = CheckAnswers(operands); !status.ok())
        return device.note(status);
    }
    device.linear(operands);
  }

  void attention(const AttentionOperands &operands) override { device.attention(operands); }

  const float *frequencies(const float *host, int count) override { return device.sentFrequencies({host, size_t(count)}); }
  void *rowScratch(int64_t bytes) override { return device.grow(device.rows, bytes); }

  CudaDevice &device;
  const program::Program &program;
  absl::Span<const ProgramWeight> weights;
  absl::Span<const CacheView> caches;
  uint8_t *arena;
  KernelContext *context = nullptr; // of the newest start
  std::vector<WeightMatrix> whole;
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
