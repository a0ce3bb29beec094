// CUDA kernels on the CPU, for tests on machines without a GPU: this is included before every CUDA source, which is
// then compiled as C++. A thread of a block is a fiber; threads of a warp meet at shuffles and tensor core products,
// those of a block at __syncthreads. What hardware leaves to chance is fixed: clusters of blocks run one after the other, and
// instructions of several threads in the order of the threads. So wrong results show, races need not.
#pragma once

#define COMPRESSC_CUDA_EMULATED
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <functional>
#include <type_traits>
#include <utility>

// What cuda_runtime.h has made of them is the host compiler's.
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __shared__
#define __shared__ static // one block runs at a time; those of a cluster have dynamic shared memory only
#undef __constant__
#define __constant__ static const
#undef __forceinline__
#define __forceinline__ inline

namespace compressc::cuda::emulated {

extern uint3 threadIndex, blockIndex;
extern dim3 blockSize, gridSize;
char *DynamicSharedMemory();

constexpr int exchangeBytes = 64, exchangeStride = 2 * exchangeBytes;

void SyncThreads();
void SyncWarp(unsigned mask);
/// Publishes `bytes` for the lanes of this warp that are in `mask`, waits for theirs, and returns those of each lane.
struct Exchanged {
  const char *first; // of lane 0
  const char *operator[](int lane) const { return first + lane * exchangeStride; }
};
Exchanged Exchange(unsigned mask, const void *data, size_t bytes);
void CopyLater(uint32_t shared, const void *global, bool exists, uint32_t bytes = 16);
void EndGroup();
void WaitForGroups(int open);
/// A product of a warpgroup, m64nNk16 or k32, which is computed when it is waited for: c's fragments of this thread, and a's.
enum class Operands : uint8_t { BFloat16, Half, E4M3 };
struct Product {
  float *c;
  uint32_t a[4];
  uint64_t b; // descriptor of a matrix in shared memory
  int columns;
  bool transposed, add;
  Operands operands;
};
void ShowCopies();
/// Barriers of shared memory (mbarrier). A copy of one thread is there at once: so what is overwritten too early is missing.
void InitBarrier(uint32_t barrier, uint32_t count);
void Arrive(uint32_t barrier);
void ArriveExpecting(uint32_t barrier, uint32_t bytes);
void CopyBulk(uint32_t shared, const void *global, uint32_t bytes, uint32_t barrier);
void WaitForPhase(uint32_t barrier, uint32_t parity);
void ArriveAtCluster();
void WaitForCluster();
void StoreInCluster(float4 *shared, int rank, float4 v);
void MultiplyLater(const Product &product);
void EndProducts();
void WaitForProductGroups(int open);

/// Runs a kernel, or adds it to what the stream records.
void Start(const cudaLaunchConfig_t &config, const char *name, std::function<void()> thread);

template <typename... Parameters>
void Launch(void (*kernel)(Parameters...), const cudaLaunchConfig_t &config, Parameters... arguments) {
  Start(config, __PRETTY_FUNCTION__, [=] { kernel(arguments...); });
}

template <typename T> T ShuffleFrom(unsigned mask, T value, int lane) {
  Exchanged all = Exchange(mask, &value, sizeof value);
  T result;
  std::memcpy(&result, all[lane & 31], sizeof result);
  return result;
}

inline int Lane() { return int(threadIndex.x % 32); }

} // namespace compressc::cuda::emulated

inline const uint3 &threadIdx = compressc::cuda::emulated::threadIndex, &blockIdx = compressc::cuda::emulated::blockIndex;
inline const dim3 &blockDim = compressc::cuda::emulated::blockSize, &gridDim = compressc::cuda::emulated::gridSize;

template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}
template <typename Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Kernel *kernel, int size, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void *>(kernel), size, shared);
}

inline void __syncthreads() { compressc::cuda::emulated::SyncThreads(); }
inline void __syncwarp(unsigned mask = ~0u) { compressc::cuda::emulated::SyncWarp(mask); }
inline void __threadfence() {}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int bits) {
  using namespace compressc::cuda::emulated;
  return ShuffleFrom(mask, value, Lane() ^ bits);
}
template <typename T> T __shfl_sync(unsigned mask, T value, int lane) {
  return compressc::cuda::emulated::ShuffleFrom(mask, value, lane);
}
inline int __all_sync(unsigned mask, int predicate) {
  compressc::cuda::emulated::Exchanged all = compressc::cuda::emulated::Exchange(mask, &predicate, sizeof predicate);
  for (int lane = 0; lane < 32; ++lane) {
    std::memcpy(&predicate, all[lane], sizeof predicate);
    if (mask >> lane & 1 && !predicate)
      return 0;
  }
  return 1;
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, int delta) {
  using namespace compressc::cuda::emulated;
  return ShuffleFrom(mask, value, Lane() + delta < 32 ? Lane() + delta : Lane());
}

using std::isfinite;

inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __logf(float x) { return std::log(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __uint_as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t __float_as_uint(float value) { return std::bit_cast<uint32_t>(value); }
inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t selector) {
  uint64_t bytes = uint64_t(high) << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i)
    result |= uint32_t(bytes >> (selector >> i * 4 & 7) * 8 & 255) << i * 8;
  return result;
}
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
template <typename T> T __ldcg(const T *at) { return *at; }
template <typename T> T __ldg(const T *at) { return *at; }

template <typename T> T atomicAdd(T *at, T value) { return std::exchange(*at, *at + value); }
template <typename T> T atomicMin(T *at, T value) { return std::exchange(*at, std::min(*at, value)); }
template <typename T> T atomicMax(T *at, T value) { return std::exchange(*at, std::max(*at, value)); }

template <typename A, typename B> constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(b) < T(a) ? T(b) : T(a);
}
template <typename A, typename B> constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) ? T(b) : T(a);
}

namespace compressc::cuda {

template <typename T> T *DynamicShared() { return reinterpret_cast<T *>(emulated::DynamicSharedMemory()); }
inline uint32_t SharedAddress(const void *shared) {
  return uint32_t(static_cast<const char *>(shared) - emulated::DynamicSharedMemory());
}
template <uint32_t mask> uint32_t AndOr(uint32_t v, uint32_t bits) { return (v & mask) | bits; }
inline uint32_t SelectBytes(uint32_t low, uint32_t high, uint32_t selector) { return __byte_perm(low, high, selector); }
template <int words> void LoadOnce(uint32_t (&to)[words], const void *from) { std::memcpy(to, from, sizeof to); }
template <int words> void Copy(uint32_t *to, const void *from) { std::memcpy(to, from, words * 4); }
inline void PrefetchToL2(const void *) {}
inline void AddTo4(float *global, float4 v) {
  for (int i = 0; i < 4; ++i)
    global[i] += (&v.x)[i];
}
inline void CopyAsync(uint32_t shared, const void *global, bool exists) { emulated::CopyLater(shared, global, exists); }
inline void CopyWordAsync(uint32_t shared, const void *global, bool exists) { emulated::CopyLater(shared, global, exists, 4); }
inline void EndGroupOfCopies() { emulated::EndGroup(); }
template <int open> void WaitForCopies() { emulated::WaitForGroups(open); }
inline float ExponentialOf2(float x) { return std::exp2(x); }
void LoadMatrices(uint32_t (&r)[4], uint32_t shared);
void LoadTransposed(uint32_t (&r)[4], uint32_t shared);
void StoreTransposed(uint32_t shared, const uint32_t (&r)[4]);
template <typename Half> void MultiplyTiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void MultiplyBytes(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

inline void ShowToProducts() { emulated::ShowCopies(); }
inline void BeginProducts() {}
template <int count> void BeginProducts(float (&)[count]) {}
template <int count> void Settle(float (&)[count]) {}
inline void EndGroupOfProducts() { emulated::EndProducts(); }
template <int open> void WaitForProducts() { emulated::WaitForProductGroups(open); }
template <int open, int count> void WaitForProducts(float (&)[count]) { emulated::WaitForProductGroups(open); }
inline void FinishBeforeWaiting(float, uint32_t) {}
template <typename Half, int columns, bool transposed>
void MultiplyLater(float (&c)[columns / 2], const uint32_t (&a)[4], uint64_t b, bool add) {
  emulated::MultiplyLater({c, {a[0], a[1], a[2], a[3]}, b, columns, transposed, add,
                           std::is_same_v<Half, __half> ? emulated::Operands::Half : emulated::Operands::BFloat16});
}
inline void MultiplyE4M3Later(float (&c)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
  emulated::MultiplyLater({c, {a[0], a[1], a[2], a[3]}, b, 128, false, add, emulated::Operands::E4M3});
}
template <int count> void ReleaseRegisters() {}
template <int count> void TakeRegisters() {}
using emulated::ArriveAtCluster, emulated::StoreInCluster, emulated::WaitForCluster;
using emulated::Arrive, emulated::ArriveExpecting, emulated::CopyBulk, emulated::InitBarrier, emulated::WaitForPhase;
inline void ShowBarriers() {}

} // namespace compressc::cuda
