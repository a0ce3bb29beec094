#include "compressc/runtime/device.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include <algorithm>
#include <numeric>

namespace compressc {

StatusOr<std::vector<int>> ParseDevices(absl::string_view text, int count) {
  std::vector<int> devices;
  int number = 0;
  if (text == "all" || (absl::SimpleAtoi(text, &number) && number >= 1)) {
    if (number > count)
      return Invalid("--devices=", text, ": there ", count == 1 ? "is " : "are ", count, count == 1 ? " GPU" : " GPUs");
    devices.resize(size_t(number > 0 ? number : count));
    std::iota(devices.begin(), devices.end(), 0);
    return devices;
  }
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtoi(part, &number) || number < 0 || number >= count || std::count(devices.begin(), devices.end(), number))
      return Invalid("--devices=", text, ": wanted a number of GPUs, all, or different indices from 0 to ", count - 1, ", as in 0,2");
    devices.push_back(number);
  }
  return devices;
}

} // namespace compressc
