#include "compressc/runtime/device_usage.h"
#include "absl/strings/str_format.h"
#include <cmath>
#include <nlohmann/json.hpp>

namespace compressc {

nlohmann::ordered_json DeviceUsageJson(const DeviceUsage &usage) {
  auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(std::round(value * 10) / 10) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json json;
  json["utilisation_percent"] = number(usage.mean.utilisation);
  json["power_watts"] = number(usage.mean.watts);
  json["peak_memory_bytes"] = usage.peakBytes;
  json["point_seconds"] = number(usage.pointSeconds);
  json["utilisation_series"] = nlohmann::ordered_json::array();
  json["power_series"] = nlohmann::ordered_json::array();
  for (const DeviceUsage::Point &point : usage.series) {
    json["utilisation_series"].push_back(number(point.utilisation));
    json["power_series"].push_back(number(point.watts));
  }
  return json;
}

std::string DeviceUsageText(const DeviceUsage &usage) {
  std::string text;
  if (std::isfinite(usage.mean.utilisation))
    absl::StrAppendFormat(&text, "%.0f %% busy, ", usage.mean.utilisation);
  if (std::isfinite(usage.mean.watts))
    absl::StrAppendFormat(&text, "%.0f W, ", usage.mean.watts);
  absl::StrAppendFormat(&text, "%.2f GiB in use at most", double(usage.peakBytes) / double(1 << 30));
  return text;
}

} // namespace compressc
