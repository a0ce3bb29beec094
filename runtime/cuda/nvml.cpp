#include "nvml.h"
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <dlfcn.h>
#include <mutex>
#include <thread>

namespace compressc::cuda {
namespace {

constexpr size_t mostPoints = 60;

/// Of the figures that are told.
DeviceUsage::Point meanOf(const DeviceUsage::Point *points, size_t count) {
  DeviceUsage::Point mean;
  for (double DeviceUsage::Point::*figure : {&DeviceUsage::Point::utilisation, &DeviceUsage::Point::watts}) {
    double sum = 0, told = 0;
    for (size_t i = 0; i < count; ++i)
      if (std::isfinite(points[i].*figure))
        sum += points[i].*figure, ++told;
    if (told > 0)
      mean.*figure = sum / told;
  }
  return mean;
}

class NvmlWatch : public DeviceWatch {
public:
  NvmlWatch(std::shared_ptr<Nvml> gpu, std::chrono::milliseconds period)
      : gpu(std::move(gpu)), period(period), thread([this] { watch(); }) {}
  ~NvmlWatch() override { end(); }

  DeviceUsage stop() override {
    end();
    DeviceUsage usage;
    usage.mean = meanOf(points.data(), points.size());
    usage.peakBytes = peakBytes;
    size_t each = std::max<size_t>((points.size() + mostPoints - 1) / mostPoints, 1);
    usage.pointSeconds = std::chrono::duration<double>(period).count() * double(each);
    for (size_t begin = 0; begin < points.size(); begin += each)
      usage.series.push_back(meanOf(&points[begin], std::min(each, points.size() - begin)));
    return usage;
  }

private:
  void watch() {
    std::unique_lock lock(mutex);
    do {
      points.push_back(gpu->now());
      peakBytes = std::max(peakBytes, gpu->usedBytes());
    } while (!wake.wait_for(lock, period, [this] { return ended; }));
  }

  void end() {
    {
      std::lock_guard lock(mutex);
      ended = true;
    }
    wake.notify_all();
    if (thread.joinable())
      thread.join();
  }

  std::shared_ptr<Nvml> gpu;
  std::chrono::milliseconds period;
  std::vector<DeviceUsage::Point> points;
  int64_t peakBytes = 0;
  bool ended = false;
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread; // last: it uses the others
};

} // namespace

std::shared_ptr<Nvml> Nvml::Open(const std::string &bus, const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL); // never closed: the driver may have threads in it
  if (!library)
    return nullptr;
  std::shared_ptr<Nvml> nvml(new Nvml);
  bool whole = true;
  auto load = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    whole &= function != nullptr;
  };
  load(nvml->initialise, "nvmlInit_v2");
  load(nvml->shutDown, "nvmlShutdown");
  load(nvml->find, "nvmlDeviceGetHandleByPciBusId_v2");
  load(nvml->utilisation, "nvmlDeviceGetUtilizationRates");
  load(nvml->power, "nvmlDeviceGetPowerUsage");
  load(nvml->memory, "nvmlDeviceGetMemoryInfo");
  nvml->ready = whole && nvml->initialise() == 0;
  return nvml->ready && nvml->find(bus.c_str(), &nvml->gpu) == 0 ? nvml : nullptr;
}

Nvml::~Nvml() {
  if (ready)
    shutDown();
}

DeviceUsage::Point Nvml::now() const {
  DeviceUsage::Point point;
  if (Utilisation rates{}; utilisation(gpu, &rates) == 0)
    point.utilisation = rates.gpu;
  if (unsigned milliwatts = 0; power(gpu, &milliwatts) == 0)
    point.watts = milliwatts / 1000.0;
  return point;
}

int64_t Nvml::usedBytes() const {
  Memory bytes{};
  return memory(gpu, &bytes) == 0 ? int64_t(bytes.used) : 0;
}

std::unique_ptr<DeviceWatch> Watch(std::shared_ptr<Nvml> gpu, std::chrono::milliseconds period) {
  return gpu ? std::make_unique<NvmlWatch>(std::move(gpu), period) : nullptr;
}

} // namespace compressc::cuda
