// In place of NVML: two GPUs, at places 0 and 1 of the bus, whose figures rise each time that they are asked for. The
// second does not tell its power.
#include <cstdio>
#include <cstring>

namespace {

struct Gpu {
  unsigned busy = 0, milliwatts = 100000;
  unsigned long long used = 1000;
} gpus[2];
int users = 0;
constexpr int invalid = 2, unsupported = 3;

} // namespace

extern "C" {

int nvmlInit_v2() { return ++users, 0; }
int nvmlShutdown() { return --users, 0; }
int compressc_nvml_users() { return users; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **gpu) {
  unsigned domain = 0, place = 0;
  if (std::sscanf(bus, "%x:%x:", &domain, &place) != 2 || place > 1)
    return invalid;
  *gpu = &gpus[place];
  return 0;
}

int nvmlDeviceGetUtilizationRates(void *gpu, unsigned *rates) {
  rates[0] = static_cast<Gpu *>(gpu)->busy = (static_cast<Gpu *>(gpu)->busy + 10) % 101;
  rates[1] = 0;
  return 0;
}

int nvmlDeviceGetPowerUsage(void *gpu, unsigned *milliwatts) {
  *milliwatts = static_cast<Gpu *>(gpu)->milliwatts += 500;
  return gpu == &gpus[1] ? unsupported : 0;
}

int nvmlDeviceGetMemoryInfo(void *gpu, unsigned long long *bytes) {
  bytes[2] = static_cast<Gpu *>(gpu)->used += 1000;
  bytes[0] = 1 << 20, bytes[1] = bytes[0] - bytes[2];
  return 0;
}

} // extern "C"
