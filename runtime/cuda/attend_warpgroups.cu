// Attention of tiles of queries by products of warpgroups (wgmma), for compute capability 9.0.
//
// The query heads that share a key head also share its keys and values in shared memory: a tile's rows are its queries
// times those heads, head by head for each query, and a warpgroup takes 64 of these rows. Keys and values are gathered by
// 16-byte copies, as their slots may be anywhere, to a ring of stages. While the tensor cores multiply the weights of one
// tile of keys by its values, the threads compute the softmax of the next one, whose scores were multiplied before.
#include "attend_warpgroups.h"
#include "half.cuh"
#include "launch.cuh"
#include "wgmma.cuh"

namespace compressc::cuda {
namespace {

constexpr int groupThreads = 128, groupRows = 64;

/// Two warpgroups have a multiprocessor's registers, and so its shared memory; one leaves room for another block.
template <int dim, int keyTile, int warpgroups> struct Ring {
  static constexpr int stages = warpgroups == 2 && keyTile == 64 ? 4 : 3;
  static constexpr int panelBytes = keyTile * 128;
  static constexpr int partBytes = dim / 64 * panelBytes, stageBytes = 2 * partBytes; // keys, values
  static constexpr int bytes = stages * stageBytes + 1024;                           // to be aligned
  static constexpr int blocks = dim == 64 && keyTile == 64 ? 2 : 1;                  // on a multiprocessor, at least
};

template <typename Half, int dim, int keyTile, int warpgroups>
__global__ void __launch_bounds__(warpgroups *groupThreads, Ring<dim, keyTile, warpgroups>::blocks)
    AttendWarpgroupsKernel(Attention a, int parts) {
  if (!HasWarpgroupProducts())
    return;
  using Ring = Ring<dim, keyTile, warpgroups>;
  constexpr int stages = Ring::stages, threads = warpgroups * groupThreads, blockRows = warpgroups * groupRows;
  uint32_t base = (SharedAddress(DynamicShared<uint8_t>()) + 1023) / 1024 * 1024;
  // Long contexts first: of one sequence they are its last tiles.
  int perTile = a.groups * parts, rest = int(blockIdx.x) % perTile, group = rest % a.groups;
  QueryTile tile = a.tiles[a.tileCount - 1 - int(blockIdx.x) / perTile];
  int sharing = a.heads / a.groups, rows = tile.rows * sharing, blockRow = (parts - 1 - rest / a.groups) * blockRows;
  if (blockRow >= rows)
    return;
  int64_t stride = int64_t(a.groups) * dim;
  const int32_t *slots = a.slots + tile.keys;
  int end = tile.position + (min(blockRow + blockRows, rows) - 1) / sharing + 1; // keys that any query sees
  int first = a.window > 0 ? max(0, tile.position + blockRow / sharing - a.window + 1) / keyTile * keyTile : 0;
  int count = (end - first + keyTile - 1) / keyTile;

  // A thread copies the same chunk of several keys' rows.
  constexpr int chunks = dim / 8, keysAtOnce = threads / chunks, copies = keyTile / keysAtOnce;
  static_assert(keysAtOnce % 8 == 0);
  int chunk = int(threadIdx.x) % chunks, key0 = int(threadIdx.x) / chunks;
  uint32_t to = base + uint32_t(chunk / 8 * Ring::panelBytes) + SwizzledChunk(key0, chunk % 8);
  const Half *keys = static_cast<const Half *>(a.keys) + int64_t(group) * dim + chunk * 8;
  const Half *values = static_cast<const Half *>(a.values) + int64_t(group) * dim + chunk * 8;
  auto findSlots = [&](int32_t(&found)[copies], int index) {
#pragma unroll
    for (int i = 0; i < copies; ++i) {
      int key = first + index * keyTile + key0 + i * keysAtOnce;
      found[i] = key < end ? slots[key] : -1;
    }
  };
  auto fetch = [&](const int32_t(&found)[copies], int stage) {
    uint32_t there = to + uint32_t(stage * Ring::stageBytes);
#pragma unroll
    for (int i = 0; i < copies; ++i) {
      bool exists = found[i] >= 0;
      int64_t from = exists ? found[i] * stride : 0;
      CopyAsync(there + i * keysAtOnce * 128, keys + from, exists);
      CopyAsync(there + i * keysAtOnce * 128 + Ring::partBytes, values + from, exists);
    }
  };
  int32_t ahead[stages][copies];
#pragma unroll
  for (int s = 0; s < stages; ++s)
    findSlots(ahead[s], s);
#pragma unroll
  for (int s = 0; s < stages - 1; ++s) {
    if (s < count)
      fetch(ahead[s], s);
    EndGroupOfCopies();
  }
  int32_t(&next)[copies] = ahead[stages - 1];

  // Every thread waits for its own copies, shows them, and then may rely on the others'. What the oldest stage held has
  // been used by all.
  auto advance = [&](int &stage) {
    WaitForCopies<stages - 3>();
    ShowToProducts();
    __syncthreads();
    int free = stage == 0 ? stages - 1 : stage - 1;
    stage = stage + 1 == stages ? 0 : stage + 1;
    return free;
  };
  auto refill = [&](int index, int free) {
    if (index + stages - 1 < count) {
      fetch(next, free);
      findSlots(next, index + stages);
    }
    EndGroupOfCopies();
  };
  int warpgroup = __shfl_sync(~0u, int(threadIdx.x) / groupThreads, 0), firstRow = blockRow + warpgroup * groupRows;
  int stage = 0; // of the keys whose weights are known
  if (firstRow >= rows) { // it only fetches
    WaitForCopies<stages - 2>();
    ShowToProducts();
    __syncthreads();
    for (int index = 0; index + 1 < count; ++index)
      refill(index, advance(stage));
    WaitForCopies<0>();
    return;
  }

  int lane = threadIdx.x % 32, t = lane % 4, lowRow = firstRow + int(threadIdx.x) % groupThreads / 32 * 16 + lane / 4;
  int64_t at[2]; // of the thread's two rows, in query and out
  int last[2], before[2]; // the last key that a row sees, and the one before the first
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    int row = min(lowRow + h * 8, rows - 1), query = row / sharing;
    at[h] = (int64_t(tile.row + query) * a.heads + group * sharing + row % sharing) * dim + t * 2;
    last[h] = tile.position + query - t * 2;
    before[h] = a.window > 0 ? last[h] - a.window : -t * 2 - 1;
  }
  uint32_t q[dim / 16][4];
#pragma unroll
  for (int k = 0; k < dim / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      q[k][i] = PairAt<Half>(a.query, a.queryType, at[i % 2] + k * 16 + i / 2 * 8);
  // Tiles of keys that every row of the warpgroup sees: up to this one, and above that one.
  int wholeUpTo = tile.position + firstRow / sharing - keyTile + 1;
  int wholeFrom = a.window > 0 ? tile.position + (min(firstRow + groupRows, rows) - 1) / sharing - a.window + 1 : 0;

  constexpr float infinity = __builtin_huge_valf();
  float out[dim / 2], score[keyTile / 2], best[2] = {-1e30f, -1e30f}, total[2] = {0, 0}, shrink[2];
  uint32_t weights[keyTile / 16][4];
  float scale = a.scale * 1.44269504088896341f; // powers of two
  auto multiplyKeys = [&](int stage) {
    uint32_t from = base + uint32_t(stage * Ring::stageBytes);
#pragma unroll
    for (int k = 0; k < dim / 16; ++k)
      MultiplyLater<Half, keyTile, false>(score, q[k], SwizzledMatrix(from + k / 4 * Ring::panelBytes + k % 4 * 32, 0), k > 0);
    EndGroupOfProducts();
  };
  auto multiplyValues = [&](int stage) {
    uint32_t from = base + uint32_t(stage * Ring::stageBytes + Ring::partBytes);
#pragma unroll
    for (int k = 0; k < keyTile / 16; ++k)
      MultiplyLater<Half, dim, true>(out, weights[k], SwizzledMatrix(from + k * 16 * 128, Ring::panelBytes), true);
    EndGroupOfProducts();
  };
  // Scores become weights, with the sums before them yet to shrink. A row may see no key of a tile: its scores are
  // infinitely small, and so below the finite `best`.
  auto softmax = [&](int index) {
    int begin = first + index * keyTile;
    if (begin > wholeUpTo || begin < wholeFrom) {
#pragma unroll
      for (int n = 0; n < keyTile / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          int key = n * 8 + i % 2;
          if (key > last[i / 2] - begin || key <= before[i / 2] - begin)
            score[n * 4 + i] = -infinity;
        }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float highest = fmaxf(score[2 * h], score[2 * h + 1]);
#pragma unroll
      for (int n = 1; n < keyTile / 8; ++n)
        highest = fmaxf(highest, fmaxf(score[n * 4 + 2 * h], score[n * 4 + 2 * h + 1]));
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
      highest = fmaxf(best[h], highest * scale);
      shrink[h] = ExponentialOf2(best[h] - highest);
      best[h] = highest;
      total[h] *= shrink[h];
#pragma unroll
      for (int n = 0; n < keyTile / 8; ++n)
#pragma unroll
        for (int i = 2 * h; i < 2 * h + 2; ++i) {
          score[n * 4 + i] = ExponentialOf2(fmaf(score[n * 4 + i], scale, -highest));
          total[h] += score[n * 4 + i];
        }
    }
  };
  auto narrow = [&] {
#pragma unroll
    for (int k = 0; k < keyTile / 16; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        weights[k][i] = PackInRange<Half>(score[(2 * k + i / 2) * 4 + i % 2 * 2], score[(2 * k + i / 2) * 4 + i % 2 * 2 + 1]);
  };

#pragma unroll
  for (int i = 0; i < dim / 2; ++i)
    out[i] = 0;
  WaitForCopies<stages - 2>();
  ShowToProducts();
  __syncthreads();
  BeginProducts();
  multiplyKeys(0);
  WaitForProducts<0>(score);
  softmax(0);
  narrow();
  for (int index = 0; index + 1 < count; ++index) {
    int now = stage, free = advance(stage);
    BeginProducts();
    multiplyKeys(stage);
    multiplyValues(now);
    refill(index, free);
    WaitForProducts<1>(score);
    softmax(index + 1);
    FinishBeforeWaiting(total[0] + total[1], base); // the softmax, while the values are multiplied
    bool same = __all_sync(~0u, shrink[0] == 1 && shrink[1] == 1); // most tiles raise no row's greatest score
    WaitForProducts<0>(out);
    if (!same) {
#pragma unroll
      for (int i = 0; i < dim / 2; ++i)
        out[i] *= shrink[i / 2 % 2];
    }
    narrow();
  }
  BeginProducts();
  multiplyValues(stage);
  WaitForProducts<0>(out);
  WaitForCopies<0>(); // none but empty groups

#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] += __shfl_xor_sync(~0u, total[h], 1);
    total[h] += __shfl_xor_sync(~0u, total[h], 2);
    if (lowRow + h * 8 >= rows)
      continue;
    float inverse = 1.0f / total[h];
#pragma unroll
    for (int n = 0; n < dim / 8; ++n) {
      float low = out[n * 4 + 2 * h] * inverse, high = out[n * 4 + 2 * h + 1] * inverse;
      if (a.outType == DType::F32)
        *reinterpret_cast<float2 *>(static_cast<float *>(a.out) + at[h] + n * 8) = {low, high};
      else
        *reinterpret_cast<uint32_t *>(static_cast<Half *>(a.out) + at[h] + n * 8) = Pack<Half>(low, high);
    }
  }
}

template <typename Half, int dim, int keyTile, int warpgroups> void attend(cudaStream_t stream, const Attention &a) {
  constexpr int bytes = Ring<dim, keyTile, warpgroups>::bytes;
  auto kernel = AttendWarpgroupsKernel<Half, dim, keyTile, warpgroups>;
  static OncePerDevice raise; // a failure makes the launch fail, and that is reported
  raise([&] { cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes); });
  int parts = (queryTileRows * (a.heads / a.groups) + warpgroups * groupRows - 1) / (warpgroups * groupRows);
  Launch(kernel, dim3(unsigned(a.tileCount) * unsigned(a.groups * parts)), warpgroups * groupThreads, bytes, stream, a, parts);
}

template <typename Half, int dim> void attend(cudaStream_t stream, const Attention &a, int keyTile) {
  if (a.heads == a.groups)
    attend<Half, dim, 64, 1>(stream, a);
  else if (keyTile == 64)
    attend<Half, dim, 64, 2>(stream, a);
  else
    attend<Half, dim, 128, 2>(stream, a);
}

} // namespace

bool CanAttendWarpgroups(const Attention &a) {
  return a.type != DType::F32 && (a.dim == 64 || a.dim == 128) && a.scale > 0 && HasCapability90();
}

void AttendWarpgroups(cudaStream_t stream, const Attention &a, int keyTile) {
  WithHalf(a.type, [&](auto type) {
    if (a.dim == 64)
      attend<decltype(type), 64>(stream, a, keyTile);
    else
      attend<decltype(type), 128>(stream, a, keyTile);
  });
}

} // namespace compressc::cuda
