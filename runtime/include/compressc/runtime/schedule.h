// The serialised form of the exec dialect: buffers in a planned arena, kernel calls with constant
// attributes, entry points. Nothing in it is specific to a model. Stored as JSON behind `run`.
#pragma once

#include "compressc/runtime/kernel.h"
#include "compressc/runtime/status.h"
#include "compressc/runtime/tensor.h"
#include <string>
#include <vector>

namespace compressc {

/// How many rows a buffer has in a given batch.
enum class Rows : uint8_t { Fixed, Tokens, Selected };

struct WeightDecl {
  /// Name in the weight store. Packed: the module path P, whose tensors are P.weight_packed,
  /// P.weight_scale and P.weight_zero_point.
  std::string key;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  PackedFormat packed;
  /// Not 0: the weight is fp32, the store's tensor of type `stored` plus this.
  double plus = 0;
  DType stored = DType::F32;
};

struct BufferDecl {
  Rows rows = Rows::Fixed;
  DType dtype = DType::F32;
  /// Without the leading dynamic dimension when rows is not Fixed.
  std::vector<int64_t> shape;
  PackedFormat packed;
  /// Byte offset in the arena, or -1: bound to an input of the entry point.
  int64_t offset = -1;
  /// Zeroed once when the session starts and kept between runs (accumulators).
  bool state = false;
};

struct CacheDecl {
  int64_t heads = 0;
  int64_t dim = 0;
};

struct Operand {
  enum class Kind : uint8_t { Weight, Buffer, Cache, Tokens };
  Kind kind = Kind::Buffer;
  int32_t index = 0;
};

struct Call {
  std::string kernel;
  std::vector<Operand> inputs; // caches among them are passed apart, in order
  std::vector<Operand> outputs;
  Attributes attributes;
};

struct EntryPoint {
  std::string name;
  std::vector<int32_t> inputs;  // buffers the caller binds
  std::vector<int32_t> outputs; // buffers the caller reads
  std::vector<Call> calls;
};

struct Schedule {
  int64_t maxTokens = 0;   // rows of a batch that the arena is planned for
  int64_t maxSelected = 0; // selected rows that it is planned for
  int64_t arenaBytes = 0;
  std::vector<WeightDecl> weights;
  std::vector<BufferDecl> buffers;
  std::vector<CacheDecl> caches;
  std::vector<EntryPoint> entries;

  const EntryPoint *find(std::string_view name) const;
};

/// Untrusted input: everything is checked (indices, sizes, kernel names, offsets inside the arena).
StatusOr<Schedule> ParseSchedule(std::string_view json);
std::string SerializeSchedule(const Schedule &schedule);
/// 16 hexadecimal digits that differ when the serialised schedules do (FNV-1a, 64 bits).
std::string ScheduleDigest(const Schedule &schedule);

} // namespace compressc
