// Kernels: what an exec.call can name. The same ones serve deployed models, calibration and materialisation.
// kernel_row.h describes each.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/batch.h"
#include "compressc/runtime/status.h"
#include "compressc/runtime/tensor.h"
#include "compressc/runtime/thread_pool.h"
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace compressc {

/// Constant attributes of a kernel call.
class Attributes {
public:
  using Value = std::variant<int64_t, double, std::string, std::vector<double>>;

  void set(std::string name, Value value) { values.insert_or_assign(std::move(name), std::move(value)); }
  const std::map<std::string, Value> &all() const { return values; }

  /// The attribute, or an error that names it when it is missing or of another type.
  StatusOr<int64_t> getInt(std::string_view name) const;
  StatusOr<double> getFloat(std::string_view name) const; // an integer is taken too
  StatusOr<std::string> getString(std::string_view name) const;
  StatusOr<std::vector<double>> getFloats(std::string_view name) const;
  int64_t getIntOr(std::string_view name, int64_t fallback) const;
  double getFloatOr(std::string_view name, double fallback) const;
  std::string getStringOr(std::string_view name, std::string_view fallback) const;

private:
  std::map<std::string, Value> values;
};

/// Scratch memory that kernels reuse from call to call, one arena for each worker and one shared.
class Scratch {
public:
  explicit Scratch(int workers) : perWorker(workers) {}
  /// At least `bytes`, aligned to 64, contents undefined, valid until the next call for this owner.
  void *shared(size_t bytes) { return grow(common, bytes); }
  void *worker(int index, size_t bytes) { return grow(perWorker[index], bytes); }
  /// Frees everything; what was handed out is gone.
  void release();
  ~Scratch() { release(); }

private:
  struct Block {
    void *data = nullptr;
    size_t size = 0;
  };
  static void *grow(Block &block, size_t bytes);
  Block common;
  std::vector<Block> perWorker;
};

class Device;

struct KernelContext {
  ThreadPool &pool;
  Scratch &scratch;
  const Batch *batch = nullptr; // null when the entry point has no batch (weight expressions)
  Device *device = nullptr;     // where the operands lie; null: the CPU's memory
};

struct KernelCall {
  absl::Span<const Tensor> inputs;
  absl::Span<const Tensor> outputs;
  absl::Span<CacheView> caches;
  const Attributes &attributes;
};

using KernelFunction = Status (*)(KernelContext &, const KernelCall &);

/// The CPU's kernel of this name, or null: deployed programs lack svd, which only compression needs.
KernelFunction FindKernel(std::string_view name);

/// The instruction set in use: "amx", "avx512bf16", "avx512vnni", "avx512", "avx2" or "portable". Chosen from the CPU at start; the
/// environment variable COMPRESSC_ISA asks for a lower one (tests do).
std::string_view InstructionSet();

} // namespace compressc
