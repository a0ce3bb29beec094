// Products of 8192 rows in e4m3 by 4-bit weights, as scoring runs them: rounding the rows, expanding the weight and
// multiplying, gates applied and residuals added. Prints a JSON line for each shape: milliseconds of each, and 10^12
// operations a second of the product.
#include "../../runtime/cuda/fp8.h"
#include "gpu_memory.h"
#include <algorithm>
#include <cstdio>
#include <vector>

using namespace compressc;
using namespace compressc::cuda;

namespace {

constexpr int64_t rows = 8192;
constexpr int repeats = 8;

/// Memory of numbers of this type that look random.
template <typename T, typename F> T *filled(size_t count, F number) {
  std::vector<T> host(count);
  uint64_t seed = 1;
  for (T &each : host) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    each = number(uint32_t(seed >> 32));
  }
  return Sent(host);
}

struct Shape {
  const char *name;
  int64_t columns, rows;
  bool gated, added;
};

} // namespace

int main() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "a stream");
  constexpr int64_t widest = 12288;
  auto *x = filled<float>(size_t(rows * widest), [](uint32_t bits) { return float(int32_t(bits)) * 0x1p-31f; });
  auto *codes = filled<uint32_t>(size_t(2 * 4096 * widest / 8), [](uint32_t bits) { return bits; });
  auto *zeros = filled<uint32_t>(size_t(2 * 4096 * widest / 128 / 8), [](uint32_t bits) { return 0x77777777u ^ (bits & 0x11111111u); });
  auto *scales = filled<uint16_t>(size_t(2 * 4096 * widest / 128), [](uint32_t bits) { return uint16_t(0x2000 | (bits & 0x3ff)); });
  auto *out = Allocated<float>(size_t(rows * widest));
  void *rounded = Allocated<uint8_t>(size_t(Fp8Rows::bytes(rows, widest)));
  for (Shape shape : {Shape{"qkv", 4096, 6144, false, false}, {"o", 4096, 4096, false, true}, {"gate_up", 4096, 12288, true, false},
                      {"down", 12288, 4096, false, true}}) {
    int64_t each = shape.rows * shape.columns;
    auto part = [&](int64_t number) {
      return Matrix{DType::Packed, shape.rows, shape.columns, shape.columns / 2, reinterpret_cast<uint8_t *>(codes) + number * each / 2, 4,
                    128, DType::F16, scales + number * each / 128, zeros + number * each / 1024};
    };
    StreamedProduct product{};
    product.w = part(0);
    if (shape.gated)
      product.gate = part(1);
    product.out = out;
    product.outType = shape.gated ? DType::BF16 : DType::F32;
    product.residual = shape.added ? out : nullptr;
    if (!CanMultiplyInFp8(product)) {
      std::fprintf(stderr, "%s is of a form that MultiplyInFp8 does not take\n", shape.name);
      return 1;
    }
    Fp8Rows to = Fp8Rows::In(rounded, rows, shape.columns);
    auto milliseconds = [&](auto run) {
      return GraphSeconds(stream, [&] {
               for (int i = 0; i < repeats; ++i)
                 run();
             }) / repeats * 1000;
    };
    double rounding = milliseconds([&] { RoundToFp8(stream, x, DType::F32, nullptr, 0, to); });
    void *expanded = Allocated<uint8_t>(size_t(Fp8Weights::bytes(product)));
    Fp8Weights weights = Fp8Weights::In(expanded, product);
    double expanding = milliseconds([&] { ExpandToFp8(stream, product, weights); });
    double multiplying = milliseconds([&] { MultiplyInFp8(stream, to, weights, product); });
    std::printf("{\"shape\": \"%s\", \"rows\": %d, \"rounding_milliseconds\": %.3f, \"expanding_milliseconds\": %.3f, "
                "\"milliseconds\": %.3f, \"teraflops\": %.0f}\n",
                shape.name, int(rows), rounding, expanding, multiplying, 2e-9 * double(rows * each) * (shape.gated ? 2 : 1) / multiplying);
    cudaFree(expanded);
  }
}
