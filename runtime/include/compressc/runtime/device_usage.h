// What a GPU did while a program used it, for reports.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace compressc {

/// As the driver counts it; what other processes do on the same GPU is in it. NaN: it does not tell.
struct DeviceUsage {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  struct Point {
    double utilisation = unknown; // percent of the time that a kernel ran in
    double watts = unknown;
  };
  Point mean;
  int64_t peakBytes = 0;    // of memory in use, the driver's own included
  double pointSeconds = 0;  // that a point of the series is the mean of
  std::vector<Point> series; // from the beginning to the end
};

/// An object of utilisation_percent, power_watts, peak_memory_bytes, point_seconds and the series of the first two.
nlohmann::ordered_json DeviceUsageJson(const DeviceUsage &usage);
/// "87 % busy, 512 W, 14.20 GiB in use at most", what is known of it.
std::string DeviceUsageText(const DeviceUsage &usage);

/// A GPU being watched, until stop() or its end.
class DeviceWatch {
public:
  virtual ~DeviceWatch() = default;
  virtual DeviceUsage stop() = 0;
};

} // namespace compressc
