// A model on several GPUs, on one that has little memory, and on one that is lost.
#include "devices.h"
#include "../Unit/Session/ModelFixture.h"
#include <atomic>
#include <mutex>
#include <thread>

namespace compressc {
namespace {

using namespace cuda::emulated;

class Devices : public ModelFixture {
protected:
  void SetUp() override {
    ModelFixture::SetUp();
    SetDeviceCount(4);
    write(toy);
  }
  void TearDown() override {
    for (int device = 0; device < mostDevices; ++device) {
      FailAfter(device, 0, cudaSuccess);
      EXPECT_EQ(AllocatedOn(device), 0u);
    }
    SetDeviceCount(1);
    ModelFixture::TearDown();
  }

  StatusOr<std::unique_ptr<Model>> open(std::vector<int> devices, int64_t memoryLimit = 0) {
    ModelOptions options;
    options.device = "cuda";
    options.openCuda = &OpenCudaDevice;
    options.cuda.memoryLimit = memoryLimit;
    options.devices = std::move(devices);
    return Model::Open(payloadOf(toy.schedule), directory, pool, options);
  }

  /// Subjects with a long beginning, questions with an end of their own.
  std::vector<Request> questions() {
    std::mt19937 random(1);
    std::vector<Request> requests;
    for (int subject = 0; subject < 8; ++subject) {
      std::vector<int32_t> beginning = {1, 2};
      for (int i = 0; i < 12; ++i)
        beginning.push_back(int32_t(random() % ToyModel::vocabulary));
      for (int question = 0; question < 6; ++question) {
        Request request{beginning, {}};
        for (uint64_t i = 3 + random() % 6; i > 0; --i)
          request.tokens.push_back(int32_t(random() % ToyModel::vocabulary));
        request.wanted = {int32_t(request.tokens.size()) - 1};
        requests.push_back(std::move(request));
      }
    }
    return requests;
  }

  using Scores = std::map<int32_t, std::vector<double>>;
  Status score(Model &model, const std::vector<Request> &requests, Scores &scores,
               const std::function<bool(int32_t, int32_t)> &known = {}) {
    std::vector<int32_t> answers = {3, 5, 7, 9};
    Targets targets;
    targets.count = int64_t(answers.size());
    targets.tokens = [&](int32_t, int32_t) { return absl::MakeConstSpan(answers); };
    targets.known = known;
    std::atomic<int> calls = 0;
    return model.score(requests, targets, [&](int32_t request, int32_t, absl::Span<const double> values) {
      EXPECT_EQ(++calls, 1) << "calls overlap";
      EXPECT_TRUE(scores.try_emplace(request, values.begin(), values.end()).second);
      --calls;
      return absl::OkStatus();
    });
  }

  ToyModel toy{true};
};

TEST_F(Devices, ShareTheWorkAndGiveTheSameBits) {
  std::vector<Request> requests = questions();
  std::vector<Scores> results;
  for (const std::vector<int> &devices : {std::vector<int>{0}, {0, 1}, {2, 0, 3}, {3}}) {
    int64_t before[mostDevices];
    for (int device = 0; device < mostDevices; ++device)
      before[device] = LaunchesOn(device);
    StatusOr<std::unique_ptr<Model>> model = open(devices);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ((*model)->devices().size(), devices.size());
    for (int device : devices)
      EXPECT_GT(AllocatedOn(device), 0u);
    Status status = score(**model, requests, results.emplace_back());
    ASSERT_TRUE(status.ok()) << status;
    for (int device = 0; device < mostDevices; ++device)
      EXPECT_EQ(LaunchesOn(device) > before[device], std::count(devices.begin(), devices.end(), device) == 1) << device;
  }
  for (const Scores &scores : results) {
    EXPECT_EQ(scores.size(), requests.size());
    EXPECT_EQ(scores, results.front());
  }
  std::vector<double> reference = toy.reference(requests[17].tokens);
  double sum = 0;
  for (int token = 0; token < ToyModel::vocabulary; ++token)
    sum += std::exp(reference[reference.size() - ToyModel::vocabulary + size_t(token)]);
  EXPECT_NEAR(results[1][17][0], reference[reference.size() - ToyModel::vocabulary + 3] - std::log(sum), 2e-3);
}

TEST_F(Devices, WhatIsKnownIsNotAskedAgain) {
  std::vector<Request> requests = questions();
  StatusOr<std::unique_ptr<Model>> model = open({0, 1});
  ASSERT_TRUE(model.ok()) << model.status();
  Scores scores;
  Status status = score(**model, requests, scores, [](int32_t request, int32_t) { return request < 24; });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GE(scores.size(), requests.size() - 24);
  EXPECT_LT(scores.size(), requests.size());
}

TEST_F(Devices, EachThreadEntersItsOwn) {
  StatusOr<std::unique_ptr<Device>> first = OpenCudaDevice();
  ASSERT_TRUE(first.ok());
  std::unique_ptr<Device> second;
  std::thread([&] {
    DeviceOptions options;
    options.index = 1;
    second = OpenCudaDevice(options).value();
  }).join();
  auto usable = [](Device &device) {
    StatusOr<std::shared_ptr<void>> memory = device.allocate(1024, "a test");
    Batch none;
    device.beginBatch(none, nullptr);
    std::vector<float> values(8, 1);
    Tensor tensor;
    tensor.shape = {1, 8};
    tensor.data = memory->get();
    Tensor inputs[] = {tensor, tensor};
    ThreadPool pool(1);
    Scratch scratch(1);
    KernelContext context{pool, scratch, nullptr, &device};
    return device.findKernel("add")(context, {inputs, {&tensor, 1}, {}, {}}).ok() && device.finishBatch().ok();
  };
  EXPECT_TRUE(usable(**first));
  EXPECT_FALSE(usable(*second)); // this thread works with the first
  EXPECT_TRUE(second->enter().ok());
  EXPECT_TRUE(usable(*second));
  second.reset();
  first->reset();
}

TEST_F(Devices, AreCountedFromZero) {
  EXPECT_EQ(CountCudaDevices().value(), 4);
  EXPECT_EQ(open({4}).status().message(), "there is no GPU 4: the driver shows 4, counted from 0");
  EXPECT_EQ(open({0, 5}).status().message(), "GPU 5: there is no GPU 5: the driver shows 4, counted from 0");
  SetDeviceCount(0);
  EXPECT_EQ(CountCudaDevices().status().message(), "no CUDA device (no CUDA-capable device is detected); use --device=cpu");
}

TEST_F(Devices, OneThatIsLostEndsTheRun) {
  std::vector<Request> requests = questions();
  for (cudaError_t error : {cudaErrorECCUncorrectable, cudaErrorLaunchFailure}) {
    StatusOr<std::unique_ptr<Model>> model = open({0, 1});
    ASSERT_TRUE(model.ok()) << model.status();
    FailAfter(1, 400, error);
    Scores scores;
    Status status = score(**model, requests, scores);
    EXPECT_TRUE(absl::IsAborted(status)) << status;
    EXPECT_EQ(status.message(), absl::StrCat("GPU 1: the GPU failed: ", cudaGetErrorString(error),
                                             "; nvidia-smi and the kernel's log (Xid) tell more"));
    EXPECT_GT(scores.size(), 0u); // these are kept
    EXPECT_LT(scores.size(), requests.size());
    model->reset();
    FailAfter(1, 0, cudaSuccess);
  }
}

TEST_F(Devices, ALimitStandsForTheEndOfMemory) {
  std::vector<Request> requests = questions();
  constexpr int64_t workspace = int64_t(32) << 20;
  StatusOr<std::unique_ptr<Model>> model = open({0});
  ASSERT_TRUE(model.ok()) << model.status();
  Scores scores, limited;
  ASSERT_TRUE(score(**model, requests, scores).ok());
  int64_t needed = (*model)->device()->peakBytes();
  EXPECT_GT(needed, workspace);
  model->reset();

  model = open({0}, needed);
  ASSERT_TRUE(model.ok()) << model.status();
  Status status = score(**model, requests, limited);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(limited, scores);
  EXPECT_LE((*model)->device()->peakBytes(), needed);
  model->reset();

  // Each smaller limit is an error that names what there was no memory for; which, depends on how small it is.
  std::set<std::string> named;
  for (int64_t limit : {workspace / 2, workspace + (100 << 10), needed - (3 << 20), needed - 1}) {
    model = open({0}, limit);
    status = model.ok() ? score(**model, requests, limited = {}) : model.status();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << limit << ": " << status;
    std::string message(status.message());
    EXPECT_NE(message.find(" MiB are free under --gpu-memory-limit; compile with a smaller --max-tokens, or use --device=cpu"), message.npos) << message;
    bool logProbabilities = message.rfind("memory for log-probabilities", 0) == 0; // not the session's
    if (limit > workspace && !logProbabilities)
      EXPECT_NE(message.find("; planned were "), message.npos) << message;
    named.insert(message.substr(0, message.find(" needs ")));
    if (model.ok())
      model->reset();
  }
  EXPECT_TRUE(named.count("cuBLASLt")) << named.size();
  EXPECT_TRUE(named.count("the KV cache")) << named.size();
  EXPECT_GE(named.size(), 3u);
}

} // namespace
} // namespace compressc
