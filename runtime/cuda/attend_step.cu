// Attention of one query for each sequence, a step of generation: there are few queries and many keys, so the keys
// are split among blocks, and the last block to end merges the parts, in a fixed order. A block reads each key once
// for all query heads that share it.
#include "attend_step.cuh"
#include "fours.cuh"
#include "launch.cuh"

namespace compressc::cuda {
namespace {

constexpr int warps = 4, lanesPerKey = 8, keysAtOnce = warps * 32 / lanesPerKey;
constexpr int keysOfSplit = 32; // at least
constexpr float nothing = -1e30f; // below every score, with finite differences

/// A running softmax over some keys: greatest score, sum, and the weighted values in this lane's columns.
template <int columns> struct Running {
  float best = nothing, total = 0, sum[columns] = {};
};

template <typename Half, int dim, int heads>
__global__ void __launch_bounds__(warps * 32) AttendStepKernel(Attention a, int splits) {
  if (!IsForThisGpu<Half>())
    return;
  constexpr int columns = dim / lanesPerKey; // of this lane
  LetTheNextBegin();
  WaitForTheOneBefore();
  int tileIndex = blockIdx.x, group = blockIdx.y, split = blockIdx.z;
  QueryTile tile = a.tiles[tileIndex];
  int lane = threadIdx.x % lanesPerKey, keyLane = threadIdx.x / lanesPerKey;
  int64_t stride = int64_t(a.groups) * dim, head0 = int64_t(group) * heads;
  const Half *keys = static_cast<const Half *>(a.keys) + int64_t(group) * dim + lane * columns;
  const Half *values = static_cast<const Half *>(a.values) + int64_t(group) * dim + lane * columns;
  int first = a.window > 0 ? max(0, tile.position - a.window + 1) : 0, count = tile.position + 1 - first;
  // Short contexts are split in fewer parts than there are blocks.
  splits = max(1, min(splits, count / keysOfSplit));
  if (split >= splits)
    return;
  int begin = first + int(int64_t(count) * split / splits), end = first + int(int64_t(count) * (split + 1) / splits);

  float q[heads][columns];
#pragma unroll
  for (int h = 0; h < heads; ++h)
#pragma unroll
    for (int i = 0; i < columns; i += 4) {
      float4 v = Get4(static_cast<const float *>(a.query) + (int64_t(tile.row) * a.heads + head0 + h) * dim + lane * columns + i);
      q[h][i] = v.x * a.scale, q[h][i + 1] = v.y * a.scale, q[h][i + 2] = v.z * a.scale, q[h][i + 3] = v.w * a.scale;
    }
  Running<columns> state[heads];
  // The next keys and values are on their way while these are used, and the slots of those behind them.
  uint2 nextKey[columns / 4], nextValue[columns / 4];
  auto slotOf = [&](int key) { return int64_t(a.slots[tile.keys + min(key, end - 1)]) * stride; };
  auto fetch = [&](int64_t slot) {
#pragma unroll
    for (int i = 0; i < columns / 4; ++i) {
      nextKey[i] = *reinterpret_cast<const uint2 *>(keys + slot + i * 4);
      nextValue[i] = *reinterpret_cast<const uint2 *>(values + slot + i * 4);
    }
  };
  fetch(slotOf(begin + keyLane));
  int64_t nextSlot = slotOf(begin + keyLane + keysAtOnce);
  for (int base = begin; base < end; base += keysAtOnce) {
    bool exists = base + keyLane < end;
    float k[columns], v[columns];
#pragma unroll
    for (int i = 0; i < columns; i += 4) {
      float4 kk = Fours<Half>(nextKey[i / 4]), vv = Fours<Half>(nextValue[i / 4]);
      k[i] = kk.x, k[i + 1] = kk.y, k[i + 2] = kk.z, k[i + 3] = kk.w;
      v[i] = vv.x, v[i + 1] = vv.y, v[i + 2] = vv.z, v[i + 3] = vv.w;
    }
    if (base + keysAtOnce < end) {
      fetch(nextSlot);
      nextSlot = slotOf(base + keyLane + 2 * keysAtOnce);
    }
#pragma unroll
    for (int h = 0; h < heads; ++h) {
      float score = 0;
#pragma unroll
      for (int i = 0; i < columns; ++i)
        score = fmaf(q[h][i], k[i], score);
#pragma unroll
      for (int step = lanesPerKey / 2; step; step /= 2)
        score += __shfl_xor_sync(~0u, score, step);
      if (!exists)
        score = nothing;
      float best = fmaxf(state[h].best, score), shrink = __expf(state[h].best - best), p = exists ? __expf(score - best) : 0.0f;
      state[h].best = best;
      state[h].total = state[h].total * shrink + p;
#pragma unroll
      for (int i = 0; i < columns; ++i)
        state[h].sum[i] = fmaf(p, v[i], state[h].sum[i] * shrink);
    }
  }

  // Key lanes of a warp are merged by shuffles, warps in shared memory.
  __shared__ float bests[warps][heads], totals[warps][heads], sums[warps][heads][dim];
  __shared__ bool last;
  int warp = threadIdx.x / 32;
#pragma unroll
  for (int h = 0; h < heads; ++h) {
    Running<columns> &mine = state[h];
    float best = mine.best;
#pragma unroll
    for (int step = lanesPerKey; step < 32; step *= 2)
      best = fmaxf(best, __shfl_xor_sync(~0u, best, step));
    float shrink = __expf(mine.best - best);
    mine.total *= shrink;
#pragma unroll
    for (int i = 0; i < columns; ++i)
      mine.sum[i] *= shrink;
#pragma unroll
    for (int step = lanesPerKey; step < 32; step *= 2) {
      mine.total += __shfl_xor_sync(~0u, mine.total, step);
#pragma unroll
      for (int i = 0; i < columns; ++i)
        mine.sum[i] += __shfl_xor_sync(~0u, mine.sum[i], step);
    }
    if (threadIdx.x % 32 < lanesPerKey) {
      bests[warp][h] = best, totals[warp][h] = mine.total;
#pragma unroll
      for (int i = 0; i < columns; ++i)
        sums[warp][h][lane * columns + i] = mine.sum[i];
    }
  }
  __syncthreads();
  float *parts = a.splits + (int64_t(tileIndex) * a.heads + head0) * mostSplits * (dim + 2);
  for (int i = threadIdx.x; i < heads * dim; i += warps * 32) {
    int h = i / dim, d = i % dim;
    float best = nothing, total = 0, sum = 0;
#pragma unroll
    for (int p = 0; p < warps; ++p)
      best = fmaxf(best, bests[p][h]);
#pragma unroll
    for (int p = 0; p < warps; ++p) {
      float weight = __expf(bests[p][h] - best);
      total += totals[p][h] * weight;
      sum += sums[p][h][d] * weight;
    }
    if (splits == 1) {
      PutAt(a.out, a.outType, (int64_t(tile.row) * a.heads + head0 + h) * dim + d, sum / total);
      continue;
    }
    float *part = parts + (int64_t(h) * mostSplits + split) * (dim + 2);
    part[2 + d] = sum;
    if (d == 0)
      part[0] = best, part[1] = total;
  }
  if (splits == 1)
    return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t *counter = a.counters + tileIndex * a.groups + group;
    last = atomicAdd(counter, 1) == splits - 1;
    if (last)
      *counter = 0; // for the next launch
  }
  __syncthreads();
  if (!last)
    return;
  __threadfence();
  // Four columns for each thread, and eight parts at once, as each load of a part takes long.
  for (int i = threadIdx.x * 4; i < heads * dim; i += warps * 32 * 4) {
    int h = i / dim, d = i % dim;
    const float *part = parts + int64_t(h) * mostSplits * (dim + 2);
    float best = nothing, total = 0, sum[4] = {};
    for (int first = 0; first < splits; first += 8) {
      float2 head[8], low[8], high[8];
#pragma unroll
      for (int s = 0; s < 8; ++s) {
        const float *from = part + min(first + s, splits - 1) * (dim + 2);
        head[s] = __ldcg(reinterpret_cast<const float2 *>(from)); // best and total
        low[s] = __ldcg(reinterpret_cast<const float2 *>(from + 2 + d));
        high[s] = __ldcg(reinterpret_cast<const float2 *>(from + 4 + d));
      }
      float highest = best;
#pragma unroll
      for (int s = 0; s < 8; ++s)
        highest = fmaxf(highest, head[s].x);
      float shrink = __expf(best - highest);
      best = highest;
      total *= shrink, sum[0] *= shrink, sum[1] *= shrink, sum[2] *= shrink, sum[3] *= shrink;
#pragma unroll
      for (int s = 0; s < 8; ++s) {
        float weight = first + s < splits ? __expf(head[s].x - best) : 0.0f;
        total = fmaf(head[s].y, weight, total);
        sum[0] = fmaf(low[s].x, weight, sum[0]), sum[1] = fmaf(low[s].y, weight, sum[1]);
        sum[2] = fmaf(high[s].x, weight, sum[2]), sum[3] = fmaf(high[s].y, weight, sum[3]);
      }
    }
#pragma unroll
    for (int j = 0; j < 4; ++j)
      PutAt(a.out, a.outType, (int64_t(tile.row) * a.heads + head0 + h) * dim + d + j, sum[j] / total);
  }
}

template <typename Half, int dim, int heads> void launch(cudaStream_t stream, const Attention &a) {
  int blocks = a.tileCount * a.groups;
  int splits = max(1, min(mostSplits, 256 / blocks)); // about two for each multiprocessor
  LaunchChained(AttendStepKernel<Half, dim, heads>, dim3(unsigned(a.tileCount), unsigned(a.groups), unsigned(splits)), warps * 32, 0, stream, a, splits);
}

template <typename Half, int dim> void launch(cudaStream_t stream, const Attention &a) {
  switch (a.heads / a.groups) {
  case 1: return launch<Half, dim, 1>(stream, a);
  case 2: return launch<Half, dim, 2>(stream, a);
  case 3: return launch<Half, dim, 3>(stream, a);
  case 4: return launch<Half, dim, 4>(stream, a);
  case 5: return launch<Half, dim, 5>(stream, a);
  case 6: return launch<Half, dim, 6>(stream, a);
  case 7: return launch<Half, dim, 7>(stream, a);
  default: return launch<Half, dim, 8>(stream, a);
  }
}

} // namespace

bool CanAttendStep(const Attention &a) {
  return a.type != DType::F32 && (a.dim == 64 || a.dim == 128) && a.heads / a.groups <= 8 && a.rows == a.tileCount;
}

void AttendStep(cudaStream_t stream, const Attention &a) {
  WithHalf(a.type, [&](auto type) {
    if (a.dim == 64)
      launch<decltype(type), 64>(stream, a);
    else
      launch<decltype(type), 128>(stream, a);
  });
}

} // namespace compressc::cuda
