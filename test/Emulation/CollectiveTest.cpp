// Sums over GPUs, through a library that stands in for NCCL.
#include "../../runtime/cuda/collective.h"
#include "compressc/runtime/device.h"
#include "compressc/runtime/thread_pool.h"
#include "devices.h"
#include <dlfcn.h>
#include <gtest/gtest.h>

namespace compressc::cuda {
namespace {

constexpr const char *library = COMPRESSC_NCCL_STANDIN;
using Number = Collective::Number;

class Sums : public ::testing::Test {
protected:
  void SetUp() override {
    emulated::SetDeviceCount(4);
    void *handle = dlopen(library, RTLD_NOW);
    communicators = reinterpret_cast<int (*)()>(dlsym(handle, "compressc_nccl_communicators"));
    failAfter = reinterpret_cast<void (*)(int)>(dlsym(handle, "compressc_nccl_fail_after"));
  }
  void TearDown() override {
    EXPECT_EQ(communicators(), 0);
    failAfter(-1);
    emulated::FailAfter(1, 0, cudaSuccess);
    emulated::SetDeviceCount(1);
  }

  void open(std::vector<int> numbers) {
    for (int number : numbers) {
      DeviceOptions options;
      options.index = number;
      owned.push_back(OpenCudaDevice(options).value());
      devices.push_back(owned.back().get());
    }
  }

  /// Arrays of `count` values, those of device i filled with value(i).
  template <typename T> Collective::Addends addends(Number type, int64_t count, T (*value)(size_t)) {
    Collective::Addends result{{}, count, type};
    for (size_t i = 0; i < devices.size(); ++i) {
      EXPECT_TRUE(devices[i]->enter().ok());
      memory.push_back(devices[i]->allocate(count * int64_t(sizeof(T)), "a test").value());
      std::vector<T> values(size_t(count), value(i));
      EXPECT_TRUE(devices[i]->send(memory.back().get(), values.data(), count * int64_t(sizeof(T))).ok());
      result.arrays.push_back(memory.back().get());
    }
    return result;
  }
  template <typename T> std::vector<T> read(const Collective::Addends &addends, size_t device) {
    std::vector<T> values(size_t(addends.count));
    EXPECT_TRUE(devices[device]->enter().ok());
    EXPECT_TRUE(devices[device]->download(values.data(), addends.arrays[device], addends.count * int64_t(sizeof(T))).ok());
    return values;
  }

  int (*communicators)();
  void (*failAfter)(int);
  std::vector<std::unique_ptr<Device>> owned;
  std::vector<Device *> devices;
  std::vector<std::shared_ptr<void>> memory;
};

TEST_F(Sums, OfAllTypesInOneGroupGoToTheFirst) {
  open({2, 0, 3});
  StatusOr<std::unique_ptr<Collective>> collective = OpenCollective(devices, {library});
  ASSERT_TRUE(collective.ok()) << collective.status();
  EXPECT_EQ(communicators(), 3);
  std::vector<Collective::Addends> sums = {
      addends<float>(Number::F32, 1000, [](size_t i) { return float(i) + 0.5f; }),
      addends<double>(Number::F64, 3, [](size_t i) { return double(i) + 1e-12; }),
      addends<int32_t>(Number::I32, 5, [](size_t i) { return int32_t(i) - 7; }),
      addends<int64_t>(Number::I64, 1, [](size_t i) { return (int64_t(i) + 1) << 40; })};
  Status status = (*collective)->sum(sums);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(read<float>(sums[0], 0), std::vector<float>(1000, 4.5f));
  EXPECT_EQ(read<double>(sums[1], 0), std::vector<double>(3, 1e-12 + (1 + 1e-12) + (2 + 1e-12)));
  EXPECT_EQ(read<int32_t>(sums[2], 0), std::vector<int32_t>(5, -18));
  EXPECT_EQ(read<int64_t>(sums[3], 0), std::vector<int64_t>(1, int64_t(6) << 40));
  EXPECT_EQ(read<float>(sums[0], 1), std::vector<float>(1000, 1.5f)); // as it was
}

TEST_F(Sums, MissingLibrariesAreSaid) {
  open({0, 1});
  const char *remedy = "; several --devices need NCCL 2: install the pip package nvidia-nccl-cu13 or NVIDIA's Debian package "
                       "libnccl2, put its folder in LD_LIBRARY_PATH, or leave --devices at 1";
  Status status = OpenCollective(devices, {"libcompressc-has-none.so.2", "/nowhere/libnccl.so.2"}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), absl::StrCat("libcompressc-has-none.so.2 was not found", remedy));
  EXPECT_EQ(OpenCollective(devices, {"libm.so.6"}).status().message(), absl::StrCat("libm.so.6 lacks functions of NCCL 2", remedy));
  EXPECT_TRUE(OpenCollective(devices, {"/nowhere/libnccl.so.2", library}).ok());
}

TEST_F(Sums, FailuresAreOneLineAndFinal) {
  open({0, 1});
  EXPECT_EQ(OpenCollective({devices[0], devices[0]}, {library}).status().message(),
            "NCCL could not connect 2 GPUs: invalid usage (a GPU twice); NCCL_DEBUG=WARN tells more, or leave --devices at 1");
  StatusOr<std::unique_ptr<Collective>> collective = OpenCollective(devices, {library});
  ASSERT_TRUE(collective.ok()) << collective.status();
  auto one = addends<float>(Number::F32, 4, [](size_t) { return 1.0f; });
  failAfter(1);
  EXPECT_TRUE((*collective)->sum({one}).ok());
  Status status = (*collective)->sum({one});
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_EQ(status.message(), "NCCL failed: unhandled cuda error (Cuda failure 'injected'); NCCL_DEBUG=WARN tells more");
  EXPECT_EQ(communicators(), 0);
  EXPECT_TRUE(absl::IsAborted((*collective)->sum({one})));
}

TEST_F(Sums, AGpuThatIsLostIsNamed) {
  open({0, 1});
  StatusOr<std::unique_ptr<Collective>> collective = OpenCollective(devices, {library});
  ASSERT_TRUE(collective.ok()) << collective.status();
  auto one = addends<float>(Number::F32, 4, [](size_t) { return 1.0f; });
  emulated::FailAfter(1, 0, cudaErrorECCUncorrectable);
  ASSERT_TRUE(devices[1]->enter().ok());
  Tensor array;
  array.shape = {1, 4};
  array.data = one.arrays[1];
  Tensor both[] = {array, array};
  ThreadPool pool(1);
  Scratch scratch(1);
  KernelContext context{pool, scratch, nullptr, devices[1]};
  float value;
  EXPECT_TRUE(devices[1]->findKernel("add")(context, {both, {&array, 1}, {}, {}}).ok()); // starts it
  EXPECT_FALSE(devices[1]->download(&value, array.data, sizeof value).ok());
  Status status = (*collective)->sum({one});
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_EQ(status.message(), "GPU 1: the GPU failed: uncorrectable ECC error encountered; "
                              "nvidia-smi and the kernel's log (Xid) tell more");
  EXPECT_EQ(communicators(), 0);
}

} // namespace
} // namespace compressc::cuda
