// Linears in fp8 against the CPU's.
#include "CudaFixture.h"
#include <optional>

namespace compressc::test {
namespace {

class Fp8Test : public CudaFixture {
protected:
  /// Skips on a GPU without such products.
  void SetUp() override {
    CudaFixture::SetUp();
    if (IsSkipped())
      return;
    Weight w = packedWeight({4, 128, true, DType::F16}, 8, 128, 1);
    std::vector<float> x = randomFloats(68 * 128, 2);
    testing::internal::CaptureStderr();
    difference({floatTensor(x, {68, 128}), w.tensor}, 68, 8, {});
    if (std::string said = testing::internal::GetCapturedStderr(); said.find("compute capability") != std::string::npos)
      GTEST_SKIP() << said;
  }

  /// The greatest difference between the CPU's and the device's output [rows, columns] of a linear, as a part of the
  /// greatest value. `rounded`: less what rounding to bf16 makes of a value, and of that much which was added to it after.
  double difference(std::vector<Tensor> inputs, int64_t rows, int64_t columns, Attributes attributes, DType outType = DType::F32,
                    const char *reference = "fp8", std::optional<double> rounded = std::nullopt) {
    attributes.set("compute", std::string(reference));
    std::vector<float> expected(size_t(rows * columns)), actual(expected.size());
    Tensor out = floatTensor(expected, {rows, columns}); // bf16 lies in the first half
    out.dtype = outType;
    machine.context.device = nullptr;
    ok(machine.run("linear", inputs, {out}, attributes));
    std::vector<OwnedTensor> kept;
    for (Tensor &input : inputs) {
      kept.push_back(device->upload(input, "a test", machine.pool, false).value());
      input = kept.back().tensor;
    }
    std::shared_ptr<void> memory = device->allocate(out.bytes(), "a test").value();
    Tensor deviceOut = out;
    deviceOut.data = memory.get();
    attributes.set("compute", std::string("fp8"));
    machine.context.device = device.get();
    Batch none;
    device->beginBatch(none, nullptr);
    ok(machine.run("linear", inputs, {deviceOut}, attributes));
    ok(device->finishBatch());
    ok(device->download(actual.data(), memory.get(), out.bytes()));
    auto value = [&](const std::vector<float> &from, size_t i) {
      return outType == DType::F32 ? from[i] : BFloat16ToFloat(reinterpret_cast<const uint16_t *>(from.data())[i]);
    };
    double largest = 1e-20, worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      double each = std::abs(double(value(expected, i)) - double(value(actual, i)));
      if (rounded)
        each -= (std::abs(double(value(expected, i))) + *rounded) / 256;
      worst = std::max(worst, std::isnan(each) ? INFINITY : each);
      largest = std::max(largest, std::abs(double(value(expected, i))));
    }
    return worst / largest;
  }

  /// The same of an fp32 output, whose sums are rounded to bf16 before biases and residuals of at most `added` in sum.
  double differenceOfSums(std::vector<Tensor> inputs, int64_t rows, int64_t columns, Attributes attributes, double added = 0) {
    return difference(std::move(inputs), rows, columns, std::move(attributes), DType::F32, "fp8", added);
  }

  /// Tensor cores sum products of e4m3 less precisely than fp32.
  double sumsTolerance() const { return device->name() == "emulated GPU" ? 1e-5 : 4e-3; }
};

PackedFormat format(int bits, int64_t group, bool symmetric, DType scale = DType::F16) { return {bits, group, symmetric, scale}; }

TEST_F(Fp8Test, EveryFormatAndNumberOfRows) {
  for (int64_t depth : {128, 768})
    for (int bits : {2, 3, 4})
      for (int64_t group : {int64_t(128), int64_t(256), depth})
        for (bool symmetric : {false, true}) {
          if (depth % group)
            continue;
          DType scale = group == 128 ? DType::F16 : group == 256 ? DType::BF16 : DType::F32;
          Weight w = packedWeight(format(bits, group, symmetric, scale), 136, depth, 5);
          for (int64_t rows : {65, 300}) {
            if (rows > 65 && bits != 4)
              continue;
            SCOPED_TRACE(std::to_string(depth) + " w" + std::to_string(bits) + "g" + std::to_string(group) + " " + std::to_string(rows));
            std::vector<float> x = randomFloats(rows * depth, 6);
            for (int64_t k = 0; k < depth; ++k) { // nothing, great and small, and with outliers
              x[size_t(3 * depth + k)] = 0;
              x[size_t(4 * depth + k)] *= k % 7 ? 1e-30f : 1e-38f;
              x[size_t(5 * depth + k)] *= k % 9 ? 1e-3f : 1e3f;
            }
            EXPECT_LE(differenceOfSums({floatTensor(x, {rows, depth}), w.tensor}, rows, 136, {}), sumsTolerance());
            if (rows == 65 && bits == 4) {
              NarrowRows narrow(x, {rows, depth});
              EXPECT_LE(differenceOfSums({narrow.tensor, w.tensor}, rows, 136, {}), sumsTolerance());
            }
          }
        }
}

/// Scales of all sizes, and none: each group's sums keep their place next to the others'.
TEST_F(Fp8Test, EveryScaleIsItsGroups) {
  int64_t rows = 77, depth = 1408, columns = 24;
  Weight w = packedWeight(format(4, 128, false, DType::F32), columns, depth, 1);
  auto *scales = reinterpret_cast<float *>(w.scales.data());
  for (int64_t row = 0; row < columns; ++row)
    for (int64_t group = 0; group < 11; ++group) {
      float &scale = scales[row * 11 + group];
      scale = std::ldexp(1.0f, int((row * 11 + group) * 7 % 11));
      if (row % 4 == 1 && (group == 0 || group == 5 || group == 10))
        scale = 0;
      if (row % 4 == 2)
        scale = std::ldexp(scale, group % 2 ? -100 : -30);
      if (row == 23)
        scale = 0;
    }
  std::vector<float> x = randomFloats(rows * depth, 2);
  EXPECT_LE(differenceOfSums({floatTensor(x, {rows, depth}), w.tensor}, rows, columns, {}), sumsTolerance());
}

/// More tiles than blocks of the device, so that blocks go from one to the next, in several groups of tiles of rows.
TEST_F(Fp8Test, BlocksGoFromTileToTile) {
  bool emulated = device->name() == "emulated GPU"; // it has few multiprocessors, and is slow
  int64_t rows = 13 * 256 + 5, depth = 384, columns = emulated ? 136 : 24 * 64 + 8;
  Weight a = packedWeight(format(4, 128, false), columns, depth, 1), b = packedWeight(format(4, 128, true), columns, depth, 2);
  std::vector<float> x = randomFloats(rows * depth, 3);
  EXPECT_LE(differenceOfSums({floatTensor(x, {rows, depth}), a.tensor}, rows, columns, {}), sumsTolerance());
  Attributes gated;
  gated.set("weights", int64_t(2));
  gated.set("epilogue", std::string("silu_mul"));
  EXPECT_LE(differenceOfSums({floatTensor(x, {rows, depth}), a.tensor, b.tensor}, rows, columns, gated), sumsTolerance());
}

TEST_F(Fp8Test, FusedForms) {
  int64_t depth = 384, columns = 104;
  Weight a = packedWeight(format(4, 128, false), columns, depth, 1), b = packedWeight(format(4, 128, true), columns, depth, 2);
  Weight norm = vectorWeight(DType::F16, depth, 3), bias = vectorWeight(DType::BF16, columns, 4);
  for (int64_t rows : {68, 99}) {
    SCOPED_TRACE(rows);
    std::vector<float> x = randomFloats(rows * depth, 5), residual = randomFloats(rows * columns, 6);
    Tensor xs = floatTensor(x, {rows, depth}), added = floatTensor(residual, {rows, columns});
    Attributes normed, add, gated;
    normed.set("prologue", std::string("rms_norm"));
    normed.set("epsilon", 1e-5);
    add.set("epilogue", std::string("add"));
    gated.set("weights", int64_t(2));
    gated.set("biases", int64_t(2));
    gated.set("epilogue", std::string("silu_mul"));
    EXPECT_LE(differenceOfSums({xs, a.tensor, bias.tensor}, rows, columns, {}, 1), sumsTolerance());
    EXPECT_LE(differenceOfSums({xs, a.tensor, added}, rows, columns, add, 1), sumsTolerance());
    EXPECT_LE(differenceOfSums({xs, a.tensor, bias.tensor, added}, rows, columns, add, 2), sumsTolerance());
    // A norm's last bit may move a number to the next of e4m3.
    EXPECT_LE(difference({xs, norm.tensor, b.tensor}, rows, columns, normed), 5e-3);
    EXPECT_LE(differenceOfSums({xs, a.tensor, b.tensor, bias.tensor}, rows, columns, gated), sumsTolerance());
    EXPECT_LE(difference({xs, a.tensor, b.tensor, bias.tensor}, rows, columns, gated, DType::BF16), 1e-2);
    gated.set("prologue", std::string("rms_norm"));
    gated.set("epsilon", 1e-5);
    EXPECT_LE(difference({xs, norm.tensor, a.tensor, b.tensor, bias.tensor}, rows, columns, gated), 1e-2);
  }
}

/// Few rows are computed in bf16; so is, with a word to the user, what has no kernel.
TEST_F(Fp8Test, ElseInBFloat16) {
  int64_t depth = 256;
  Weight fits = packedWeight(format(4, 128, false), 64, depth, 1), groups = packedWeight(format(4, 64, false), 64, depth, 2),
         odd = packedWeight(format(4, 128, false), 63, depth, 3), wide = packedWeight(format(8, 128, false), 64, depth, 3);
  std::vector<float> x = randomFloats(80 * depth, 4);
  testing::internal::CaptureStderr();
  for (int64_t rows : {1, 16, 64})
    EXPECT_LE(difference({floatTensor(x, {rows, depth}), fits.tensor}, rows, 64, {}, DType::F32, "bf16"), 1e-2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_LE(difference({floatTensor(x, {80, depth}), groups.tensor}, 80, 64, {}, DType::F32, "bf16"), 1e-2);
  EXPECT_LE(difference({floatTensor(x, {80, depth}), odd.tensor}, 80, 63, {}, DType::F32, "bf16"), 1e-2);
  EXPECT_LE(difference({floatTensor(x, {80, depth}), wide.tensor}, 80, 64, {}, DType::F32, "bf16"), 1e-2);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("note: linears that were to compute in fp8 do in bf16: "), 0u) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST_F(Fp8Test, WhatIsNotFiniteStaysSo) {
  int64_t rows = 68, depth = 256, columns = 16;
  Weight w = packedWeight(format(4, 128, true), columns, depth, 1);
  std::vector<float> x = randomFloats(rows * depth, 2), out(size_t(rows * columns));
  x[size_t(2 * depth + 5)] = NAN;
  x[size_t(19 * depth + 200)] = -INFINITY;
  Tensor from = floatTensor(x, {rows, depth});
  OwnedTensor xs = device->upload(from, "a test", machine.pool, false).value();
  OwnedTensor ws = device->upload(w.tensor, "a test", machine.pool, false).value();
  std::shared_ptr<void> memory = device->allocate(rows * columns * 4, "a test").value();
  Tensor to = floatTensor(out, {rows, columns});
  to.data = memory.get();
  Attributes fp8;
  fp8.set("compute", std::string("fp8"));
  machine.context.device = device.get();
  Batch none;
  device->beginBatch(none, nullptr);
  ok(machine.run("linear", {xs.tensor, ws.tensor}, {to}, fp8));
  ok(device->finishBatch());
  ok(device->download(out.data(), memory.get(), rows * columns * 4));
  for (int64_t i = 0; i < rows * columns; ++i)
    EXPECT_EQ(std::isfinite(out[size_t(i)]), i / columns != 2 && i / columns != 19) << i;
}

} // namespace
} // namespace compressc::test
