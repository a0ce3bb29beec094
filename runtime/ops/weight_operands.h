// Checks that the compression kernels share: a schedule, its shapes and the numbers in weights and
// statistics are not trusted.
#pragma once

#include "compressc/runtime/kernel.h"
#include "model_operands.h"
#include "quantizer.h"
#include <atomic>
#include <limits>

namespace compressc {

/// `kernel` names the kernel in every message.
Status CheckCounts(const KernelCall &call, absl::string_view kernel, size_t minInputs,
                   size_t maxInputs, size_t outputs);

bool IsPlainFloat(DType dtype); // F32, F16 or BF16

/// The tensor holds data of this shape and type.
Status CheckTensor(const Tensor &tensor, DType dtype, absl::Span<const int64_t> shape,
                   absl::string_view what);
/// An F32, F16 or BF16 tensor with data, rank 1 or more, no dimension below 1.
Status CheckPlain(const Tensor &tensor, absl::string_view what);
/// The same of rank 2.
StatusOr<WeightMatrix> PlainMatrix(const Tensor &tensor, absl::string_view what);

/// A Statistics tensor of this width; its numbers are not looked at.
StatusOr<StatisticsView> CheckStatistics(const Tensor &tensor, int64_t width,
                                         absl::string_view what);
/// At least one token was observed.
Status CheckObserved(const KernelContext &context, const StatisticsView &statistics, absl::string_view what);
/// `first`: the first number of the Gram matrix, then of the sums of |x|, that is NaN or infinite. OK for -1.
Status StatisticsFault(const StatisticsView &statistics, int64_t first, absl::string_view what);

/// bits, group, symmetric and scale_type.
StatusOr<PackedFormat> FormatFromAttributes(const Attributes &attributes, int64_t columns,
                                            absl::string_view kernel);

/// Index of the first NaN or infinity, or -1.
int64_t FirstNonFinite(const float *values, int64_t count);

/// The smallest index that any thread noted: the same error whatever the timing.
class FirstIndex {
public:
  void note(int64_t index) {
    int64_t seen = value.load(std::memory_order_relaxed);
    while (index < seen && !value.compare_exchange_weak(seen, index, std::memory_order_relaxed)) {
    }
  }
  bool found() const { return get() != std::numeric_limits<int64_t>::max(); }
  int64_t get() const { return value.load(std::memory_order_relaxed); }

private:
  std::atomic<int64_t> value{std::numeric_limits<int64_t>::max()};
};

/// "row 3, column 5 of WHAT is NaN or infinite" for the flat index into rows of `columns`.
Status NonFiniteError(int64_t index, int64_t columns, absl::string_view what);

} // namespace compressc
