// A GPU, and the CPU's kernels beside it. Skips without a GPU.
#pragma once

#include "../Cpu/ModelSupport.h"
#include "compressc/runtime/device.h"

namespace compressc::test {

class CudaFixture : public ::testing::Test {
protected:
  void SetUp() override {
    StatusOr<std::unique_ptr<Device>> opened = OpenCudaDevice();
    if (!opened.ok())
      GTEST_SKIP() << opened.status().message();
    device = *std::move(opened);
  }

  static void ok(const Status &status) { ASSERT_TRUE(status.ok()) << status.message(); }

  std::unique_ptr<Device> device;
  Machine machine;
};

} // namespace compressc::test
