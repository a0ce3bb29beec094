// Causal attention over a cache whose slots a list names, position by position: a prefix that sequences share
// is stored once, and read by each. Tiles of 64 queries on tensor cores (16 bits), and one query at a time for
// any type and head size.
#include "attend_step.cuh"
#include "attend_warpgroups.h"
#include "fours.cuh"
#include "kernels.h"
#include "launch.cuh"
#include "ptx.cuh"

namespace compressc::cuda {
namespace {

template <int perThread, typename T>
__global__ void __launch_bounds__(256) WriteCacheKernel(const float *k, const float *v, int64_t count, int64_t width,
                                                        const int32_t *slots, T *keys, T *values) {
  LetTheNextBegin();
  WaitForTheOneBefore();
  int64_t i = (int64_t(blockIdx.x) * 256 + threadIdx.x) * perThread;
  if (i >= count)
    return;
  int64_t row = unsigned(i / perThread) / unsigned(width / perThread), to = i + (slots[row] - row) * width; // in 32 bits, which is faster
  if constexpr (perThread == 4) {
    Put4(keys + to, Get4(k + i));
    Put4(values + to, Get4(v + i));
  } else {
    Put(keys + to, k[i]);
    Put(values + to, v[i]);
  }
}

template <typename T>
void writeCache(cudaStream_t stream, const float *k, const float *v, int64_t count, int64_t width, const int32_t *slots,
                T *keys, T *values) {
  if (count == 0)
    return;
  if (width % 4 == 0)
    LaunchChained(WriteCacheKernel<4, T>, dim3(unsigned((count / 4 + 255) / 256)), 256, 0, stream, k, v, count, width, slots, keys, values);
  else
    LaunchChained(WriteCacheKernel<1, T>, dim3(unsigned((count + 255) / 256)), 256, 0, stream, k, v, count, width, slots, keys, values);
}

// ---- one query at a time ----

constexpr int rowWarps = 8;
constexpr float nothing = -1e30f; // a score below all others, whose differences stay finite

/// A block for each query and head: its warps share the keys out and merge their sums at the end. A lane has
/// the columns lane, lane + 32, … of a head.
template <typename T, int perLane>
__global__ void __launch_bounds__(rowWarps * 32) AttendRowsKernel(Attention a) {
  QueryTile tile = a.tiles[blockIdx.x / queryTileRows];
  int r = int(blockIdx.x % queryTileRows), head = int(blockIdx.y);
  if (r >= tile.rows)
    return;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t at = int64_t(tile.row + r) * a.heads * a.dim + int64_t(head) * a.dim;
  int64_t stride = int64_t(a.groups) * a.dim, group = int64_t(head / (a.heads / a.groups)) * a.dim;
  const T *keys = static_cast<const T *>(a.keys) + group, *values = static_cast<const T *>(a.values) + group;
  int position = tile.position + r;
  int first = a.window > 0 ? max(0, position - a.window + 1) : 0;

  float q[perLane], sum[perLane] = {}, best = nothing, total = 0;
#pragma unroll
  for (int i = 0; i < perLane; ++i)
    q[i] = lane + 32 * i < a.dim ? static_cast<const float *>(a.query)[at + lane + 32 * i] * a.scale : 0.0f;
  constexpr int many = 4; // keys in flight
  for (int j = first + warp * many; j <= position; j += rowWarps * many) {
    int64_t slot[many];
    float score[many] = {};
#pragma unroll
    for (int u = 0; u < many; ++u)
      slot[u] = a.slots[tile.keys + min(j + u, position)] * stride;
#pragma unroll
    for (int u = 0; u < many; ++u)
#pragma unroll
      for (int i = 0; i < perLane; ++i)
        if (lane + 32 * i < a.dim)
          score[u] = fmaf(q[i], ToFloat(keys[slot[u] + lane + 32 * i]), score[u]);
#pragma unroll
    for (int step = 16; step; step /= 2)
#pragma unroll
      for (int u = 0; u < many; ++u)
        score[u] += __shfl_xor_sync(~0u, score[u], step);
    float highest = best;
#pragma unroll
    for (int u = 0; u < many; ++u) {
      if (j + u > position)
        score[u] = nothing;
      highest = fmaxf(highest, score[u]);
    }
    float shrink = expf(best - highest);
    best = highest;
    total *= shrink;
#pragma unroll
    for (int i = 0; i < perLane; ++i)
      sum[i] *= shrink;
#pragma unroll
    for (int u = 0; u < many; ++u) {
      float p = j + u <= position ? expf(score[u] - best) : 0.0f;
      total += p;
#pragma unroll
      for (int i = 0; i < perLane; ++i)
        if (lane + 32 * i < a.dim)
          sum[i] = fmaf(p, ToFloat(values[slot[u] + lane + 32 * i]), sum[i]);
    }
  }

  __shared__ float bests[rowWarps], totals[rowWarps], sums[rowWarps][perLane * 32];
#pragma unroll
  for (int i = 0; i < perLane; ++i)
    sums[warp][lane + 32 * i] = sum[i];
  if (lane == 0)
    bests[warp] = best, totals[warp] = total;
  __syncthreads();
  float highest = nothing, whole = 0;
  for (int w = 0; w < rowWarps; ++w)
    highest = fmaxf(highest, bests[w]);
  for (int w = 0; w < rowWarps; ++w)
    whole += totals[w] * expf(bests[w] - highest);
  for (int d = threadIdx.x; d < a.dim; d += rowWarps * 32) {
    float v = 0;
    for (int w = 0; w < rowWarps; ++w)
      v += sums[w][d] * expf(bests[w] - highest);
    PutAt(a.out, a.outType, at + d, v / whole);
  }
}

template <typename T> void attendRows(cudaStream_t stream, const Attention &a) {
  dim3 grid(unsigned(a.tileCount) * queryTileRows, unsigned(a.heads));
  if (a.dim <= 64)
    Launch(AttendRowsKernel<T, 2>, grid, rowWarps * 32, 0, stream, a);
  else if (a.dim <= 128)
    Launch(AttendRowsKernel<T, 4>, grid, rowWarps * 32, 0, stream, a);
  else if (a.dim <= 256)
    Launch(AttendRowsKernel<T, 8>, grid, rowWarps * 32, 0, stream, a);
  else
    Launch(AttendRowsKernel<T, 16>, grid, rowWarps * 32, 0, stream, a);
}

// ---- tiles of queries on tensor cores ----

constexpr int tileWarps = 4;
/// Keys and values of two stages fit the 64 KiB that a block has on a T4, the GPU that fp16 is for.
template <typename Half, int dim> constexpr int keyTileOf = std::is_same_v<Half, __half> && dim > 64 ? 32 : 64;
static_assert(queryTileRows == tileWarps * 16);

/// Warp w has the queries 16w … 16w+15; every lane two of them (lane/4 and 8 more) with two columns of each
/// 8x8 tile. Two stages of keys and values are in shared memory, rows padded by 16 bytes.
template <typename Half, int dim> __global__ void __launch_bounds__(tileWarps * 32) AttendTilesKernel(Attention a) {
  if (!IsForThisGpu<Half>())
    return;
  constexpr int keyTile = keyTileOf<Half, dim>;
  constexpr int rowBytes = (dim + 8) * 2, partBytes = keyTile * rowBytes, perRow = dim / 8;
  uint32_t base = SharedAddress(DynamicShared<uint8_t>());
  QueryTile tile = a.tiles[blockIdx.x];
  int head = int(blockIdx.y), lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t width = int64_t(a.heads) * dim, stride = int64_t(a.groups) * dim;
  int64_t group = int64_t(head / (a.heads / a.groups)) * dim;
  const Half *keys = static_cast<const Half *>(a.keys) + group;
  const Half *values = static_cast<const Half *>(a.values) + group;
  const int32_t *slots = a.slots + tile.keys;
  int end = tile.position + tile.rows; // keys that any query sees
  int first = a.window > 0 ? max(0, tile.position - a.window + 1) / keyTile * keyTile : 0;

  auto fetch = [&](int begin, int stage) {
#pragma unroll
    for (int i = 0; i < keyTile * perRow / (tileWarps * 32); ++i) {
      int chunk = i * tileWarps * 32 + int(threadIdx.x), key = chunk / perRow, part = chunk % perRow;
      bool exists = begin + key < end;
      int64_t from = exists ? slots[begin + key] * stride + part * 8 : 0;
      uint32_t to = base + uint32_t(stage * 2 * partBytes + key * rowBytes + part * 16);
      CopyAsync(to, keys + from, exists);
      CopyAsync(to + partBytes, values + from, exists);
    }
    EndGroupOfCopies();
  };
  fetch(first, 0);

  int g = lane / 4, t = lane % 4, low = warp * 16 + g, high = low + 8; // the lane's queries
  uint32_t q[dim / 16][4];
  int64_t query = int64_t(tile.row) * width + int64_t(head) * dim;
#pragma unroll
  for (int k = 0; k < dim / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int row = i % 2 ? high : low, column = k * 16 + i / 2 * 8 + t * 2;
      q[k][i] = row < tile.rows ? PairAt<Half>(a.query, a.queryType, query + row * width + column) : 0;
    }

  float out[dim / 8][4] = {};
  float best[2] = {nothing, nothing}, total[2] = {0, 0};
  float scale = a.scale * 1.44269504088896341f; // powers of two
  int stage = 0;
  for (int begin = first; begin < end; begin += keyTile, stage ^= 1) {
    if (begin + keyTile < end) {
      fetch(begin + keyTile, stage ^ 1);
      WaitForCopies<1>();
    } else {
      WaitForCopies<0>();
    }
    __syncthreads();
    uint32_t keyBase = base + uint32_t(stage * 2 * partBytes), valueBase = keyBase + partBytes;

    float score[keyTile / 8][4] = {};
#pragma unroll
    for (int k = 0; k < dim / 16; ++k)
#pragma unroll
      for (int n = 0; n < keyTile / 16; ++n) {
        uint32_t b[4];
        LoadMatrices(b, keyBase + uint32_t((n * 16 + lane % 8 + lane / 16 * 8) * rowBytes + k * 32 + lane / 8 % 2 * 16));
        MultiplyTiles<Half>(score[2 * n], q[k], b[0], b[1]);
        MultiplyTiles<Half>(score[2 * n + 1], q[k], b[2], b[3]);
      }

    bool inside = begin + keyTile <= tile.position + 1 && a.window == 0; // every query sees every key
    float highest[2] = {best[0], best[1]};
#pragma unroll
    for (int n = 0; n < keyTile / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float s = score[n][i] * scale;
        if (!inside) {
          int key = begin + n * 8 + t * 2 + i % 2, position = tile.position + (i / 2 ? high : low);
          if (key > position || key >= end || (a.window > 0 && key <= position - a.window))
            s = nothing;
        }
        score[n][i] = s;
        highest[i / 2] = fmaxf(highest[i / 2], s);
      }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(~0u, highest[h], 1));
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(~0u, highest[h], 2));
      float shrink = exp2f(best[h] - highest[h]);
      best[h] = highest[h];
      total[h] *= shrink;
#pragma unroll
      for (int n = 0; n < dim / 8; ++n) {
        out[n][2 * h] *= shrink;
        out[n][2 * h + 1] *= shrink;
      }
    }
#pragma unroll
    for (int n = 0; n < keyTile / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        // A query may see no key of this tile: then best is `nothing`, and so is every score.
        float p = score[n][i] == nothing ? 0.0f : exp2f(score[n][i] - best[i / 2]);
        score[n][i] = p;
        total[i / 2] += p;
      }
#pragma unroll
    for (int k = 0; k < keyTile / 16; ++k) {
      uint32_t p[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        p[i] = Pack<Half>(score[2 * k + i / 2][i % 2 * 2], score[2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
      for (int n = 0; n < dim / 16; ++n) {
        uint32_t b[4];
        LoadTransposed(b, valueBase + uint32_t((k * 16 + lane % 16) * rowBytes + n * 32 + lane / 16 * 16));
        MultiplyTiles<Half>(out[2 * n], p, b[0], b[1]);
        MultiplyTiles<Half>(out[2 * n + 1], p, b[2], b[3]);
      }
    }
    __syncthreads(); // the next fetch overwrites this stage
  }

#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] += __shfl_xor_sync(~0u, total[h], 1);
    total[h] += __shfl_xor_sync(~0u, total[h], 2);
    int row = h ? high : low;
    if (row >= tile.rows)
      continue;
    float inverse = 1.0f / total[h];
    int64_t at = int64_t(tile.row + row) * width + int64_t(head) * dim + t * 2;
#pragma unroll
    for (int n = 0; n < dim / 8; ++n) {
      float low = out[n][2 * h] * inverse, high = out[n][2 * h + 1] * inverse;
      if (a.outType == DType::F32)
        *reinterpret_cast<float2 *>(static_cast<float *>(a.out) + at + n * 8) = {low, high};
      else
        *reinterpret_cast<uint32_t *>(static_cast<Half *>(a.out) + at + n * 8) = Pack<Half>(low, high);
    }
  }
}

template <typename Half, int dim> void attendTiles(cudaStream_t stream, const Attention &a) {
  constexpr int bytes = 4 * keyTileOf<Half, dim> * (dim + 8) * 2;
  // Every layer of every batch comes here. A failure makes the launch fail, and that is reported.
  static OncePerDevice raise;
  raise([] { cudaFuncSetAttribute(AttendTilesKernel<Half, dim>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes); });
  Launch(AttendTilesKernel<Half, dim>, dim3(unsigned(a.tileCount), unsigned(a.heads)), tileWarps * 32, bytes, stream, a);
}

} // namespace

void WriteCache(cudaStream_t stream, const float *k, const float *v, int64_t rows, int64_t width,
                const int32_t *slots, void *keys, void *values, DType type) {
  auto write = [&](auto element) {
    using T = decltype(element);
    writeCache(stream, k, v, rows * width, width, slots, static_cast<T *>(keys), static_cast<T *>(values));
  };
  if (type == DType::F32)
    write(0.0f);
  else
    WithHalf(type, write);
}

bool AttendsInTiles(const Attention &a) {
  return !CanAttendStep(a) && a.type != DType::F32 && a.rows >= a.tileCount * 4 && (a.dim == 64 || a.dim == 128);
}

void Attend(cudaStream_t stream, const Attention &a) {
  if (a.tileCount == 0)
    return;
  if (CanAttendStep(a))
    return AttendStep(stream, a);
  if (a.type == DType::F32)
    return attendRows<float>(stream, a);
  if (AttendsInTiles(a))
    return CanAttendWarpgroups(a) ? AttendWarpgroups(stream, a) : AttendTiles(stream, a);
  WithHalf(a.type, [&](auto type) { attendRows<decltype(type)>(stream, a); });
}

void AttendTiles(cudaStream_t stream, const Attention &a) {
  WithHalf(a.type, [&](auto type) {
    if (a.dim == 64)
      attendTiles<decltype(type), 64>(stream, a);
    else
      attendTiles<decltype(type), 128>(stream, a);
  });
}

} // namespace compressc::cuda
