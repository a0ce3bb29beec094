// Attention of many queries in bf16, 32 query heads and 8 key heads of 128: causal prompts of 1024 and 4096 tokens, and
// 40 sequences of 106 tokens behind a prefix of 600 that they share. The cache's slots are in disorder. Prints a JSON
// line for each case and kernel: the median of microseconds for one of 16 launches in a CUDA graph, teraflops of the
// pairs of query and key that are wanted, and the largest difference of some rows from sums in double precision.
#include "../../runtime/cuda/attend_warpgroups.h"
#include "gpu_memory.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <vector>

using namespace compressc;
using namespace compressc::cuda;

namespace {

constexpr int heads = 32, groups = 8, dim = 128, launches = 16;

uint32_t state = 1;
uint32_t next() { return (state = state * 1664525 + 1013904223) >> 8; }
/// Of 8 bits between -2 and 2: also bf16 has them.
float number() { return float(int(next() % 256) - 128) / 64; }
uint16_t bits(float value) {
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  return uint16_t(word >> 16);
}
float widened(uint16_t value) {
  uint32_t word = uint32_t(value) << 16;
  float result;
  std::memcpy(&result, &word, sizeof result);
  return result;
}

struct Case {
  const char *name;
  int sequences, queries, prefix;
};

void run(cudaStream_t stream, const Case &now) {
  int rows = now.sequences * now.queries, slotCount = now.prefix + rows, width = groups * dim;
  std::vector<int32_t> order(size_t(slotCount), 0), slots;
  std::iota(order.begin(), order.end(), 0);
  for (int i = slotCount - 1; i > 0; --i)
    std::swap(order[size_t(i)], order[next() % size_t(i + 1)]);
  std::vector<QueryTile> tiles;
  for (int s = 0; s < now.sequences; ++s) {
    int32_t first = int32_t(slots.size());
    slots.insert(slots.end(), order.begin(), order.begin() + now.prefix);
    for (int i = 0; i < now.queries; ++i)
      slots.push_back(order[size_t(now.prefix + s * now.queries + i)]);
    for (int done = 0; done < now.queries; done += queryTileRows)
      tiles.push_back({s * now.queries + done, std::min(queryTileRows, now.queries - done), now.prefix + done, first});
  }
  std::vector<uint16_t> keys(size_t(slotCount) * width), values(keys.size());
  std::vector<float> query(size_t(rows) * heads * dim), out(query.size());
  for (uint16_t &value : keys)
    value = bits(number());
  for (uint16_t &value : values)
    value = bits(number());
  for (float &value : query)
    value = number();

  Attention a{};
  a.query = Sent(query), a.queryType = DType::F32, a.out = Sent(out), a.outType = DType::F32;
  a.keys = Sent(keys), a.values = Sent(values), a.type = DType::BF16;
  a.heads = heads, a.groups = groups, a.dim = dim, a.window = 0, a.scale = 1 / std::sqrt(float(dim));
  a.slots = Sent(slots), a.tiles = Sent(tiles), a.tileCount = int32_t(tiles.size()), a.rows = rows;

  double pairs = now.sequences * (double(now.prefix) * now.queries + double(now.queries) * (now.queries + 1) / 2) * heads;
  auto measure = [&](const char *kernel, auto attend) {
    check(cudaMemset(a.out, 0xff, out.size() * sizeof(float)), "cudaMemset");
    attend();
    check(cudaGetLastError(), kernel);
    check(cudaStreamSynchronize(stream), kernel);
    check(cudaMemcpy(out.data(), a.out, out.size() * sizeof(float), cudaMemcpyDeviceToHost), "cudaMemcpy");
    // The first and last rows of tiles, and of what warps and warpgroups have, of several sequences.
    double worst = 0;
    int64_t notANumber = 0;
    for (float value : out)
      notANumber += std::isnan(value);
    for (int s : {0, now.sequences / 2, now.sequences - 1})
      for (int i : {0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 77, now.queries / 2, now.queries - 2, now.queries - 1})
        for (int head : {0, 5, 14, 31}) {
          int64_t at = (int64_t(s) * now.queries + i) * heads * dim + head * dim, first = int64_t(s) * (now.prefix + now.queries);
          std::vector<double> weights, sums(dim, 0.0);
          auto cached = [&](const std::vector<uint16_t> &cache, int key, int d) {
            return widened(cache[size_t(slots[size_t(first + key)]) * width + size_t(head / (heads / groups) * dim + d)]);
          };
          double highest = -1e300, total = 0;
          for (int key = 0; key <= now.prefix + i; ++key) {
            double score = 0;
            for (int d = 0; d < dim; ++d)
              score += double(query[size_t(at + d)]) * cached(keys, key, d);
            weights.push_back(score * a.scale);
            highest = std::max(highest, weights.back());
          }
          for (int key = 0; key <= now.prefix + i; ++key) {
            double weight = std::exp(weights[size_t(key)] - highest);
            total += weight;
            for (int d = 0; d < dim; ++d)
              sums[size_t(d)] += weight * cached(values, key, d);
          }
          for (int d = 0; d < dim; ++d)
            worst = std::max(worst, std::fabs(sums[size_t(d)] / total - out[size_t(at + d)]));
        }
    double time = GraphSeconds(stream, [&] {
                    for (int i = 0; i < launches; ++i)
                      attend();
                  }) * 1e6 / launches;
    std::printf("{\"case\": \"%s\", \"kernel\": \"%s\", \"microseconds\": %.2f, \"teraflops\": %.1f, "
                "\"largest_difference\": %.2g, \"not_numbers\": %lld}\n",
                now.name, kernel, time, pairs * dim * 4 / time * 1e-6, worst, static_cast<long long>(notANumber));
    std::fflush(stdout);
  };
  measure("tiles", [&] { AttendTiles(stream, a); });
  if (CanAttendWarpgroups(a)) {
    measure("warpgroups_64", [&] { AttendWarpgroups(stream, a, 64); });
    measure("warpgroups_128", [&] { AttendWarpgroups(stream, a, 128); });
  }
  for (const void *memory : {static_cast<const void *>(a.query), static_cast<const void *>(a.out), a.keys, a.values,
                             static_cast<const void *>(a.slots), static_cast<const void *>(a.tiles)})
    cudaFree(const_cast<void *>(memory));
}

} // namespace

int main() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "a stream");
  for (const Case &now : {Case{"causal_1024", 1, 1024, 0}, {"causal_4096", 1, 4096, 0}, {"shared_prefix", 40, 106, 600}})
    run(stream, now);
}
