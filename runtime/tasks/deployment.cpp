#include "runtime/tasks/deployment.h"
#include <filesystem>

namespace compressc {

void DeploymentOptions::define(Options &options, bool severalGpus) {
  options.add("model", "DIR", model,
              "Folder whose model/ holds weights and tokenizer. Default: the folder of this program.");
  options.add("threads", "N", threads, "Worker threads; 0 means one for each hardware thread.").within(0, 4096);
  options.add("device", "cpu|cuda", device,
              "Where the model runs. Default: what it was compiled for (--target).");
  if (severalGpus)
    options.add("devices", "N|all|I,J", devices,
                "Runs on GPUs: how many share the work, or which, counted from 0. Each holds the whole model; "
                "results do not depend on the number. Default: the first alone.");
  options.add("gpu-memory-limit", "MB", gpuMemoryLimit,
              "With --device=cuda: take no more of each GPU's memory, the driver's part included where it is "
              "known; 0: all there is.")
      .within(0, 1e9);
  options.add("half", "bf16|f16", half,
              "The GPU's 16-bit type, for programs that compute in bf16. Default: bf16 where the GPU has it.");
  options.add("interpret", "", interpret,
              "Walk the schedule instead of running the compiled program: the same results.");
}

StatusOr<std::string> ExecutableDirectory() {
  std::error_code error;
  std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error)
    return IOError("/proc/self/exe cannot be read (", error.message(), "); is /proc mounted?");
  return path.parent_path().string();
}

static StatusOr<DeviceOptions> cudaOptions(const std::string &half) {
  DeviceOptions options;
  if (half.empty())
    return options;
  options.half = DTypeFromName(half);
  if (options.half != DType::BF16 && options.half != DType::F16)
    return Invalid("--half=", half, ": bf16 or f16");
  return options;
}

StatusOr<std::unique_ptr<Deployment>> OpenDeployment(const DeploymentOptions &wanted) {
  COMPRESSC_ASSIGN_OR_RETURN(DeviceOptions cuda, cudaOptions(wanted.half));
  StatusOr<std::string> payload = ReadPayload("/proc/self/exe");
  if (absl::IsNotFound(payload.status()))
    return Invalid("this program carries no model: it is the bare runtime, which compressc copies "
                   "to OUT/run together with a schedule; run that one");
  if (!payload.ok())
    return payload.status();
  std::string directory = wanted.model;
  if (directory.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(directory, ExecutableDirectory());
  }
  auto deployment = std::make_unique<Deployment>(int(wanted.threads));
  ModelOptions options;
  options.interpret = wanted.interpret;
  options.device = wanted.device;
  options.openCuda = &OpenCudaDevice;
  options.cuda = cuda;
  options.cuda.memoryLimit = wanted.gpuMemoryLimit * 1000000;
  if (!wanted.devices.empty()) {
    if (options.device == "cpu")
      return Invalid("--devices=", wanted.devices,
                     ": GPUs, which --device=cpu leaves alone; leave one of them out");
    options.device = "cuda";
    COMPRESSC_ASSIGN_OR_RETURN(int count, CountCudaDevices());
    COMPRESSC_ASSIGN_OR_RETURN(options.devices, ParseDevices(wanted.devices, count));
  }
  COMPRESSC_ASSIGN_OR_RETURN(deployment->model, Model::Open(*payload, directory, deployment->pool, options));
  return deployment;
}

} // namespace compressc
