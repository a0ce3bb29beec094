// The model that belongs to this executable, and the options that every command shares.
#pragma once

#include "absl/flags/declare.h"
#include "compressc/runtime/model.h"
#include "compressc/runtime/schedule.h"
#include "compressc/runtime/thread_pool.h"
#include "runtime/tasks/command.h"
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

ABSL_DECLARE_FLAG(std::string, data);
ABSL_DECLARE_FLAG(std::string, json);
ABSL_DECLARE_FLAG(std::string, model);
ABSL_DECLARE_FLAG(int64_t, threads);
ABSL_DECLARE_FLAG(bool, quiet);
ABSL_DECLARE_FLAG(uint64_t, seed);

namespace compressc {

struct Deployment {
  explicit Deployment(int threads) : pool(threads) {}
  ThreadPool pool;
  std::unique_ptr<Model> model;
};

/// The folder of this executable.
StatusOr<std::string> ExecutableDirectory();
/// Opens the model with --threads and --model.
StatusOr<std::unique_ptr<Deployment>> OpenDeployment();

/// Help for the flags that open the model.
FlagUse ModelFlag();
FlagUse ThreadsFlag();
FlagUse DeviceFlag();
FlagUse DevicesFlag();
FlagUse GpuMemoryFlag();
FlagUse HalfFlag();
FlagUse InterpretFlag();
FlagUse QuietFlag();

/// An error when `value` is outside [low, high].
Status CheckRange(absl::string_view flag, double value, double low, double high);

} // namespace compressc
