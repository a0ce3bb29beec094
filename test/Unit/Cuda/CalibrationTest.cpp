// Calibration and weight expressions on the GPU against the CPU's kernels. Skipped without a GPU.
#include "../Cpu/compress_support.h"
#include "CudaFixture.h"

namespace compressc::test {
namespace {

class CudaCalibrationTest : public CudaFixture {
protected:
  /// Runs the kernel `times` times on the outputs, which keep what they hold, on the CPU or the device. Afterwards
  /// `outputs` hold the results.
  Status run(bool onDevice, const char *kernel, const std::vector<Tensor> &inputs, const std::vector<Owned *> &outputs,
             const Attributes &attributes = {}, int times = 1) {
    std::vector<Tensor> to(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i)
      to[i] = *outputs[i];
    machine.context.device = nullptr;
    if (!onDevice) {
      for (int i = 0; i < times; ++i)
        COMPRESSC_RETURN_IF_ERROR(machine.run(kernel, inputs, to, attributes));
      return absl::OkStatus();
    }
    std::vector<OwnedTensor> kept;
    auto there = [&](const Tensor &tensor) { return kept.emplace_back(device->upload(tensor, "a test", machine.pool).value()).tensor; };
    std::vector<Tensor> from;
    for (const Tensor &input : inputs)
      from.push_back(there(input));
    for (Tensor &output : to)
      output = there(output);
    machine.context.device = device.get();
    for (int i = 0; i < times; ++i)
      COMPRESSC_RETURN_IF_ERROR(machine.run(kernel, from, to, attributes));
    COMPRESSC_RETURN_IF_ERROR(device->finishBatch());
    for (size_t i = 0; i < outputs.size(); ++i) {
      COMPRESSC_ASSIGN_OR_RETURN(OwnedTensor back, device->fetch(to[i], machine.pool));
      const Tensor &result = outputs[i]->tensor;
      if (result.dtype != DType::Packed) {
        std::memcpy(result.data, back.tensor.data, size_t(result.bytes()));
        continue;
      }
      PackedSizes sizes = GetPackedSizes(result.dim(0), result.dim(1), result.packed); // what lies between is undefined
      std::memcpy(result.data, back.tensor.data, size_t(sizes.codes));
      std::memcpy(result.scales, back.tensor.scales, size_t(sizes.scales));
      if (result.zeros)
        std::memcpy(result.zeros, back.tensor.zeros, size_t(sizes.zeros));
    }
    return absl::OkStatus();
  }

  /// The same bytes from both.
  void expectEqual(const char *kernel, const std::vector<Tensor> &inputs, Owned &cpu, Owned &gpu, const Attributes &attributes = {}) {
    ok(run(false, kernel, inputs, {&cpu}, attributes));
    ok(run(true, kernel, inputs, {&gpu}, attributes));
    EXPECT_EQ(cpu.bytes(), gpu.bytes());
  }

  /// Both refuse with the same message.
  void expectSameRefusal(const char *kernel, const std::vector<Tensor> &inputs, const std::vector<Owned *> &outputs,
                         const Attributes &attributes, const char *message) {
    Status cpu = run(false, kernel, inputs, outputs, attributes), gpu = run(true, kernel, inputs, outputs, attributes);
    EXPECT_NE(std::string(cpu.message()).find(message), std::string::npos) << cpu.message();
    EXPECT_EQ(cpu.message(), gpu.message());
  }

};

using CudaCalibrationHalfTest = InBothHalves<CudaCalibrationTest>;
INSTANTIATE_TEST_SUITE_P(, CudaCalibrationHalfTest, ::testing::Values(DType::BF16, DType::F16), HalfName);

TEST_P(CudaCalibrationHalfTest, Observe) {
  for (auto [tokens, width] : {std::pair(1, 8), {33, 64}, {500, 200}, {300, 35}, {700, 2304}}) {
    if (inF16() && width > 200)
      continue;
    SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(width));
    std::vector<float> values = RandomMatrix(tokens, width, 3);
    Tensor x = floatTensor(values, {tokens, width});
    Owned cpu(DType::Statistics, {width}), gpu(DType::Statistics, {width}), again(DType::Statistics, {width});
    ok(run(false, "observe", {x}, {&cpu}, {}, 2));
    ok(run(true, "observe", {x}, {&gpu}, {}, 2));
    ok(run(true, "observe", {x}, {&again}, {}, 2));
    EXPECT_EQ(gpu.bytes(), again.bytes());
    StatisticsView a = AsStatistics(cpu), b = AsStatistics(gpu);
    EXPECT_EQ(*a.count, *b.count);
    double worst = 0, worstSum = 0;
    for (int64_t i = 0; i < width; ++i) {
      worstSum = std::max(worstSum, std::abs(double(a.absSum[i]) - b.absSum[i]) / a.absSum[i]);
      for (int64_t j = 0; j < width; ++j) {
        double size = std::sqrt(double(a.gram[i * width + i]) * a.gram[j * width + j]);
        worst = std::max(worst, std::abs(double(a.gram[i * width + j]) - b.gram[i * width + j]) / size);
        ASSERT_EQ(b.gram[i * width + j], b.gram[j * width + i]);
      }
    }
    EXPECT_LE(worst, inF16() ? 1e-3 : 6e-3); // of activations in 16 bits
    EXPECT_LE(worstSum, 1e-6);
    values[size_t(width) + size_t(width) / 2 < values.size() ? width + width / 2 : width / 2] = NAN;
    expectSameRefusal("observe", {x}, {&cpu}, {}, "of the activations holds NaN");
  }
}

TEST_F(CudaCalibrationTest, ObserveCosine) {
  for (int64_t width : {24, 1000}) {
    std::vector<float> a = RandomMatrix(130, width, 1), b = RandomMatrix(130, width, 2);
    for (int64_t k = 0; k < width; ++k)
      a[size_t(k)] = 0;
    Tensor x = floatTensor(a, {130, width}), y = floatTensor(b, {130, width});
    Owned cpu(DType::F32, {2}), gpu(DType::F32, {2});
    ok(run(false, "observe_cosine", {x, y}, {&cpu}, {}, 3));
    ok(run(true, "observe_cosine", {x, y}, {&gpu}, {}, 3));
    EXPECT_NEAR(cpu.floats()[0], gpu.floats()[0], 1e-6);
    EXPECT_EQ(cpu.floats()[1], gpu.floats()[1]);
    b[size_t(7 * width + 1)] = INFINITY;
    expectSameRefusal("observe_cosine", {x, y}, {&cpu}, {}, "row 7 of the activations");
  }
}

TEST_F(CudaCalibrationTest, ScaleStatistics) {
  for (int64_t width : {40, 700}) {
    Owned statistics = StatisticsOf(RandomMatrix(60, width, 5), width), cpu(DType::Statistics, {width}), gpu(DType::Statistics, {width});
    std::vector<float> scales = RandomMatrix(1, width, 6);
    expectEqual("scale_statistics", {statistics, floatTensor(scales, {width})}, cpu, gpu);
    scales[3] = 1e-38f;
    expectSameRefusal("scale_statistics", {statistics, floatTensor(scales, {width})}, {&cpu}, {}, "becomes NaN or infinite when it is divided");
  }
}

TEST_F(CudaCalibrationTest, QuantizeToTheSameBytes) {
  for (DType type : {DType::F32, DType::F16, DType::BF16})
    for (int bits : {2, 3, 4, 8})
      for (auto [columns, group] : {std::pair(256, 128), {96, 32}, {70, 35}, {1152, 576}})
        for (bool symmetric : {false, true})
          for (DType scaleType : {DType::F16, DType::BF16, DType::F32}) {
            SCOPED_TRACE(std::string(DTypeName(type)) + " to " + std::to_string(bits) + " bits, group " + std::to_string(group));
            Weight weight = plainWeight(type, 70, columns, uint64_t(bits + columns));
            PackedFormat format{bits, group, symmetric, scaleType};
            Owned cpu(70, columns, format), gpu(70, columns, format);
            expectEqual("quantize", {weight.tensor}, cpu, gpu);
          }
  std::vector<float> bad(64 * 32, 0.5f), large(64 * 32, 0.5f);
  bad[40] = bad[1000] = NAN, large[3 * 32 + 5] = 1e30f;
  Owned out(64, 32, PackedFormat{4, 32, false, DType::F16});
  expectSameRefusal("quantize", {floatTensor(bad, {64, 32})}, {&out}, {}, "row 1, column 8 of quantize: the weight");
  expectSameRefusal("quantize", {floatTensor(large, {64, 32})}, {&out}, {}, "row 3 of the weight is too large for f16");
}

TEST_F(CudaCalibrationTest, ConvertAndDequantize) {
  for (int64_t columns : {256, 35})
    for (const WeightKind &kind : weightKinds(columns))
      for (DType to : {DType::F32, DType::F16, DType::BF16}) {
        SCOPED_TRACE(kind.name + " to " + std::string(DTypeName(to)));
        Weight weight = kind.make(50, columns, 9);
        bool plain = DTypeSize(kind.dtype) != 0;
        Owned cpu(to, {50, columns}), gpu(to, {50, columns}), cpuFloats(DType::F32, {50, columns}), gpuFloats(DType::F32, {50, columns});
        const char *kernel = plain ? "convert" : "dequantize";
        if (plain) {
          expectEqual(kernel, {weight.tensor}, cpu, gpu);
          continue;
        }
        ok(run(false, kernel, {weight.tensor}, {&cpu}));
        ok(run(true, kernel, {weight.tensor}, {&gpu}));
        if (to != DType::F32) {
          ok(run(false, "convert", {cpu}, {&cpuFloats}));
          ok(run(false, "convert", {gpu}, {&gpuFloats}));
        }
        const Owned &a = to == DType::F32 ? cpu : cpuFloats, &b = to == DType::F32 ? gpu : gpuFloats;
        double unit = to == DType::F32 ? 1e-6 : to == DType::F16 ? 1e-3 : 8e-3;
        for (int64_t i = 0; i < 50 * columns; ++i)
          ASSERT_NEAR(a.floats()[i], b.floats()[i], unit * (1e-3 + std::abs(a.floats()[i]))) << i;
      }
  std::vector<float> values(100, 1.0f);
  values[77] = 1e9f;
  Owned out(DType::F16, {10, 10});
  expectSameRefusal("convert", {floatTensor(values, {10, 10})}, {&out}, {}, "element 77 is 1e+09, too large for f16");
}

TEST_F(CudaCalibrationTest, ScaleExpandTranspose) {
  for (DType type : {DType::F32, DType::F16, DType::BF16}) {
    Weight weight = plainWeight(type, 37, 90, 4);
    std::vector<float> columns = RandomMatrix(1, 90, 1), rows = RandomMatrix(1, 37, 2);
    Owned cpu(DType::F32, {37, 90}), gpu(DType::F32, {37, 90}), cpuTurned(type, {90, 37}), gpuTurned(type, {90, 37});
    expectEqual("scale_columns", {weight.tensor, floatTensor(columns, {90})}, cpu, gpu);
    Attributes inverse;
    inverse.set("inverse", int64_t(1));
    expectEqual("scale_rows", {weight.tensor, floatTensor(rows, {37})}, cpu, gpu);
    expectEqual("scale_rows", {weight.tensor, floatTensor(rows, {37})}, cpu, gpu, inverse);
    expectEqual("transpose", {weight.tensor}, cpuTurned, gpuTurned);
  }
  Attributes heads;
  heads.set("head_dim", int64_t(16)), heads.set("repeat", int64_t(3));
  std::vector<float> x = RandomMatrix(1, 64, 3);
  Owned cpu(DType::F32, {192}), gpu(DType::F32, {192});
  expectEqual("expand_heads", {floatTensor(x, {64})}, cpu, gpu, heads);
}

TEST_P(CudaCalibrationHalfTest, AwqScaleChoosesAsTheCpu) {
  double tolerance = inF16() ? 1e-5 : 5e-3; // in fp32, or in bf16
  for (auto [width, group, bits] : {std::tuple(128, 64, 4), {192, 32, 3}, {256, 128, 4}, {70, 35, 2}, {1152, 64, 4}})
    for (bool symmetric : {false, true}) {
      if (inF16() && width > 128)
        continue;
      SCOPED_TRACE("width " + std::to_string(width) + ", group " + std::to_string(group));
      PackedFormat format{bits, group, symmetric, DType::F16};
      Owned statistics = StatisticsOf(RandomMatrix(200, width, 7), width);
      Weight first = plainWeight(DType::BF16, 100, width, 1), second = plainWeight(DType::F16, 33, width, 2);
      Owned cpuScales(DType::F32, {width}), gpuScales(DType::F32, {width}), cpu(DType::F32, {4}), gpu(DType::F32, {4});
      Attributes attributes = FormatAttributes(format);
      std::vector<Tensor> inputs = {statistics, first.tensor, second.tensor};
      ok(run(false, "awq_scale", inputs, {&cpuScales, &cpu}, attributes));
      ok(run(true, "awq_scale", inputs, {&gpuScales, &gpu}, attributes));
      EXPECT_NEAR(gpu.floats()[2], cpu.floats()[2], tolerance * cpu.floats()[2]);
      EXPECT_NEAR(gpu.floats()[3], cpu.floats()[3], tolerance * cpu.floats()[3]);
      if (cpu.floats()[0] == gpu.floats()[0] && cpu.floats()[1] == gpu.floats()[1])
        for (int64_t k = 0; k < width; ++k)
          ASSERT_NEAR(gpuScales.floats()[k], cpuScales.floats()[k], 1e-5 * cpuScales.floats()[k]);
      Owned changed(100, width, format), cpuError(DType::F32, {1}), gpuError(DType::F32, {1});
      ok(run(false, "quantize", {first.tensor}, {&changed}));
      ok(run(false, "output_error", {first.tensor, changed, statistics}, {&cpuError}));
      ok(run(true, "output_error", {first.tensor, changed, statistics}, {&gpuError}));
      EXPECT_NEAR(gpuError.floats()[0], cpuError.floats()[0], tolerance * cpuError.floats()[0]);
    }
}

TEST_P(CudaCalibrationHalfTest, ClipLosesAsLittleAsTheCpu) {
  for (auto [width, group, bits] : {std::tuple(256, 128, 4), {192, 64, 3}, {96, 32, 4}, {70, 35, 2}, {80, 16, 4}, {400, 200, 3}})
    for (bool symmetric : {false, true}) {
      if (inF16() && width > 192)
        continue;
      SCOPED_TRACE("width " + std::to_string(width) + ", group " + std::to_string(group));
      int64_t rows = 70;
      Owned statistics = StatisticsOf(RandomMatrix(100, width, 7), width);
      std::vector<float> weight = RandomMatrix(rows, width, 8);
      Tensor w = floatTensor(weight, {rows, width});
      Owned cpu(DType::F32, {rows, width}), gpu(DType::F32, {rows, width}), cpuChoice(DType::F32, {2}), gpuChoice(DType::F32, {2});
      Attributes attributes = FormatAttributes({bits, group, symmetric, DType::F16});
      ok(run(false, "clip", {w, statistics}, {&cpu, &cpuChoice}, attributes));
      ok(run(true, "clip", {w, statistics}, {&gpu, &gpuChoice}, attributes));
      EXPECT_NEAR(gpuChoice.floats()[0], cpuChoice.floats()[0], (inF16() ? 1e-4 : 2e-2) * cpuChoice.floats()[0]); // few groups, in bf16
      EXPECT_NEAR(gpuChoice.floats()[1], cpuChoice.floats()[1], (inF16() ? 1e-4 : 5e-3) * cpuChoice.floats()[1]);
      int64_t different = 0;
      for (int64_t i = 0; i < rows * width; ++i)
        different += cpu.floats()[i] != gpu.floats()[i];
      EXPECT_LE(different, rows * width / 20); // ranges that are as good as each other
      weight[size_t(5 * width + 9)] = NAN;
      expectSameRefusal("clip", {w, statistics}, {&cpu, &cpuChoice}, attributes, "row 5, column 9 of clip: the weight");
    }
}

TEST_F(CudaCalibrationTest, StatisticsAreChecked) {
  int64_t width = 64;
  std::vector<float> weight = RandomMatrix(8, width, 8);
  Tensor w = floatTensor(weight, {8, width});
  Owned statistics = StatisticsOf(RandomMatrix(20, width, 7), width), out(DType::F32, {8, width}), choice(DType::F32, {2});
  Attributes attributes = FormatAttributes({4, 32, false, DType::F16});
  StatisticsView view = AsStatistics(statistics);
  view.absSum[5] = INFINITY;
  expectSameRefusal("clip", {w, statistics}, {&out, &choice}, attributes, "the sum of |x| of column 5");
  view.gram[3 * width + 9] = NAN;
  expectSameRefusal("clip", {w, statistics}, {&out, &choice}, attributes, "row 3, column 9 of clip: the statistics");
  *view.count = 0;
  expectSameRefusal("clip", {w, statistics}, {&out, &choice}, attributes, "holds no observed tokens");
}

/// Memory comes back, and a large tensor survives the way there and back.
TEST_F(CudaCalibrationTest, Memory) {
  std::vector<float> values = randomFloats(int64_t(20) << 20, 1); // several parts of a copy
  Tensor tensor = floatTensor(values, {20, 1 << 20});
  ok(device->allocate(1, "a test").status());
  for (int i = 0; i < 8; ++i) {
    OwnedTensor there = device->upload(tensor, "a test", machine.pool).value();
    OwnedTensor copy = device->copy(there.tensor, "a test").value();
    OwnedTensor back = device->fetch(copy.tensor, machine.pool).value();
    ASSERT_EQ(std::memcmp(back.tensor.data, values.data(), values.size() * 4), 0);
  }
  EXPECT_LE(device->peakBytes(), 4 * tensor.bytes());
}

} // namespace
} // namespace compressc::test
