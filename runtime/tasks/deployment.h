// The model that belongs to this executable, and the options that every command shares.
#pragma once

#include "compressc/runtime/model.h"
#include "compressc/runtime/schedule.h"
#include "compressc/runtime/thread_pool.h"
#include "runtime/tasks/options.h"
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace compressc {

struct Deployment {
  explicit Deployment(int threads) : pool(threads) {}
  ThreadPool pool;
  std::unique_ptr<Model> model;
};

/// How the model is opened.
struct DeploymentOptions {
  std::string model, device, devices, half;
  int64_t threads = 0, gpuMemoryLimit = 0;
  bool interpret = false;
  /// `severalGpus`: with --devices.
  void define(Options &options, bool severalGpus);
};

/// The folder of this executable.
StatusOr<std::string> ExecutableDirectory();
StatusOr<std::unique_ptr<Deployment>> OpenDeployment(const DeploymentOptions &options);

} // namespace compressc
