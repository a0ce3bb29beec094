// tr(E·G·Eᵀ) on the GPU: E in bf16 (fp32 where there is none), some thousand rows at a time, times the half of G under its diagonal.
#pragma once

#include "../ops/gram_errors.h"
#include "calibration.h"
#include "device.h"
#include <functional>

namespace compressc::cuda {

class CudaGramErrors : public GramErrors {
public:
  static StatusOr<std::unique_ptr<GramErrors>> Create(CudaDevice &device, absl::Span<const WeightMatrix> weights,
                                                      const float *gram);

  StatusOr<int64_t> meanMagnitude(int64_t group, std::vector<float> &mean) override;
  StatusOr<GramTrace> ofWeights() override;
  StatusOr<GramTrace> ofScales(const std::vector<float> &scales, const std::vector<float> &inverse,
                               const PackedFormat &format, double limit) override;
  StatusOr<GramTrace> ofChange(const WeightMatrix &changed) override;

private:
  explicit CudaGramErrors(CudaDevice &device) : device(device) {}

  /// Rows [begin, begin + count) of weight `index`, which is row `origin` of the whole, to `out`.
  using MakeRows = std::function<void(size_t index, int64_t begin, int64_t count, int64_t origin, void *out)>;
  StatusOr<double> trace(const MakeRows &makeRows, double limit = std::numeric_limits<double>::infinity());
  Status multiply(int64_t count);

  CudaDevice &device;
  DType type = device.errorType();
  int64_t size = int64_t(DTypeSize(type));
  std::vector<Matrix> weights;
  int64_t rows = 0, width = 0, block = 0, panel = 0;
  std::shared_ptr<void> half, error, product; // of `type`, [width, width], [block, width] twice
  std::shared_ptr<void> sums;                 // double [block + 1]
  std::shared_ptr<void> factors;              // scales and their inverse
};

} // namespace compressc::cuda
