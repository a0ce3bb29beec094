// What a run took of its GPUs.
#pragma once

#include "compressc/runtime/model.h"
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace compressc {

struct GpuUse {
  std::string name;
  int64_t allocatedBytes = 0;       // at most, without the driver's own
  std::optional<DeviceUsage> usage; // when something tells
};

/// Watches the model's GPUs, if it runs on any.
class GpuUseWatch {
public:
  explicit GpuUseWatch(const Model &model);
  std::vector<GpuUse> end();

private:
  std::vector<const Device *> devices;
  std::vector<std::unique_ptr<DeviceWatch>> watches;
};

/// An array, one object for each.
nlohmann::ordered_json GpuUseJson(const std::vector<GpuUse> &gpus);

} // namespace compressc
