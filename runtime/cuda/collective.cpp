#include "collective.h"
#include "device.h"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <thread>

namespace compressc::cuda {
namespace {

/// What is used of NCCL's C interface, the same in every release of NCCL 2 since 2.13; enumerations are ints.
struct Nccl {
  using Communicator = struct ncclComm *; // of one GPU with the others
  static constexpr int success = 0, inProgress = 7; // ncclResult_t
  static constexpr int sumOperation = 0;            // ncclRedOp_t
  static int typeOf(Collective::Number type) {      // ncclDataType_t
    switch (type) {
    case Collective::Number::I32: return 2;
    case Collective::Number::I64: return 4;
    case Collective::Number::F32: return 7;
    case Collective::Number::F64: return 8;
    }
  }

  int (*initialiseAll)(Communicator *communicators, int count, const int *gpus);
  int (*destroy)(Communicator);
  int (*abort)(Communicator);
  int (*asyncError)(Communicator, int *result);
  int (*groupStart)();
  int (*groupEnd)();
  int (*reduce)(const void *from, void *to, size_t count, int type, int operation, int root, Communicator, cudaStream_t);
  const char *(*errorString)(int result);
  const char *(*lastError)(Communicator);

  Status load(absl::Span<const char *const> libraries) {
    constexpr const char *remedy = "; several --devices need NCCL 2: install the pip package nvidia-nccl-cu13 or NVIDIA's Debian "
                                   "package libnccl2, put its folder in LD_LIBRARY_PATH, or leave --devices at 1";
    void *library = nullptr; // never closed: it has threads of its own
    for (const char *path : libraries)
      if ((library = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        break;
    if (!library)
      return absl::NotFoundError(absl::StrCat(libraries.front(), " was not found", remedy));
    bool whole = true;
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      whole &= function != nullptr;
    };
    find(initialiseAll, "ncclCommInitAll");
    find(destroy, "ncclCommDestroy");
    find(abort, "ncclCommAbort");
    find(asyncError, "ncclCommGetAsyncError");
    find(groupStart, "ncclGroupStart");
    find(groupEnd, "ncclGroupEnd");
    find(reduce, "ncclReduce");
    find(errorString, "ncclGetErrorString");
    find(lastError, "ncclGetLastError");
    return whole ? absl::OkStatus() : absl::NotFoundError(absl::StrCat(libraries.front(), " lacks functions of NCCL 2", remedy));
  }

  /// A result in words, on one line.
  std::string describe(int result) const {
    const char *last = lastError(nullptr);
    absl::string_view details = last ? last : "";
    details = details.substr(0, details.find('\n'));
    return absl::StrCat(errorString(result), details.empty() ? "" : absl::StrCat(" (", details, ")"), "; NCCL_DEBUG=WARN tells more");
  }
};

} // namespace

/// Communicators of one thread: it starts a sum on all GPUs as a group, so that none waits for a thread that has failed.
class NcclCollective : public Collective {
public:
  Status open(absl::Span<Device *const> wanted, absl::Span<const char *const> libraries) {
    COMPRESSC_RETURN_IF_ERROR(nccl.load(libraries));
    // What the environment says holds. Multicast adds in an order of its own. Other GPUs can't read a pool's memory, which
    // NCCL would take for granted within a process.
    setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
    setenv("NCCL_P2P_DIRECT_DISABLE", "1", /*overwrite=*/0);
    std::vector<int> gpus;
    for (Device *device : wanted) {
      devices.push_back(static_cast<CudaDevice *>(device));
      gpus.push_back(device->number());
    }
    communicators.resize(gpus.size());
    int result = nccl.initialiseAll(communicators.data(), int(gpus.size()), gpus.data());
    Status entered = devices.front()->enter();
    if (result == Nccl::success)
      return entered;
    communicators.clear();
    return absl::FailedPreconditionError(absl::StrCat("NCCL could not connect ", gpus.size(), " GPUs: ", nccl.describe(result),
                                                      ", or leave --devices at 1"));
  }

  ~NcclCollective() override {
    bool lost = std::any_of(devices.begin(), devices.end(), [](const CudaDevice *device) { return !device->idle().ok(); });
    for (Nccl::Communicator communicator : communicators)
      lost ? nccl.abort(communicator) : nccl.destroy(communicator); // which would wait for it
  }

  Status sum(absl::Span<const Addends> sums) override {
    if (communicators.empty())
      return absl::AbortedError("NCCL has failed before");
    Status status = start(sums);
    if (status.ok())
      status = wait();
    if (status.ok())
      return status;
    for (Nccl::Communicator communicator : communicators) // ends what still waits for a lost GPU
      nccl.abort(communicator);
    communicators.clear();
    return status;
  }

private:
  Status start(absl::Span<const Addends> sums) {
    int result = nccl.groupStart();
    if (result != Nccl::success)
      return failed(result);
    for (const Addends &addends : sums)
      for (size_t i = 0; i < devices.size() && result == Nccl::success; ++i)
        result = nccl.reduce(addends.arrays[i], addends.arrays[i], size_t(addends.count), Nccl::typeOf(addends.type),
                             Nccl::sumOperation, /*root=*/0, communicators[i], devices[i]->stream);
    int ended = nccl.groupEnd();
    result = result == Nccl::success ? ended : result;
    return result == Nccl::success ? absl::OkStatus() : failed(result);
  }

  /// A GPU that is lost shows on its own stream only; the others would wait for it.
  Status wait() {
    bool ended = false;
    while (!ended) {
      ended = true;
      for (size_t i = 0; i < devices.size(); ++i) {
        StatusOr<bool> idle = devices[i]->idle();
        if (!idle.ok())
          return WithContext(idle.status(), absl::StrCat("GPU ", devices[i]->number()));
        int result = Nccl::success;
        nccl.asyncError(communicators[i], &result);
        if (result != Nccl::success && result != Nccl::inProgress)
          return failed(result);
        ended &= *idle;
      }
      if (!ended)
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return absl::OkStatus();
  }

  /// It may come of a GPU that was lost.
  Status failed(int result) {
    for (CudaDevice *device : devices)
      if (Status idle = device->idle().status(); !idle.ok())
        return WithContext(idle, absl::StrCat("GPU ", device->number()));
    return absl::AbortedError(absl::StrCat("NCCL failed: ", nccl.describe(result)));
  }

  Nccl nccl{};
  std::vector<CudaDevice *> devices;
  std::vector<Nccl::Communicator> communicators; // none: it has failed
};

StatusOr<std::unique_ptr<Collective>> OpenCollective(absl::Span<Device *const> devices, absl::Span<const char *const> libraries) {
  auto collective = std::make_unique<NcclCollective>();
  COMPRESSC_RETURN_IF_ERROR(collective->open(devices, libraries));
  return std::unique_ptr<Collective>(std::move(collective));
}

} // namespace compressc::cuda

namespace compressc {

StatusOr<std::unique_ptr<Collective>> OpenCudaCollective(absl::Span<Device *const> devices) {
  return cuda::OpenCollective(devices);
}

} // namespace compressc
