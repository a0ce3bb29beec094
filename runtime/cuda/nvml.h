// A GPU as NVML sees it, NVIDIA's management library, which comes with the driver. It is loaded at run time; where it
// is missing there are no figures, and that is no error.
#pragma once

#include "compressc/runtime/device_usage.h"
#include <chrono>
#include <memory>
#include <string>

namespace compressc::cuda {

class Nvml {
public:
  /// The GPU at a place of the PCI bus, "00000000:1a:00.0". Null where the library, a function or the GPU is missing.
  static std::shared_ptr<Nvml> Open(const std::string &bus, const char *library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml &) = delete;

  DeviceUsage::Point now() const;
  /// Of memory, by all processes; 0 when it is not told.
  int64_t usedBytes() const;

private:
  Nvml() = default;
  struct Utilisation {
    unsigned gpu, memory;
  };
  struct Memory {
    unsigned long long total, free, used;
  };
  int (*initialise)() = nullptr;
  int (*shutDown)() = nullptr;
  int (*find)(const char *, void **) = nullptr;
  int (*utilisation)(void *, Utilisation *) = nullptr;
  int (*power)(void *, unsigned *) = nullptr; // milliwatts
  int (*memory)(void *, Memory *) = nullptr;
  void *gpu = nullptr;
  bool ready = false;
};

/// A thread that asks once in each period. Null for a null GPU.
std::unique_ptr<DeviceWatch> Watch(std::shared_ptr<Nvml> gpu, std::chrono::milliseconds period = std::chrono::milliseconds(100));

} // namespace compressc::cuda
