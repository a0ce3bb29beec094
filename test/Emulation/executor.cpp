// Blocks of threads as fibers of one thread of the CPU.
#include "emulation.h"
#include "../../runtime/cpu/fp8.h"
#include "compressc/runtime/tensor.h"
#include "stream.h"
#include <boost/context/fiber.hpp>
#include <boost/context/preallocated.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace compressc::cuda::emulated {

namespace context = boost::context;

namespace {

constexpr size_t stackBytes = 256 << 10, sharedBytes = 228 << 10;

struct Copy {
  uint32_t shared;
  const void *global;
  bool exists;
  uint32_t bytes;
};

enum class State : uint8_t { Ready, AtWarp, AtBlock, AtBarrier, AtCluster, Done };

} // namespace

struct Thread {
  context::fiber self, scheduler;
  uint3 index{}, block{};
  int rank = 0;        // of the block in its cluster
  size_t number = 0;   // of the thread in the cluster
  unsigned arrived = 0; // how often at the cluster
  State state = State::Done;
  unsigned mask = 0; // of lanes that it waits for
  unsigned turn = 0; // exchanges so far
  uint32_t barrier = 0; // that it waits at, for the phase of this parity to end
  uint8_t parity = 0;
  std::vector<std::vector<Copy>> copies; // groups, the last one open
  std::vector<uint32_t> hidden;          // where copies are that products need not see
  std::vector<std::vector<Product>> products; // groups, the last one open
};

uint3 threadIndex{}, blockIndex{};
dim3 blockSize, gridSize;

namespace {

Thread *current = nullptr;
constexpr int mostClusterBlocks = 8;
std::vector<uint16_t> hiders(mostClusterBlocks * sharedBytes / 16); // of 16 bytes: 0, or the thread whose copy products need not see, and 1
alignas(64) char published[mostClusterBlocks * 1024 * exchangeStride]; // two places for each thread, used in turn
std::vector<std::unique_ptr<Thread>> threads;
std::vector<char *> stacks;
std::string kernelName;

/// Of a block of the cluster.
char *sharedMemory(int rank) {
  static char *memory = static_cast<char *>(std::aligned_alloc(1024, mostClusterBlocks * sharedBytes));
  return memory + size_t(rank) * sharedBytes;
}
/// Of the block whose thread runs.
char *sharedMemory() { return sharedMemory(current->rank); }
uint16_t &hiderOf(uint32_t shared) { return hiders[(size_t(current->rank) * sharedBytes + shared) / 16]; }

/// What lies in the 8 bytes of a barrier.
struct Barrier {
  int32_t bytes;              // that are expected and have not been copied
  uint8_t count, left, phase; // arrivals of each phase, those missing; phase: its parity
};
Barrier &barrierAt(uint32_t shared, int rank) { return *reinterpret_cast<Barrier *>(sharedMemory(rank) + shared); }
Barrier &barrierAt(uint32_t shared) { return barrierAt(shared, current->rank); }

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "CUDA emulation: %s, in block (%u, %u, %u), thread %u of %s\n", what.c_str(), blockIndex.x, blockIndex.y, blockIndex.z,
               current ? current->index.x : 0, kernelName.c_str());
  std::abort();
}

/// Fibers' stacks are kept for the threads to come.
struct KeptStack {
  void deallocate(context::stack_context &) {}
};

void yield(State state) {
  current->state = state;
  Thread *self = current;
  self->scheduler = std::move(self->scheduler).resume();
}

/// Threads of blocks from `first` on, `each` of a block.
void prepare(size_t count, size_t each, uint3 first, const std::function<void()> &body) {
  std::fill_n(hiders.begin(), count / each * sharedBytes / 16, 0);
  while (threads.size() < count) {
    threads.push_back(std::make_unique<Thread>());
    void *stack = mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
      fail("no memory for stacks");
    stacks.push_back(static_cast<char *>(stack));
  }
  for (size_t i = 0; i < count; ++i) {
    Thread &thread = *threads[i];
    thread.index = {unsigned(i % each), 0, 0};
    thread.rank = int(i / each), thread.number = i, thread.arrived = 0;
    thread.block = {first.x + unsigned(thread.rank), first.y, first.z};
    thread.state = State::Ready;
    thread.turn = 0;
    thread.copies.assign(1, {});
    thread.hidden.clear();
    thread.products.assign(1, {});
    context::stack_context stack;
    stack.size = stackBytes;
    stack.sp = stacks[i] + stackBytes;
    thread.self = context::fiber(std::allocator_arg, context::preallocated(stack.sp, stack.size, stack), KeptStack{},
                                 [&thread, &body](context::fiber &&scheduler) {
                                   thread.scheduler = std::move(scheduler);
                                   body();
                                   if (thread.copies.size() > 1 || !thread.copies[0].empty())
                                     fail("a thread ends while copies are under way");
                                   if (thread.products.size() > 1 || !thread.products[0].empty())
                                     fail("a thread ends while products are under way");
                                   thread.state = State::Done;
                                   return std::move(thread.scheduler);
                                 });
  }
}

void resume(Thread &thread) {
  current = &thread;
  threadIndex = thread.index, blockIndex = thread.block;
  thread.self = std::move(thread.self).resume();
  current = nullptr;
}

/// Runs a warp until all its threads have ended or wait for the block.
void runWarp(size_t begin, size_t end) {
  while (true) {
    bool ran = false, waiting = false;
    for (size_t i = begin; i < end; ++i)
      if (threads[i]->state == State::Ready) {
        resume(*threads[i]);
        ran = true;
      }
    // Lanes go on when every lane that they wait for is there too, or has ended.
    for (size_t i = begin; i < end; ++i) {
      Thread &thread = *threads[i];
      if (thread.state != State::AtWarp)
        continue;
      waiting = true;
      bool all = true;
      for (size_t j = begin; j < end; ++j)
        all &= !(thread.mask >> (j - begin) & 1) || threads[j]->state == State::Done ||
               (threads[j]->state == State::AtWarp && threads[j]->mask == thread.mask);
      if (!all)
        continue;
      for (size_t j = begin; j < end; ++j)
        if (threads[j]->state == State::AtWarp && thread.mask >> (j - begin) & 1)
          threads[j]->state = State::Ready;
      ran = true;
    }
    if (!ran) {
      bool elsewhere = false; // at a barrier, which other warps may end
      for (size_t i = begin; i < end; ++i)
        elsewhere |= threads[i]->state == State::AtBarrier;
      if (waiting && !elsewhere) {
        current = threads[begin].get();
        fail("lanes of a warp wait for lanes that are elsewhere");
      }
      return;
    }
  }
}

/// Whether a thread at a barrier, or that waits for its block or cluster, can go on; it does.
bool release(size_t count, size_t each) {
  bool any = false;
  auto some = [&](size_t begin, size_t end, auto is) { return std::any_of(threads.begin() + long(begin), threads.begin() + long(end), is); };
  auto ready = [&](Thread &thread) { thread.state = State::Ready, any = true; };
  for (size_t i = 0; i < count; ++i)
    if (Thread &thread = *threads[i]; thread.state == State::AtBarrier && barrierAt(thread.barrier, thread.rank).phase != thread.parity)
      ready(thread);
  if (any)
    return true;
  for (size_t begin = 0; begin < count; begin += each) {
    if (some(begin, begin + each, [](auto &thread) { return thread->state == State::AtBarrier || thread->state == State::AtCluster; }))
      continue;
    for (size_t i = begin; i < begin + each; ++i)
      if (threads[i]->state == State::AtBlock)
        ready(*threads[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    Thread &thread = *threads[i];
    auto missing = [&](auto &other) { return other->state != State::Done && other->arrived < thread.arrived; };
    if (thread.state == State::AtCluster && !some(0, count, missing))
      ready(thread);
  }
  return any;
}

/// The blocks of a cluster, of `each` threads, together.
void runCluster(size_t blocks, size_t each, uint3 first, size_t shared, const std::function<void()> &body) {
  size_t count = blocks * each;
  for (size_t rank = 0; rank < blocks; ++rank)
    std::memset(sharedMemory(int(rank)), 0xff, shared); // NaN
  prepare(count, each, first, body);
  do
    for (size_t block = 0; block < count; block += each)
      for (size_t begin = 0; begin < each; begin += 32)
        runWarp(block + begin, block + std::min(begin + 32, each));
  while (release(count, each));
  for (size_t i = 0; i < count; ++i)
    if (threads[i]->state != State::Done) {
      current = threads[i].get();
      fail("threads wait for a barrier that nobody ends");
    }
}

} // namespace

char *DynamicSharedMemory() { return sharedMemory(); }

void SyncThreads() { yield(State::AtBlock); }

void SyncWarp(unsigned mask) {
  current->mask = mask;
  yield(State::AtWarp);
}

Exchanged Exchange(unsigned mask, const void *data, size_t bytes) {
  if (bytes > exchangeBytes)
    fail("too much is exchanged");
  // Two places in turn: a lane may publish again before the others have read.
  size_t lane = current->number, place = current->turn++ % 2 * exchangeBytes;
  std::memcpy(published + lane * exchangeStride + place, data, bytes);
  SyncWarp(mask);
  size_t firstLane = lane - current->index.x % 32;
  return {published + firstLane * exchangeStride + place};
}

void CopyLater(uint32_t shared, const void *global, bool exists, uint32_t bytes) {
  current->copies.back().push_back({shared, global, exists, bytes});
}
void EndGroup() { current->copies.emplace_back(); }

void WaitForGroups(int open) {
  auto &groups = current->copies;
  while (groups.size() > size_t(open) + 1) {
    for (const Copy &copy : groups.front()) {
      if (copy.shared % copy.bytes || reinterpret_cast<uintptr_t>(copy.global) % copy.bytes)
        fail("a copy to shared memory is not aligned");
      char *to = sharedMemory() + copy.shared;
      if (copy.exists)
        std::memcpy(to, copy.global, copy.bytes);
      else
        std::memset(to, 0, copy.bytes);
      hiderOf(copy.shared) = uint16_t(current->index.x + 1);
      current->hidden.push_back(copy.shared);
    }
    groups.erase(groups.begin());
  }
}

void InitBarrier(uint32_t barrier, uint32_t count) { barrierAt(barrier) = {0, uint8_t(count), uint8_t(count), 0}; }

namespace {

void endPhase(Barrier &barrier) {
  if (barrier.left == 0 && barrier.bytes == 0) {
    barrier.left = barrier.count;
    barrier.phase ^= 1;
  }
}

} // namespace

void ArriveExpecting(uint32_t barrier, uint32_t bytes) {
  Barrier &at = barrierAt(barrier);
  if (at.left == 0)
    fail("a barrier has more arrivals than its count");
  at.bytes += int32_t(bytes);
  --at.left;
  endPhase(at);
}
void Arrive(uint32_t barrier) { ArriveExpecting(barrier, 0); }

void CopyBulk(uint32_t shared, const void *global, uint32_t bytes, uint32_t barrier) {
  if (shared % 16 || reinterpret_cast<uintptr_t>(global) % 16 || bytes % 16)
    fail("a bulk copy to shared memory is not aligned");
  std::memcpy(sharedMemory() + shared, global, bytes);
  std::fill_n(&hiderOf(shared), bytes / 16, 0);
  Barrier &at = barrierAt(barrier);
  at.bytes -= int32_t(bytes);
  endPhase(at);
}

void WaitForPhase(uint32_t barrier, uint32_t parity) {
  while (barrierAt(barrier).phase == parity) {
    current->barrier = barrier, current->parity = uint8_t(parity);
    yield(State::AtBarrier);
  }
}

void ArriveAtCluster() { ++current->arrived; }
void WaitForCluster() { yield(State::AtCluster); }
void StoreInCluster(float4 *shared, int rank, float4 v) {
  std::memcpy(sharedMemory(rank) + (reinterpret_cast<char *>(shared) - sharedMemory()), &v, sizeof v);
}

void ShowCopies() {
  for (uint32_t at : current->hidden)
    hiderOf(at) = 0;
  current->hidden.clear();
}

void MultiplyLater(const Product &product) { current->products.back().push_back(product); }
void EndProducts() { current->products.emplace_back(); }

namespace {

int operandBytes(const Product &product) { return product.operands == Operands::E4M3 ? 1 : 2; }
float valueOf(uint32_t bits, Operands operands) {
  switch (operands) {
  case Operands::E4M3: return E4M3ToFloat(uint8_t(bits));
  case Operands::Half: return HalfToFloat(uint16_t(bits));
  default: return BFloat16ToFloat(uint16_t(bits));
  }
}

/// Element k of row `row` of a matrix whose descriptor PTX defines: bits 0-13 address, 16-29 leading and 32-45 stride offset,
/// all without their last four bits; 49-51 base offset; 62-63 swizzling: 0 none, and 1 that of 128 bytes, which is of
/// addresses: their bits 4-6 are combined with bits 7-9. `transposed`: rows of the matrix are k's.
float elementOf(const Product &product, uint64_t matrix, bool transposed, int k, int row) {
  uint64_t swizzling = matrix >> 62;
  if (swizzling > 1 || matrix >> 49 & 7 || (swizzling == 0 && transposed))
    fail("a matrix of a product is laid out in a way that is not emulated");
  auto offset = [&](int bit) { return uint32_t(matrix >> bit & 0x3fff) << 4; };
  int bytes = operandBytes(product);
  uint32_t at = offset(0);
  if (!swizzling) // eight rows of 16 bytes
    at += uint32_t(k * bytes % 16 + row % 8 * 16) + uint32_t(k * bytes / 16) * offset(16) + uint32_t(row / 8) * offset(32);
  else if (transposed) // rows of 64 columns, eight after eight, in panels
    at += uint32_t(row % 64 * 2 + k % 8 * 128) + uint32_t(row / 64) * offset(16) + uint32_t(k / 8) * offset(32);
  else // eight rows after eight
    at += uint32_t(k * bytes + row % 8 * 128) + uint32_t(row / 8) * offset(32);
  if (swizzling)
    at ^= (at >> 7 & 7) << 4;
  if (uint16_t hider = hiderOf(at))
    fail("products need not see what thread " + std::to_string(hider - 1) + " has copied");
  uint16_t bits = 0;
  std::memcpy(&bits, sharedMemory() + at, size_t(bytes));
  return valueOf(bits, product.operands);
}

/// Rows of a and c lie in warps as MultiplyTiles has them, so that a warp needs no other.
void multiply(const Product &product) {
  Exchanged all = Exchange(~0u, product.a, sizeof product.a);
  int lane = Lane(), g = lane / 4, t = lane % 4, bytes = operandBytes(product), perWord = 4 / bytes, depth = 32 / bytes;
  float a[2][32]; // rows g and g + 8
  for (int part = 0; part < 4; ++part) {
    uint32_t words[4];
    std::memcpy(words, all[g * 4 + part], sizeof words);
    for (int i = 0; i < 4; ++i)
      for (int which = 0; which < perWord; ++which)
        a[i % 2][i / 2 * (depth / 2) + part * perWord + which] = valueOf(words[i] >> (8 * bytes * which), product.operands);
  }
  for (int column = 0; column < product.columns / 4; ++column) {
    int n = column / 2 * 8 + t * 2 + column % 2;
    float sums[2] = {};
    for (int k = 0; k < depth; ++k) {
      float b = elementOf(product, product.b, product.transposed, k, n);
      sums[0] += a[0][k] * b;
      sums[1] += a[1][k] * b;
    }
    for (int r = 0; r < 2; ++r) {
      float &c = product.c[column / 2 * 4 + r * 2 + column % 2];
      c = product.add ? c + sums[r] : sums[r];
    }
  }
}

} // namespace

void WaitForProductGroups(int open) {
  if (blockSize.x % 128)
    fail("a warpgroup has 128 threads");
  auto &groups = current->products;
  while (groups.size() > size_t(open) + 1) {
    for (const Product &product : groups.front())
      multiply(product);
    groups.erase(groups.begin());
  }
}

void Start(const cudaLaunchConfig_t &config, const char *name, std::function<void()> thread) {
  dim3 grid = config.gridDim, size = config.blockDim;
  size_t count = size_t(size.x) * size.y * size.z;
  unsigned cluster = 1; // blocks
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == cudaLaunchAttributeClusterDimension)
      cluster = config.attrs[i].val.clusterDim.x;
  if (count == 0 || count > 1024 || cluster == 0 || cluster > mostClusterBlocks || grid.x % cluster || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 ||
      config.dynamicSmemBytes > sharedBytes)
    return SetLastError(cudaErrorInvalidConfiguration);
  if (cudaError_t error = CountLaunch(config.stream); error != cudaSuccess)
    return SetLastError(error);
  Enqueue(config.stream, [=, shared = config.dynamicSmemBytes, kernel = std::string(name)] {
    static std::mutex oneAtATime;
    std::lock_guard lock(oneAtATime);
    kernelName = kernel;
    blockSize = size, gridSize = grid;
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; x += cluster)
          runCluster(cluster, count, {x, y, z}, shared, thread);
  });
}

} // namespace compressc::cuda::emulated

namespace compressc::cuda {
namespace {

template <typename Half> float value(uint32_t pair, int which) {
  auto bits = uint16_t(pair >> (16 * which));
  return std::is_same_v<Half, __half> ? HalfToFloat(bits) : BFloat16ToFloat(bits);
}

template <typename T> T part(const char *lane, size_t offset) {
  T value;
  std::memcpy(&value, lane + offset, sizeof value);
  return value;
}

/// 16 bits of matrix m.
uint16_t &element(const emulated::Exchanged &rows, int m, int row, int column) {
  auto address = part<uint32_t>(rows[m * 8 + row], 0);
  return reinterpret_cast<uint16_t *>(emulated::DynamicSharedMemory() + address)[column];
}

} // namespace

void LoadMatrices(uint32_t (&r)[4], uint32_t shared) {
  emulated::Exchanged rows = emulated::Exchange(~0u, &shared, sizeof shared);
  int lane = emulated::Lane();
  for (int m = 0; m < 4; ++m)
    r[m] = element(rows, m, lane / 4, lane % 4 * 2) | uint32_t(element(rows, m, lane / 4, lane % 4 * 2 + 1)) << 16;
}

void LoadTransposed(uint32_t (&r)[4], uint32_t shared) {
  emulated::Exchanged rows = emulated::Exchange(~0u, &shared, sizeof shared);
  int lane = emulated::Lane();
  for (int m = 0; m < 4; ++m)
    r[m] = element(rows, m, lane % 4 * 2, lane / 4) | uint32_t(element(rows, m, lane % 4 * 2 + 1, lane / 4)) << 16;
}

void StoreTransposed(uint32_t shared, const uint32_t (&r)[4]) {
  emulated::Exchanged rows = emulated::Exchange(~0u, &shared, sizeof shared);
  int lane = emulated::Lane();
  for (int m = 0; m < 4; ++m)
    for (int i = 0; i < 2; ++i)
      element(rows, m, lane % 4 * 2 + i, lane / 4) = uint16_t(r[m] >> 16 * i);
}

namespace {

/// Calls add(element of c, row 0 or 1 of a, what its lanes have, what the column's have) for each of this lane's elements
/// and each lane that has a part of the depth: row r of a lies in lanes r % 8 * 4 …, column n of b in lanes n * 4 ….
template <typename Fragment, typename Add> void forEachPair(const Fragment &mine, Add add) {
  emulated::Exchanged all = emulated::Exchange(~0u, &mine, sizeof mine);
  int lane = emulated::Lane(), g = lane / 4, t = lane % 4;
  Fragment row, column;
  for (int part = 0; part < 4; ++part) {
    std::memcpy(&row, all[g * 4 + part], sizeof row);
    for (int n = 0; n < 2; ++n) {
      std::memcpy(&column, all[(t * 2 + n) * 4 + part], sizeof column);
      for (int r = 0; r < 2; ++r)
        add(r * 2 + n, r, row, column);
    }
  }
}

} // namespace

template <typename Half> void MultiplyTiles(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  // Each lane has columns of a (rows of b) 2t, 2t + 1 and 8 more of them.
  struct Fragment {
    float a[2][4]; // of row g and of row g + 8
    float b[4];
  } mine;
  uint32_t b[2] = {b0, b1};
  for (int i = 0; i < 4; ++i) {
    for (int r = 0; r < 2; ++r)
      mine.a[r][i] = value<Half>(a[r + i / 2 * 2], i % 2);
    mine.b[i] = value<Half>(b[i / 2], i % 2);
  }
  forEachPair(mine, [&](int at, int r, const Fragment &row, const Fragment &column) {
    for (int i = 0; i < 4; ++i)
      c[at] += row.a[r][i] * column.b[i];
  });
}
void MultiplyBytes(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  // Four neighbours of the depth for each lane, and 16 more.
  struct Fragment {
    uint32_t a[4], b[2];
  } mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  forEachPair(mine, [&](int at, int r, const Fragment &row, const Fragment &column) {
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 32; i += 8)
        c[at] += int(uint8_t(row.a[half * 2 + r] >> i)) * int(int8_t(column.b[half] >> i));
  });
}

template void MultiplyTiles<__nv_bfloat16>(float (&)[4], const uint32_t (&)[4], uint32_t, uint32_t);
template void MultiplyTiles<__half>(float (&)[4], const uint32_t (&)[4], uint32_t, uint32_t);

} // namespace compressc::cuda
