#include "runtime/tasks/deployment.h"
#include "absl/flags/flag.h"
#include <filesystem>

ABSL_FLAG(std::string, data, "", "data folder or file");
ABSL_FLAG(std::string, json, "", "result file");
ABSL_FLAG(std::string, model, "", "folder that holds model/");
ABSL_FLAG(int64_t, threads, 0, "worker threads");
ABSL_FLAG(std::string, device, "", "cpu or cuda");
ABSL_FLAG(std::string, devices, "", "GPUs");
ABSL_FLAG(int64_t, gpu_memory_limit, 0, "megabytes of a GPU's memory");
ABSL_FLAG(std::string, half, "", "bf16 or f16");
ABSL_FLAG(bool, interpret, false, "walk the schedule");
ABSL_FLAG(bool, quiet, false, "no progress");
ABSL_FLAG(uint64_t, seed, 1234, "seed of random choices");

namespace compressc {

FlagUse ModelFlag() {
  return {"model", "DIR",
          "Folder whose model/ holds weights and tokenizer. Default: the folder of this program."};
}

FlagUse ThreadsFlag() {
  return {"threads", "N", "Worker threads; 0 means one for each hardware thread."};
}

FlagUse DeviceFlag() {
  return {"device", "cpu|cuda", "Where the model runs. Default: what it was compiled for (--target)."};
}

FlagUse DevicesFlag() {
  return {"devices", "N|all|I,J",
          "Runs on GPUs: how many share the work, or which, counted from 0. Each holds the whole model; "
          "results do not depend on the number. Default: the first alone."};
}

FlagUse GpuMemoryFlag() {
  return {"gpu-memory-limit", "MB",
          "With --device=cuda: take no more of each GPU's memory, the driver's part included where it is known; 0: all there is."};
}

FlagUse HalfFlag() {
  return {"half", "bf16|f16", "The GPU's 16-bit type, for programs that compute in bf16. Default: bf16 where the GPU has it."};
}

FlagUse InterpretFlag() {
  return {"interpret", "", "Walk the schedule instead of running the compiled program: the same results."};
}

FlagUse QuietFlag() { return {"quiet", "", "No progress line."}; }

StatusOr<std::string> ExecutableDirectory() {
  std::error_code error;
  std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error)
    return IOError("/proc/self/exe cannot be read (", error.message(), "); is /proc mounted?");
  return path.parent_path().string();
}

static StatusOr<DeviceOptions> cudaOptions() {
  DeviceOptions options;
  std::string half = absl::GetFlag(FLAGS_half);
  if (half.empty())
    return options;
  options.half = DTypeFromName(half);
  if (options.half != DType::BF16 && options.half != DType::F16)
    return Invalid("--half=", half, ": bf16 or f16");
  return options;
}

StatusOr<std::unique_ptr<Deployment>> OpenDeployment() {
  COMPRESSC_RETURN_IF_ERROR(CheckRange("threads", double(absl::GetFlag(FLAGS_threads)), 0, 4096));
  COMPRESSC_ASSIGN_OR_RETURN(DeviceOptions cuda, cudaOptions());
  StatusOr<std::string> payload = ReadPayload("/proc/self/exe");
  if (absl::IsNotFound(payload.status()))
    return Invalid("this program carries no model: it is the bare runtime, which compressc copies "
                   "to OUT/run together with a schedule; run that one");
  if (!payload.ok())
    return payload.status();
  std::string directory = absl::GetFlag(FLAGS_model);
  if (directory.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(directory, ExecutableDirectory());
  }
  auto deployment = std::make_unique<Deployment>(int(absl::GetFlag(FLAGS_threads)));
  ModelOptions options;
  options.interpret = absl::GetFlag(FLAGS_interpret);
  options.device = absl::GetFlag(FLAGS_device);
  options.openCuda = &OpenCudaDevice;
  COMPRESSC_RETURN_IF_ERROR(CheckRange("gpu-memory-limit", double(absl::GetFlag(FLAGS_gpu_memory_limit)), 0, 1e9));
  options.cuda = cuda;
  options.cuda.memoryLimit = absl::GetFlag(FLAGS_gpu_memory_limit) * 1000000;
  if (std::string devices = absl::GetFlag(FLAGS_devices); !devices.empty()) {
    if (options.device == "cpu")
      return Invalid("--devices=", devices, ": GPUs, which --device=cpu leaves alone; leave one of them out");
    options.device = "cuda";
    COMPRESSC_ASSIGN_OR_RETURN(int count, CountCudaDevices());
    COMPRESSC_ASSIGN_OR_RETURN(options.devices, ParseDevices(devices, count));
  }
  COMPRESSC_ASSIGN_OR_RETURN(deployment->model, Model::Open(*payload, directory, deployment->pool, options));
  return deployment;
}

Status CheckRange(absl::string_view flag, double value, double low, double high) {
  if (value >= low && value <= high)
    return absl::OkStatus();
  return Invalid("--", flag, " must be from ", low, " to ", high, ", not ", value);
}

} // namespace compressc
