#include "runtime/tasks/gpu_use.h"
#include <nlohmann/json.hpp>

namespace compressc {

GpuUseWatch::GpuUseWatch(const Model &model) : devices(model.devices()) {
  for (const Device *device : devices)
    watches.push_back(device->watch());
}

std::vector<GpuUse> GpuUseWatch::end() {
  std::vector<GpuUse> gpus;
  for (size_t i = 0; i < devices.size(); ++i) {
    gpus.push_back({devices[i]->name(), devices[i]->peakBytes(), {}});
    if (watches[i])
      gpus.back().usage = watches[i]->stop();
  }
  return gpus;
}

nlohmann::ordered_json GpuUseJson(const std::vector<GpuUse> &gpus) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const GpuUse &gpu : gpus) {
    nlohmann::ordered_json &json = list.emplace_back();
    json["name"] = gpu.name;
    json["allocated_bytes"] = gpu.allocatedBytes;
    if (gpu.usage)
      json["usage"] = DeviceUsageJson(*gpu.usage);
  }
  return list;
}

} // namespace compressc
