// Products of up to 64 rows by 4-bit weights, as generation runs them: 36 layers of distinct weights in one CUDA graph, so
// that none is in the cache when its turn comes. Up to 4 rows the kernels are compiled for their shapes, as those of
// emitted programs are; --prebuilt takes those that walk a schedule. Prints a JSON line for each shape and number of rows:
// microseconds for a product, and the part of the bandwidth of a copy, measured here, that its weights are read at.
#include "../../runtime/cuda/stream_products.cuh"
#include "gpu_memory.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace compressc;
using namespace compressc::cuda;

namespace {

constexpr int layers = 36;

/// Bytes that look random, so that no two layers are alike.
void fill(void *memory, size_t bytes, uint64_t seed) {
  std::vector<uint64_t> words(bytes / 8 + 1);
  for (uint64_t &word : words) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    word = seed ^ seed >> 29;
  }
  check(cudaMemcpy(memory, words.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
}

template <int depth, bool gated>
void compiled(cudaStream_t stream, const StreamedRows &x, const StreamedProduct &product, void *scratch) {
  streamed::Products products{};
  streamed::Add(products, product);
  streamed::Launch<streamed::FourBits<4, __nv_bfloat16, 128>, streamed::AnyEpilogue, depth, gated>(stream, x, products, scratch);
}

struct Shape {
  const char *name;
  int64_t columns, rows;
  bool gated;
};

} // namespace

int main(int count, char **arguments) {
  bool prebuilt = count == 2 && !std::strcmp(arguments[1], "--prebuilt");
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "a stream");
  size_t copied = size_t(2) << 30;
  char *from = Allocated<char>(copied), *to = Allocated<char>(copied);
  double bandwidth = 2 * double(copied) / GraphSeconds(stream, [&] { Convert(stream, from, DType::F32, int64_t(copied / 4), to, DType::F32); });
  cudaFree(from), cudaFree(to);
  std::printf("{\"copy_bytes_per_second\": %.4g}\n", bandwidth);

  for (Shape shape : {Shape{"qkv", 4096, 6144, false}, {"o", 4096, 4096, false}, {"gate_up", 4096, 24576, true}, {"down", 12288, 4096, false}}) {
    int64_t groups = shape.columns / 128;
    size_t codes = size_t(shape.rows * shape.columns / 2), scales = size_t(shape.rows * groups * 2), zeros = size_t(shape.rows * groups / 2);
    std::vector<StreamedProduct> products;
    for (int layer = 0; layer < layers; ++layer) {
      auto *data = Allocated<uint8_t>(codes + scales + zeros);
      fill(data, codes + scales + zeros, uint64_t(layer));
      StreamedProduct product{};
      int64_t rows = shape.gated ? shape.rows / 2 : shape.rows;
      auto part = [&](int64_t first) {
        return Matrix{DType::Packed, rows, shape.columns, shape.columns / 2, data + first * shape.columns / 2, 4, 128, DType::BF16,
                      data + codes + size_t(first * groups * 2), reinterpret_cast<const uint32_t *>(data + codes + scales + size_t(first * groups / 2))};
      };
      product.w = part(0);
      if (shape.gated)
        product.gate = part(rows);
      product.out = Allocated<float>(size_t(mostBatchRows * rows));
      product.outType = DType::F32;
      products.push_back(product);
    }
    auto *x = Allocated<uint8_t>(size_t(mostBatchRows * shape.columns * 2));
    fill(x, size_t(mostBatchRows * shape.columns * 2), 99);
    size_t scratchBytes = 0, counted = 1;
    for (int rows = 1; rows <= mostBatchRows; ++rows) {
      scratchBytes = std::max(scratchBytes, size_t(BatchScratchBytes(rows, products.data(), 1)));
      counted = std::max(counted, size_t(BatchCounters(rows, products.data(), 1)));
    }
    void *scratch = Allocated<char>(scratchBytes);
    auto *counters = Allocated<int32_t>(counted);
    check(cudaMemset(counters, 0, counted * sizeof *counters), "cudaMemset");
    for (int rows : {1, 4, 8, 16, 17, 32, 48, 64}) {
      double seconds = GraphSeconds(stream, [&] {
                         StreamedRows from{x, DType::BF16, rows, nullptr, 0};
                         for (const StreamedProduct &product : products)
                           if (rows <= mostStreamedRows && !prebuilt)
                             (shape.gated ? compiled<4096, true> : shape.columns == 4096 ? compiled<4096, false> : compiled<12288, false>)(
                                 stream, from, product, scratch);
                           else if (rows <= mostStreamedRows)
                             StreamProducts(stream, from, &product, 1, DType::BF16, scratch);
                           else
                             MultiplyBatch(stream, from, &product, 1, DType::BF16, scratch, counters);
                       }) / layers;
      std::printf("{\"shape\": \"%s\", \"rows\": %d, \"microseconds\": %.2f, \"bandwidth_part\": %.3f}\n", shape.name, rows, seconds * 1e6,
                  double(codes + scales + zeros) / seconds / bandwidth);
    }
    for (StreamedProduct &product : products) {
      cudaFree(const_cast<uint8_t *>(std::min(product.w.data, product.gate.data ? product.gate.data : product.w.data)));
      cudaFree(product.out);
    }
    cudaFree(x), cudaFree(scratch), cudaFree(counters);
  }
}
