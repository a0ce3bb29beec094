// What an emitted CUDA program works on, and what it leaves to the device. Plain types: the source that compressc
// emits is compiled by nvcc with these headers and the CUDA toolkit alone.
#pragma once

#include "kernels.h"
#include <cstddef>

namespace compressc::cuda::program {

enum class Compute : uint8_t { F32, BF16, Fp8 };

/// out = x W^T for each product; see the runtime's `linear`.
struct LinearCall {
  static constexpr int most = 32;
  struct Product {
    int weight, gate; // places in the schedule's list; gate: -1 without one
    const float *bias, *gateBias, *residual; // null: none
    Activation activation;
    void *out;
    DType outType;
  };
  const void *x;
  DType type;
  int64_t rows, depth;
  const float *norm; // null: none
  float epsilon;
  Compute compute;
  bool answers; // only the columns that the batch names as answers, if it names any
  Product products[most];
  int count;
};

struct AttentionCall {
  const float *query, *key, *value;
  void *out;
  DType outType;
  int cache;
  int64_t heads, groups, dim, window;
  float scale;
  bool selected;
  const float *frequencies = nullptr; // on the host: query and key are rotated first
  float factor = 1;
  const float *queryNorm = nullptr, *keyNorm = nullptr; // both or neither
  float epsilon = 0;
};

/// What depends on more than a kernel: tables on the host, scratch memory, cuBLASLt.
class Services {
public:
  virtual void embedding(int table, float *out) = 0;
  virtual void linear(const LinearCall &call) = 0;
  virtual void attention(const AttentionCall &call) = 0;
  /// On the device; `host` stays where it is.
  virtual const float *frequencies(const float *host, int count) = 0;
  /// Room for x of a product of few rows, in 16 bits.
  virtual void *rowScratch(int64_t bytes) = 0;

protected:
  ~Services() = default;
};

/// One run of an entry point.
struct Run {
  cudaStream_t stream;
  uint8_t *arena;
  int64_t tokens, selected; // rows of the batch
  const int32_t *positions, *selectedPositions, *selectedRows;
  const Matrix *matrices;       // as the schedule's weights, where they have two dimensions
  const float *const *vectors;  // where they have one
  DType half;                   // what the device has as bf16
  Services &device;
};

struct Entry {
  const char *name;
  void (*run)(Run &);
};

/// What an emitted source defines, as `compressc_cuda_program`.
struct Program {
  const char *schedule; // digest of the schedule that it was emitted from (ScheduleDigest)
  const Entry *entries;
  size_t entryCount;
};

} // namespace compressc::cuda::program
