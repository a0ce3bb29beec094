// Figures of NVML, through a library that stands in for it.
#include "../../runtime/cuda/nvml.h"
#include <cmath>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace compressc::cuda {
namespace {

constexpr const char *library = COMPRESSC_NVML_STANDIN;
using std::chrono::milliseconds;

TEST(Nvml, IsNoErrorWhereItIsMissing) {
  EXPECT_EQ(Nvml::Open("00000000:00:00.0", "libcompressc-has-none.so.1"), nullptr);
  EXPECT_EQ(Nvml::Open("00000000:00:00.0", "libm.so.6"), nullptr); // lacks the functions
  EXPECT_EQ(Nvml::Open("00000000:07:00.0", library), nullptr);    // no such GPU
  EXPECT_EQ(Watch(nullptr), nullptr);
}

TEST(Nvml, WatchesUntilItIsStopped) {
  auto users = reinterpret_cast<int (*)()>(dlsym(dlopen(library, RTLD_NOW), "compressc_nvml_users"));
  {
    std::unique_ptr<DeviceWatch> watch = Watch(Nvml::Open("00000000:00:00.0", library), milliseconds(1));
    ASSERT_TRUE(watch);
    EXPECT_EQ(users(), 1);
    std::this_thread::sleep_for(milliseconds(200));
    DeviceUsage usage = watch->stop();
    EXPECT_GT(usage.mean.utilisation, 10);
    EXPECT_LT(usage.mean.utilisation, 100);
    EXPECT_GT(usage.mean.watts, usage.series.front().watts);
    EXPECT_LT(usage.mean.watts, usage.series.back().watts);
    EXPECT_GT(usage.series.size(), 10u);
    EXPECT_LE(usage.series.size(), 60u);
    EXPECT_GT(usage.peakBytes, 2000);
    std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(watch->stop().peakBytes, usage.peakBytes);
  }
  EXPECT_EQ(users(), 0);
}

TEST(Nvml, WhatIsNotToldIsNull) {
  std::unique_ptr<DeviceWatch> watch = Watch(Nvml::Open("00000000:01:00.0", library), milliseconds(1000));
  DeviceUsage usage = watch->stop(); // one sample at least
  ASSERT_EQ(usage.series.size(), 1u);
  EXPECT_TRUE(std::isnan(usage.mean.watts));
  nlohmann::ordered_json json = DeviceUsageJson(usage);
  EXPECT_EQ(json["utilisation_percent"], 10);
  EXPECT_TRUE(json["power_watts"].is_null());
  EXPECT_EQ(json["peak_memory_bytes"], 2000);
  EXPECT_EQ(json["point_seconds"], 1);
  EXPECT_EQ(json["utilisation_series"].dump(), "[10.0]");
  EXPECT_EQ(json["power_series"].dump(), "[null]");
}

} // namespace
} // namespace compressc::cuda
