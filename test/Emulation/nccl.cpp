// In place of NCCL, for arrays in the host's memory: adds up in the order of ranks when a group ends. It refuses what the
// real one would hang on or get wrong. A program that is not a test reads COMPRESSC_EMULATED_NCCL_FAILURE=N: the sum after
// N groups fails.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

struct ncclComm {
  int rank, count;
};

namespace {

constexpr int success = 0, cudaError = 1, invalidArgument = 4, invalidUsage = 5;

struct Reduction {
  const void *from;
  void *to;
  size_t count;
  int type, rank, ranks;
};
std::vector<Reduction> pending;
bool inGroup = false;
int communicators = 0, groupsLeft = -1;
const char *details = "";

int fail(int result, const char *why) { return details = why, result; }

template <typename T> void add(const std::vector<const Reduction *> &ranks) {
  std::vector<T> sums(static_cast<const T *>(ranks[0]->from), static_cast<const T *>(ranks[0]->from) + ranks[0]->count);
  for (size_t rank = 1; rank < ranks.size(); ++rank)
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] += static_cast<const T *>(ranks[rank]->from)[i];
  std::memcpy(ranks[0]->to, sums.data(), sums.size() * sizeof(T));
}

/// The k-th reductions of all ranks are one.
int addPending() {
  std::vector<std::vector<const Reduction *>> ofRank(size_t(pending.empty() ? 0 : pending.front().ranks));
  for (const Reduction &reduction : pending)
    ofRank[size_t(reduction.rank)].push_back(&reduction);
  for (const auto &reductions : ofRank)
    if (reductions.size() != ofRank.front().size())
      return fail(invalidUsage, "some ranks take no part: this would hang");
  for (size_t k = 0; k < (ofRank.empty() ? 0 : ofRank.front().size()); ++k) {
    std::vector<const Reduction *> ranks;
    for (const auto &reductions : ofRank)
      ranks.push_back(reductions[k]);
    for (const Reduction *each : ranks)
      if (each->count != ranks[0]->count || each->type != ranks[0]->type)
        return fail(invalidArgument, "ranks differ in what they add\nas the second line says");
    switch (ranks[0]->type) {
    case 2: add<int32_t>(ranks); break;
    case 4: add<int64_t>(ranks); break;
    case 7: add<float>(ranks); break;
    case 8: add<double>(ranks); break;
    default: return fail(invalidArgument, "a type that nothing adds");
    }
  }
  return success;
}

} // namespace

extern "C" {

int compressc_nccl_communicators() { return communicators; }
void compressc_nccl_fail_after(int groups) { groupsLeft = groups; }

int ncclCommInitAll(ncclComm **result, int count, const int *gpus) {
  for (const char *name : {"NCCL_NVLS_ENABLE", "NCCL_P2P_DIRECT_DISABLE"})
    if (!std::getenv(name))
      return fail(invalidUsage, name);
  for (int i = 0; i < count; ++i)
    if (std::find(gpus, gpus + i, gpus[i]) != gpus + i)
      return fail(invalidUsage, "a GPU twice");
  if (const char *text = std::getenv("COMPRESSC_EMULATED_NCCL_FAILURE"))
    groupsLeft = std::atoi(text);
  for (int i = 0; i < count; ++i)
    result[i] = new ncclComm{i, count};
  communicators += count;
  return success;
}
int ncclCommDestroy(ncclComm *communicator) { return delete communicator, --communicators, success; }
int ncclCommAbort(ncclComm *communicator) { return ncclCommDestroy(communicator); }
int ncclCommGetAsyncError(ncclComm *, int *result) { return *result = success; }
const char *ncclGetErrorString(int result) {
  return result == cudaError ? "unhandled cuda error" : result == invalidUsage ? "invalid usage" : "invalid argument";
}
const char *ncclGetLastError(ncclComm *) { return details; }

int ncclGroupStart() { return inGroup = true, success; }
int ncclGroupEnd() {
  inGroup = false;
  int result = groupsLeft >= 0 && groupsLeft-- == 0 ? fail(cudaError, "Cuda failure 'injected'") : addPending();
  pending.clear();
  return result;
}
int ncclReduce(const void *from, void *to, size_t count, int type, int operation, int root, ncclComm *communicator, void *) {
  if (!inGroup)
    return fail(invalidUsage, "one thread, no group: this would hang");
  if (operation != 0 || root != 0)
    return fail(invalidArgument, "only sums to the first rank are emulated");
  pending.push_back({from, to, count, type, communicator->rank, communicator->count});
  return success;
}

} // extern "C"
