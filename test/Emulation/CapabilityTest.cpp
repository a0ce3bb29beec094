// Which GPUs are taken, and what they compute in.
#include "../Unit/Cpu/ModelSupport.h"
#include "compressc/runtime/device.h"
#include "stream.h"

namespace compressc::test {
namespace {

class CapabilityTest : public ::testing::Test {
protected:
  ~CapabilityTest() override { cuda::emulated::SetComputeCapability(9, 0); }
};

/// A product of numbers that fp16 holds and bf16 doesn't.
float productOfFine(Device &device) {
  constexpr int64_t rows = 20, depth = 32;
  Machine machine;
  std::vector<float> ones(depth, 1.0f), fine(rows * depth, 1 + 1.0f / 512), out(rows);
  auto there = [&](const Tensor &tensor) { return device.upload(tensor, "a test", machine.pool).value(); };
  OwnedTensor x = there(floatTensor(fine, {rows, depth})), w = there(floatTensor(ones, {1, depth}));
  OwnedTensor y = there(floatTensor(out, {rows, 1}));
  Attributes attributes;
  attributes.set("compute", std::string("bf16"));
  machine.context.device = &device;
  Batch none;
  device.beginBatch(none, nullptr);
  EXPECT_TRUE(machine.run("linear", {x.tensor, w.tensor}, {y.tensor}, attributes).ok());
  EXPECT_TRUE(device.finishBatch().ok());
  EXPECT_TRUE(device.download(out.data(), y.tensor.data, rows * 4).ok());
  return out[rows - 1];
}

TEST_F(CapabilityTest, Bf16WhereTheGpuHasIt) {
  for (auto [major, minor, expected] : {std::tuple(7, 5, 32.0625f), {8, 0, 32.0f}, {9, 0, 32.0f}, {12, 0, 32.0f}}) {
    SCOPED_TRACE(major);
    cuda::emulated::SetComputeCapability(major, minor);
    EXPECT_EQ(productOfFine(*OpenCudaDevice().value()), expected);
    EXPECT_EQ(productOfFine(*OpenCudaDevice({DType::F16}).value()), 32.0625f);
  }
}

TEST_F(CapabilityTest, Refusals) {
  cuda::emulated::SetComputeCapability(7, 0);
  expectRefused(OpenCudaDevice().status(), "emulated GPU has compute capability 7.0; 7.5 or newer is needed: use --device=cpu");
  cuda::emulated::SetComputeCapability(7, 5);
  expectRefused(OpenCudaDevice({DType::BF16}).status(), "emulated GPU has compute capability 7.5; bf16 needs 8.0 or newer: use --half=f16");
}

} // namespace
} // namespace compressc::test
