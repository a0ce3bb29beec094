// Speed of the CPU kernels: gemm_bench THREADS REPEATS KIND COMPUTE M N K [M N K …]
// KIND is f32, f16, bf16, q4_0, q8_0, a packed format such as w4g64, "syrk" (N is not used), or
// "attention" (M tokens of one sequence, N heads of 64 on K key/value heads). COMPUTE is
// the attribute of the linear kernel. Prints a line with the best GFLOP/s for each shape. gemm_bench.py runs it beside PyTorch.
#include "../../runtime/cpu/gemm.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

using namespace compressc;

namespace {

bool oneThread = false;

/// One thread is measured in CPU time: other work on the machine disturbs that less.
double now() {
  timespec time;
  clock_gettime(oneThread ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

double bestSeconds(int repeats, const std::function<void()> &run) {
  double best = 1e30;
  for (int i = 0; i <= repeats; ++i) {
    double begin = now();
    run();
    double seconds = now() - begin;
    if (i > 0) // the first one warms up
      best = std::min(best, seconds);
  }
  return best;
}

/// Weights of any type: bytes that are finite numbers in all of them.
struct Weight {
  Tensor tensor;
  std::vector<uint16_t> data, scales, zeros;

  Weight(const std::string &kind, int64_t N, int64_t K) {
    tensor.shape = {N, K};
    if (std::optional<DType> dtype = DTypeFromName(kind)) {
      tensor.dtype = *dtype;
      data.assign(size_t(tensor.bytes() / 2 + 1), 0x2c12);
    } else {
      tensor.dtype = DType::Packed;
      tensor.packed = {kind[1] - '0', std::atoll(kind.c_str() + 3), false, DType::F16};
      PackedSizes sizes = GetPackedSizes(N, K, tensor.packed);
      data.assign(size_t(sizes.codes / 2), 0x5a3c);
      scales.assign(size_t(sizes.scales / 2), 0x2c12);
      zeros.assign(size_t(sizes.zeros / 2), 0x5a3c);
    }
    tensor.data = data.data();
    tensor.scales = scales.data();
    tensor.zeros = zeros.data();
  }
};

double attentionRate(KernelContext &context, int repeats, int64_t tokens, int64_t heads,
                     int64_t groups) {
  constexpr int64_t dim = 64;
  auto matrix = [&](std::vector<float> &memory, int64_t width) {
    memory.assign(size_t(tokens * width), 0.01f);
    Tensor tensor;
    tensor.shape = {tokens, width};
    tensor.data = memory.data();
    return tensor;
  };
  std::vector<float> q, k, v, out, keys(size_t(tokens * groups * dim)), values(keys.size());
  Tensor inputs[] = {matrix(q, heads * dim), matrix(k, groups * dim), matrix(v, groups * dim)};
  Tensor outputs[] = {matrix(out, heads * dim)};
  CacheView cache{keys.data(), values.data(), tokens, groups, dim};
  Attributes attributes;
  attributes.set("num_heads", heads);
  attributes.set("num_kv_heads", groups);
  attributes.set("scale", 0.125);
  Batch batch;
  batch.tokens.resize(size_t(tokens));
  batch.sequences.push_back({0, int32_t(tokens), 0, 0, {}});
  context.batch = &batch;
  KernelFunction attention = FindKernel("attention");
  double seconds = bestSeconds(repeats, [&] {
    if (!attention(context, {inputs, outputs, absl::MakeSpan(&cache, 1), attributes}).ok())
      std::abort();
  });
  return 4.0 * heads * dim * tokens * tokens / 2 / seconds;
}

double productRate(KernelContext &context, const std::string &kind, const std::string &compute,
                   int repeats, int64_t M, int64_t N, int64_t K) {
  std::vector<float> x(size_t(M * K), 0.5f), out(size_t(kind == "syrk" ? K * K : M * N));
  if (kind == "syrk")
    return double(M) * K * K /
           bestSeconds(repeats, [&] { SyrkAccumulate(context, M, K, x.data(), K, out.data()); });
  Weight weight(kind, N, K);
  auto matrix = [](std::vector<float> &values, int64_t rows, int64_t columns) {
    Tensor tensor;
    tensor.shape = {rows, columns};
    tensor.data = values.data();
    return tensor;
  };
  Tensor inputs[] = {matrix(x, M, K), weight.tensor}, outputs[] = {matrix(out, M, N)};
  Attributes attributes;
  attributes.set("compute", compute);
  KernelFunction linear = FindKernel("linear");
  double seconds = bestSeconds(repeats, [&] {
    if (Status status = linear(context, {inputs, outputs, {}, attributes}); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::exit(1);
    }
  });
  return 2.0 * M * N * K / seconds;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 8) {
    std::fprintf(stderr, "usage: gemm_bench THREADS REPEATS KIND COMPUTE M N K [M N K ...]\n");
    return 1;
  }
  ThreadPool pool(std::atoi(argv[1]));
  oneThread = pool.threads() == 1;
  Scratch scratch(pool.threads());
  KernelContext context{pool, scratch};
  int repeats = std::atoi(argv[2]);
  std::string kind = argv[3], compute = argv[4];
  for (int i = 5; i + 2 < argc; i += 3) {
    int64_t M = std::atoll(argv[i]), N = std::atoll(argv[i + 1]), K = std::atoll(argv[i + 2]);
    double rate = kind == "attention" ? attentionRate(context, repeats, M, N, K)
                                      : productRate(context, kind, compute, repeats, M, N, K);
    std::printf("%lld %lld %lld %.1f\n", (long long)M, (long long)N, (long long)K, rate * 1e-9);
  }
}
