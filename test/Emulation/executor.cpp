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

enum class State : uint8_t { Ready, AtWarp, AtBlock, AtBarrier, Done };

} // namespace

struct Thread {
  context::fiber self, scheduler;
  uint3 index{};
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
std::vector<uint16_t> hiders(sharedBytes / 16); // of 16 bytes: 0, or the thread whose copy products need not see, and 1
alignas(64) char published[1024 * exchangeStride]; // two places for each thread, used in turn
std::vector<std::unique_ptr<Thread>> threads;
std::vector<char *> stacks;
std::string kernelName;

char *sharedMemory() {
  static char *memory = static_cast<char *>(std::aligned_alloc(1024, sharedBytes));
  return memory;
}

/// What lies in the 8 bytes of a barrier.
struct Barrier {
  int32_t bytes;              // that are expected and have not been copied
  uint8_t count, left, phase; // arrivals of each phase, those missing; phase: its parity
};
Barrier &barrierAt(uint32_t shared) { return *reinterpret_cast<Barrier *>(sharedMemory() + shared); }

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

void prepare(size_t count, const std::function<void()> &body) {
  std::fill(hiders.begin(), hiders.end(), 0);
  while (threads.size() < count) {
    threads.push_back(std::make_unique<Thread>());
    void *stack = mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
      fail("no memory for stacks");
    stacks.push_back(static_cast<char *>(stack));
  }
  for (size_t i = 0; i < count; ++i) {
    Thread &thread = *threads[i];
    thread.index = {unsigned(i), 0, 0};
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
  threadIndex = thread.index;
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

void runBlock(size_t count, size_t shared, const std::function<void()> &body) {
  std::memset(sharedMemory(), 0xff, shared); // NaN
  prepare(count, body);
  while (true) {
    for (size_t begin = 0; begin < count; begin += 32)
      runWarp(begin, std::min(begin + 32, count));
    bool ready = false, atBarrier = false, atBlock = false;
    for (size_t i = 0; i < count; ++i) {
      Thread &thread = *threads[i];
      if (thread.state == State::AtBarrier && barrierAt(thread.barrier).phase != thread.parity) {
        thread.state = State::Ready;
        ready = true;
      }
      atBarrier |= thread.state == State::AtBarrier;
      atBlock |= thread.state == State::AtBlock;
    }
    if (ready)
      continue;
    if (atBarrier) {
      current = threads[0].get();
      fail("threads wait for a barrier that nobody ends");
    }
    if (!atBlock)
      return;
    for (size_t i = 0; i < count; ++i)
      if (threads[i]->state == State::AtBlock)
        threads[i]->state = State::Ready;
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
  size_t lane = current->index.x, place = current->turn++ % 2 * exchangeBytes;
  std::memcpy(published + lane * exchangeStride + place, data, bytes);
  SyncWarp(mask);
  return {published + lane / 32 * 32 * exchangeStride + place};
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
      hiders[copy.shared / 16] = uint16_t(current->index.x + 1);
      current->hidden.push_back(copy.shared / 16);
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
  std::fill_n(hiders.begin() + shared / 16, bytes / 16, 0);
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

void ShowCopies() {
  for (uint32_t at : current->hidden)
    hiders[at] = 0;
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
  if (uint16_t hider = hiders[at / 16])
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
  if (count == 0 || count > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 ||
      config.dynamicSmemBytes > sharedBytes)
    return SetLastError(cudaErrorInvalidConfiguration);
  if (cudaError_t error = CountLaunch(config.stream); error != cudaSuccess)
    return SetLastError(error);
  Enqueue(config.stream, [=, shared = config.dynamicSmemBytes, kernel = std::string(name)] {
    static std::mutex oneAtATime;
    std::lock_guard lock(oneAtATime);
    kernelName = kernel;
    blockSize = size, gridSize = grid;
    for (blockIndex.z = 0; blockIndex.z < grid.z; ++blockIndex.z)
      for (blockIndex.y = 0; blockIndex.y < grid.y; ++blockIndex.y)
        for (blockIndex.x = 0; blockIndex.x < grid.x; ++blockIndex.x)
          runBlock(count, shared, thread);
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
