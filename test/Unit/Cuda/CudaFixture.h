// A GPU, and the CPU's kernels beside it. Skips without a GPU.
#pragma once

#include "../Cpu/ModelSupport.h"
#include "compressc/runtime/device.h"

namespace compressc::test {

class CudaFixture : public ::testing::Test {
protected:
  void SetUp() override {
    StatusOr<std::unique_ptr<Device>> opened = OpenCudaDevice({half});
    if (!opened.ok())
      GTEST_SKIP() << opened.status().message();
    device = *std::move(opened);
  }

  static void ok(const Status &status) { ASSERT_TRUE(status.ok()) << status.message(); }

  std::optional<DType> half; // the GPU's own
  std::unique_ptr<Device> device;
  Machine machine;
};

/// For what 16 bits matter to: in bf16 and in fp16.
template <typename Fixture> class InBothHalves : public Fixture, public ::testing::WithParamInterface<DType> {
protected:
  void SetUp() override {
    this->half = this->GetParam();
    Fixture::SetUp();
  }
  bool inF16() const { return this->GetParam() == DType::F16; }
};
inline std::string HalfName(const ::testing::TestParamInfo<DType> &info) { return std::string(DTypeName(info.param)); }

} // namespace compressc::test
