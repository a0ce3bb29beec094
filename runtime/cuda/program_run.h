// What an emitted CUDA program works on, and what it leaves to the device. Plain types: the source that compressc
// emits is compiled by nvcc with these headers and the CUDA toolkit alone.
#pragma once

#include "../ops/model_operands.h"
#include "kernels.h"
#include <cstddef>
#include <initializer_list>

namespace compressc::cuda::program {

using compressc::Compute;

/// An operand of `call`.
struct Operand {
  enum class Kind : uint8_t { Weight, Value, TokenIds };
  Kind kind;
  int weight;     // its place in the schedule's list
  int64_t offset; // of a value: its first byte in the arena
  int columns;
  bool selected;
  DType type;
};
/// The batch's tokens.
constexpr Operand tokenIds{Operand::Kind::TokenIds, 0, 0, 0, false, DType::I32};

/// An attribute of `call`.
struct Constant {
  enum class Kind : uint8_t { Integer, Real, Text };
  const char *name;
  Kind kind;
  int64_t integer;
  double real;
  const char *text;
  constexpr Constant(const char *name, int integer) : name(name), kind(Kind::Integer), integer(integer), real(0), text(nullptr) {}
  constexpr Constant(const char *name, double real) : name(name), kind(Kind::Real), integer(0), real(real), text(nullptr) {}
  constexpr Constant(const char *name, const char *text) : name(name), kind(Kind::Text), integer(0), real(0), text(text) {}
};

/// What depends on more than a kernel: the table, memory, cuBLASLt.
class Services {
public:
  virtual void call(const char *kernel, std::initializer_list<Operand> inputs, std::initializer_list<Operand> outputs,
                    std::initializer_list<Constant> constants) = 0;
  /// `answers`: only the columns that the batch names as answers, if it names any.
  virtual void linear(LinearOperands &operands, bool answers) = 0;
  virtual void attention(const AttentionOperands &operands) = 0;
  /// On the device; `host` stays where it is.
  virtual const float *frequencies(const float *host, int count) = 0;
  /// Room for x of a product of few rows, in 16 bits.
  virtual void *rowScratch(int64_t bytes) = 0;

protected:
  ~Services() = default;
};

/// One run of an entry point.
struct Run {
  cudaStream_t stream;
  uint8_t *arena;
  int64_t tokens, selected; // rows of the batch
  const int32_t *positions, *selectedPositions;
  const WeightMatrix *weights; // as the schedule's weights, where they have two dimensions
  const Matrix *matrices;      // the same
  const float *const *vectors; // where they have one
  const CacheView *caches;     // as the schedule's
  DType half;                   // what the device has as bf16
  Services &device;
};

struct Entry {
  const char *name;
  void (*run)(Run &);
};

/// What an emitted source defines, as `compressc_cuda_program`.
struct Program {
  const char *schedule; // digest of the schedule that it was emitted from (ScheduleDigest)
  const Entry *entries;
  size_t entryCount;
};

} // namespace compressc::cuda::program
