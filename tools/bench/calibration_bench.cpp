// Times the calibration kernels on the GPU at the shapes of one decoder layer of Qwen3-8B: seconds a layer for AWQ.
#include "compressc/runtime/device.h"
#include "compressc/runtime/kernel.h"
#include <chrono>
#include <cstdio>
#include <random>

using namespace compressc;

namespace {

constexpr int64_t tokens = 8192, batches = 8; // of the 128 x 512 calibration tokens
const PackedFormat format{4, 128, false, DType::BF16};

struct Bench {
  std::unique_ptr<Device> device;
  ThreadPool pool;
  Scratch scratch{pool.threads()};
  KernelContext context{pool, scratch};
  double total = 0;

  static void ok(const Status &status) {
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      std::exit(1);
    }
  }

  /// Correlated columns of different sizes.
  OwnedTensor random(int64_t rows, int64_t columns, DType type, float scale) {
    std::vector<uint32_t> words(size_t(rows * columns * int64_t(DTypeSize(type)) / 4));
    pool.parallelFor(rows, [&](int64_t row, int) {
      std::mt19937 generator{uint32_t(row + columns)};
      std::normal_distribution<float> normal(0, scale);
      float shared = normal(generator);
      for (int64_t k = 0; k < columns; ++k) {
        float value = (normal(generator) + 0.5f * shared) * (type == DType::F32 ? 0.2f + float(k % 61) / 16 : 1.0f);
        if (type == DType::F32)
          reinterpret_cast<float *>(words.data())[row * columns + k] = value;
        else
          reinterpret_cast<uint16_t *>(words.data())[row * columns + k] = FloatToBFloat16(value);
      }
    });
    Tensor tensor;
    tensor.dtype = type;
    tensor.shape = {rows, columns};
    tensor.data = words.data();
    auto start = std::chrono::steady_clock::now();
    OwnedTensor result = device->upload(tensor, "a matrix", pool).value();
    char byte;
    ok(device->download(&byte, result.tensor.data, 1));
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (type != DType::F32)
      std::printf("  upload %ld x %ld: %.1f GB/s\n", long(rows), long(columns), double(tensor.bytes()) / seconds / 1e9);
    return result;
  }
  OwnedTensor empty(DType type, std::vector<int64_t> shape) {
    OwnedTensor result;
    result.tensor.dtype = type;
    result.tensor.shape = std::move(shape);
    result.tensor.packed = format;
    result.memory = device->allocate(result.tensor.bytes(), "an output").value();
    auto *base = static_cast<char *>(result.memory.get());
    result.tensor.data = base;
    if (type == DType::Packed) {
      PackedSizes sizes = GetPackedSizes(result.tensor.dim(0), result.tensor.dim(1), format);
      result.tensor.scales = base + sizes.scalesOffset;
      result.tensor.zeros = base + sizes.zerosOffset;
    }
    return result;
  }

  void run(const char *kernel, std::vector<Tensor> inputs, std::vector<Tensor> outputs, double times = 1) {
    Attributes attributes;
    attributes.set("bits", int64_t(format.bits));
    attributes.set("group", format.group);
    attributes.set("symmetric", int64_t(0));
    attributes.set("scale_type", std::string("bf16"));
    context.device = device.get();
    double best = 1e9;
    for (int i = 0; i < 2; ++i) {
      auto start = std::chrono::steady_clock::now();
      ok(FindKernel(kernel, context.device)(context, {inputs, outputs, {}, attributes}));
      char byte;
      ok(device->download(&byte, outputs[0].data, 1));
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    total += best * times;
    std::printf("  %-16s %8.2f ms x %.0f\n", kernel, best * 1e3, times);
  }

  void site(int64_t width, std::vector<int64_t> rows) {
    std::printf("%ld columns\n", long(width));
    OwnedTensor x = random(tokens, width, DType::F32, 1), statistics = empty(DType::Statistics, {width});
    run("observe", {x.tensor}, {statistics.tensor}, batches);
    x = {};
    OwnedTensor scales = empty(DType::F32, {width}), choice = empty(DType::F32, {4}), scaled = empty(DType::Statistics, {width});
    std::vector<OwnedTensor> weights;
    std::vector<Tensor> inputs = {statistics.tensor};
    for (int64_t n : rows) {
      weights.push_back(random(n, width, DType::BF16, 0.02f));
      inputs.push_back(weights.back().tensor);
    }
    run("awq_scale", inputs, {scales.tensor, choice.tensor});
    float numbers[4];
    ok(device->download(numbers, choice.tensor.data, sizeof numbers));
    std::printf("  choice %g %g, error %g of %g\n", numbers[0], numbers[1], numbers[2], numbers[3]);
    run("scale_statistics", {statistics.tensor, scales.tensor}, {scaled.tensor});
    for (OwnedTensor &weight : weights) {
      std::printf(" %ld rows\n", long(weight.tensor.dim(0)));
      OwnedTensor columns = empty(DType::F32, weight.tensor.shape), clipped = empty(DType::F32, weight.tensor.shape);
      OwnedTensor ratios = empty(DType::F32, {2}), packed = empty(DType::Packed, weight.tensor.shape), error = empty(DType::F32, {1});
      run("scale_columns", {weight.tensor, scales.tensor}, {columns.tensor});
      run("clip", {columns.tensor, scaled.tensor}, {clipped.tensor, ratios.tensor});
      run("quantize", {clipped.tensor}, {packed.tensor});
      run("output_error", {columns.tensor, packed.tensor, scaled.tensor}, {error.tensor});
      auto start = std::chrono::steady_clock::now();
      OwnedTensor back = device->fetch(packed.tensor, pool).value();
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::printf("  fetch %.1f GB/s\n", double(packed.tensor.bytes()) / seconds / 1e9);
    }
  }
};

} // namespace

int main() {
  Bench bench;
  StatusOr<std::unique_ptr<Device>> device = OpenCudaDevice();
  Bench::ok(device.status());
  bench.device = *std::move(device);
  bench.site(4096, {4096, 1024, 1024});
  bench.site(4096, {4096});
  bench.site(4096, {12288, 12288});
  bench.site(12288, {4096});
  std::printf("%s: %.3f s a layer, %.1f s for 36 layers, %.2f GiB at most\n", bench.device->name().c_str(), bench.total,
              36 * bench.total, double(bench.device->peakBytes()) / (1 << 30));
}
