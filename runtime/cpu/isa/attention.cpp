// Softmax attention of a tile of query rows, one block of keys after the other, in fp32.
//
// Blocks begin at multiples of keyBlock counted from the first key of the sequence, and a key that
// a row may not see adds an exact zero. So a row's bits depend on its keys only: not on how the
// sequence is cut into batches, nor on the rows beside it.
#include "elementary.h"
#include "functions.h"
#include "tile.h"

namespace compressc::COMPRESSC_ISA {
namespace {

constexpr int64_t keyBlock = 128;
constexpr float lowest = -3.0e38f; // finite, so that the difference of two maxima is never NaN
static_assert(keyBlock % panelWidth == 0);

int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

struct Parts {
  float *queries;                 // [chunk of dim][tile rows][stride], scaled
  float *scores;                  // [tile rows][keyBlock]
  float *sums;                    // [tile rows][padded dim]: the output before its division
  float *maxima, *totals, *decay; // [tile rows]
  float *panel;
  float *copy; // rows of keys whose length is no multiple of four
};

/// Row length of the query copy: constant strides make a faster tile.
constexpr int64_t queryStride(int64_t dim) {
  return dim <= 64 ? 64 : dim <= 128 ? 128 : blockDepth;
}
int64_t queryChunks(int64_t dim) { return (dim + blockDepth - 1) / blockDepth; }
int64_t panelFloats(int64_t dim) {
  return panelWidth * maximum(keyBlock, roundUp(minimum(dim, blockDepth), 4));
}

Parts layOut(float *scratch, int64_t rows, int64_t dim) {
  int64_t padded = roundUp(rows, 16);
  Parts p;
  p.queries = scratch;
  p.scores = p.queries + queryChunks(dim) * rows * queryStride(dim);
  p.sums = p.scores + rows * keyBlock;
  p.maxima = p.sums + rows * roundUp(dim, panelWidth);
  p.totals = p.maxima + padded;
  p.decay = p.totals + padded;
  p.panel = p.decay + padded;
  p.copy = p.panel + panelFloats(dim);
  return p;
}

/// Walks the keys of a sequence in order.
struct KeyCursor {
  const SlotRange *range;
  int64_t begin = 0; // index of the first key of *range

  explicit KeyCursor(const SlotRange *ranges) : range(ranges) {}
  /// Slots of the keys [first, first + count); `first` never goes back.
  void slots(int64_t first, int64_t count, int64_t *out) {
    for (int64_t i = 0; i < count; ++i) {
      while (first + i >= begin + range->count) {
        begin += range->count;
        ++range;
      }
      out[i] = range->begin + (first + i - begin);
    }
  }
};

template <int64_t stride>
void scoreBlock(const AttentionTile &tile, const Parts &p, int64_t rows, const int64_t *slots,
                int64_t count) {
  for (int64_t n = 0; n < count; n += panelWidth)
    for (int64_t d = 0; d < tile.dim; d += blockDepth) {
      int64_t depth = minimum(blockDepth, tile.dim - d);
      for (int64_t at = 0; at < panelWidth; at += lanes) {
        const float *keys[lanes];
        for (int r = 0; r < lanes; ++r) {
          keys[r] = tile.keys + slots[minimum(n + at + r, count - 1)] * tile.slotStride + d;
          if (depth % 4) {
            copyPadded(keys[r], depth, p.copy + r * roundUp(depth, lanes));
            keys[r] = p.copy + r * roundUp(depth, lanes);
          }
        }
        transposeRows(keys, depth, p.panel + at, panelWidth);
      }
      const float *queries = p.queries + d / blockDepth * rows * stride;
      for (int64_t r = 0; r < rows;) {
        float *scores = p.scores + r * keyBlock + n;
        if (d == 0) {
          r += multiplyRows<stride>(rows - r, depth, queries + r * stride, p.panel, scores,
                                    keyBlock);
          continue;
        }
        float more[tileRows * panelWidth];
        int64_t count =
            multiplyRows<stride>(rows - r, depth, queries + r * stride, p.panel, more, panelWidth);
        for (int64_t i = 0; i < count; ++i, ++r, scores += keyBlock)
          for (int64_t at = 0; at < panelWidth; at += lanes)
            store(scores + at, add(load(scores + at), load(more + i * panelWidth + at)));
      }
    }
}

/// Turns the scores of a block of keys, which begins at key `first`, into weights.
void softmaxBlock(const AttentionTile &tile, const Parts &p, int64_t rows, int64_t first, int64_t count) {
  constexpr float hidden = -__builtin_inff();
  int64_t padded = roundUp(count, lanes);
  for (int64_t begin = 0; begin < rows; begin += lanes) {
    int64_t many = minimum(lanes, rows - begin), ends[lanes];
    float maxima[lanes], sums[lanes] = {};
    store(maxima, load(p.maxima + begin));
    for (int64_t i = 0; i < many; ++i) {
      float *score = p.scores + (begin + i) * keyBlock;
      int64_t own = tile.firstPosition + (begin + i) / tile.headsPerGroup - first; // the row's own key
      int64_t low = tile.window > 0 ? maximum(0, own - tile.window + 1) : 0, high = minimum(count, own + 1);
      ends[i] = low < high ? roundUp(high, lanes) : 0;
      if (low >= high)
        continue;
      for (int64_t j = 0; j < low; ++j)
        score[j] = hidden;
      for (int64_t j = high; j < ends[i]; ++j)
        score[j] = hidden;
      Vec most = broadcast(maxima[i]);
      for (int64_t j = 0; j < ends[i]; j += lanes)
        most = max(most, load(score + j));
      maxima[i] = largest(most);
    }
    Vec decay = exponential(sub(load(p.maxima + begin), load(maxima)));
    for (int64_t i = 0; i < many; ++i) {
      float *score = p.scores + (begin + i) * keyBlock;
      Vec shift = broadcast(maxima[i]), total = zero();
      int64_t j = 0;
      for (; j < ends[i]; j += lanes) {
        Vec weight = exponential(sub(load(score + j), shift));
        store(score + j, weight);
        total = add(total, weight);
      }
      for (; j < padded; j += lanes)
        store(score + j, zero());
      sums[i] = sum(total);
    }
    store(p.maxima + begin, load(maxima));
    store(p.decay + begin, decay);
    store(p.totals + begin, fma(load(p.totals + begin), decay, load(sums)));
  }
}

void addValues(const AttentionTile &tile, const Parts &p, int64_t rows, const int64_t *slots,
               int64_t count) {
  int64_t padded = roundUp(tile.dim, panelWidth);
  for (int64_t n = 0; n < tile.dim; n += panelWidth) {
    int64_t columns = minimum(panelWidth, tile.dim - n);
    for (int64_t k = 0; k < count; ++k) {
      Vec a, b;
      loadPair(tile.values + slots[k] * tile.slotStride + n, columns, a, b);
      store(p.panel + k * panelWidth, a);
      store(p.panel + k * panelWidth + lanes, b);
    }
    for (int64_t r = 0; r < rows;) {
      float block[tileRows * panelWidth];
      int64_t many = multiplyRows<keyBlock>(rows - r, count, p.scores + r * keyBlock, p.panel,
                                            block, panelWidth);
      for (int64_t i = 0; i < many; ++i, ++r) {
        float *sums = p.sums + r * padded + n;
        Vec decay = broadcast(p.decay[r]);
        for (int64_t at = 0; at < panelWidth; at += lanes)
          store(sums + at, fma(load(sums + at), decay, load(block + i * panelWidth + at)));
      }
    }
  }
}

} // namespace

int64_t attentionScratchFloats(int64_t tileRows, int64_t dim) {
  return queryChunks(dim) * tileRows * queryStride(dim) + tileRows * keyBlock +
         tileRows * roundUp(dim, panelWidth) + 3 * roundUp(tileRows, 16) + panelFloats(dim) +
         lanes * roundUp(minimum(dim, blockDepth), lanes);
}

void attentionTile(const AttentionTile &tile, float *scratch) {
  int64_t rows = tile.queryRows * tile.headsPerGroup, dim = tile.dim;
  int64_t stride = queryStride(dim), padded = roundUp(dim, panelWidth);
  Parts p = layOut(scratch, rows, dim);
  for (int64_t r = 0; r < rows; ++r) {
    const float *query =
        tile.queries + r / tile.headsPerGroup * tile.rowStride + r % tile.headsPerGroup * dim;
    Vec scale = broadcast(tile.scale);
    for (int64_t d = 0; d < dim; d += lanes) {
      Vec v = d + lanes <= dim ? load(query + d) : loadFirst(query + d, dim - d);
      store(p.queries + d / blockDepth * rows * stride + r * stride + d % blockDepth, mul(v, scale));
    }
    for (int64_t d = 0; d < padded; d += lanes)
      store(p.sums + r * padded + d, zero());
  }
  for (int64_t r = 0; r < rows; r += lanes) {
    store(p.maxima + r, broadcast(lowest));
    store(p.totals + r, zero());
  }

  int64_t keys = tile.firstPosition + tile.queryRows;
  int64_t first = tile.window > 0 ? maximum(0, tile.firstPosition - tile.window + 1) : 0;
  KeyCursor cursor(tile.ranges);
  for (int64_t j = first / keyBlock * keyBlock; j < keys; j += keyBlock) {
    int64_t count = minimum(keyBlock, keys - j), slots[keyBlock];
    cursor.slots(j, count, slots);
    if (stride == 64)
      scoreBlock<64>(tile, p, rows, slots, count);
    else if (stride == 128)
      scoreBlock<128>(tile, p, rows, slots, count);
    else
      scoreBlock<blockDepth>(tile, p, rows, slots, count);
    softmaxBlock(tile, p, rows, j, count);
    addValues(tile, p, rows, slots, count);
  }

  for (int64_t r = 0; r < rows; ++r) {
    float *out = tile.out + r / tile.headsPerGroup * tile.rowStride + r % tile.headsPerGroup * dim;
    Vec inverse = div(broadcast(1.0f), broadcast(p.totals[r]));
    for (int64_t d = 0; d < dim; d += lanes) {
      Vec v = mul(load(p.sums + r * padded + d), inverse);
      if (d + lanes <= dim)
        store(out + d, v);
      else
        storeFirst(out + d, dim - d, v);
    }
  }
}

} // namespace compressc::COMPRESSC_ISA
