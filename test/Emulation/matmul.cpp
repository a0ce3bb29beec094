// Matrix products in place of cuBLASLt's: fp32 sums of what the operands hold.
#include "../../runtime/cuda/matmul.h"
#include "compressc/runtime/tensor.h"
#include "stream.h"
#include <vector>

namespace compressc::cuda {
namespace {

float load(const void *data, int64_t i, DType type) {
  if (type == DType::F32)
    return static_cast<const float *>(data)[i];
  uint16_t bits = static_cast<const uint16_t *>(data)[i];
  return type == DType::F16 ? HalfToFloat(bits) : BFloat16ToFloat(bits);
}

float dot(const float *a, const float *b, int64_t k) {
  float sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= k; i += 8)
    for (int lane = 0; lane < 8; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (; i < k; ++i)
    sum += a[i] * b[i];
  for (float lane : sums)
    sum += lane;
  return sum;
}

/// [rows, k] in fp32.
std::vector<float> expanded(const void *data, int64_t rows, int64_t k, int64_t ld, DType type, bool transposed) {
  std::vector<float> values(size_t(rows * k));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < k; ++i)
      values[size_t(row * k + i)] = load(data, transposed ? i * ld + row : row * ld + i, type);
  return values;
}

class EmulatedMatmul : public Matmul {
public:
  using Matmul::run;
  Status run(cudaStream_t stream, const Product &product) override {
    emulated::Enqueue(stream, [product] {
      auto [m, n, k] = std::tuple(product.m, product.n, product.k);
      std::vector<float> x = expanded(product.x, m, k, product.ldx, product.type, product.transposed);
      std::vector<float> w = expanded(product.w, n, k, product.ldw, product.type, product.transposed);
      for (int64_t row = 0; row < m; ++row)
        for (int64_t column = 0; column < n; ++column) {
          float sum = dot(&x[size_t(row * k)], &w[size_t(column * k)], k);
          int64_t at = row * product.ldo + column;
          if (product.accumulate)
            sum += load(product.out, at, product.outType);
          if (product.outType == DType::F32)
            static_cast<float *>(product.out)[at] = sum;
          else
            static_cast<uint16_t *>(product.out)[at] = product.outType == DType::F16 ? FloatToHalf(sum) : FloatToBFloat16(sum);
        }
    });
    return absl::OkStatus();
  }
};

} // namespace

StatusOr<std::unique_ptr<Matmul>> Matmul::Load() { return std::make_unique<EmulatedMatmul>(); }

} // namespace compressc::cuda
