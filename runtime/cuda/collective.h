// Sums over GPUs by NCCL, which is loaded when first needed.
#pragma once

#include "compressc/runtime/collective.h"

namespace compressc::cuda {

/// Where NCCL is looked for, one after the other: where the dynamic linker does, and in the toolkit's folder.
constexpr const char *ncclLibraries[] = {"libnccl.so.2", "/usr/local/cuda/lib64/libnccl.so.2"};

StatusOr<std::unique_ptr<Collective>> OpenCollective(absl::Span<Device *const> devices,
                                                     absl::Span<const char *const> libraries = ncclLibraries);

} // namespace compressc::cuda
