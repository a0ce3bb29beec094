// A few numbers of operands, on the CPU or in a device's memory.
#pragma once

#include "compressc/runtime/device.h"
#include "compressc/runtime/kernel.h"
#include <algorithm>

namespace compressc {

inline StatusOr<std::vector<float>> ReadFloats(const KernelContext &context, const float *from, int64_t count) {
  if (!context.device)
    return std::vector<float>(from, from + count);
  std::vector<float> values(size_t(count), 0.0f);
  COMPRESSC_RETURN_IF_ERROR(context.device->download(values.data(), from, count * int64_t(sizeof(float))));
  return values;
}

/// All of a tensor of F32.
inline Status WriteFloats(const KernelContext &context, const Tensor &to, const std::vector<float> &values) {
  if (context.device)
    return context.device->send(to.data, values.data(), int64_t(values.size() * sizeof(float)));
  std::copy(values.begin(), values.end(), to.as<float>());
  return absl::OkStatus();
}

} // namespace compressc
