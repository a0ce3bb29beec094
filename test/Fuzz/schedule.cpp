// A serialised schedule. One that passes the checks is run, on made-up weights: the kernels must hold against
// whatever operands and attributes it gives them.
#include "compressc/runtime/session.h"
#include "fuzz.h"
#include "runtime/session/schedule_check.h"
#include <vector>

using namespace compressc;

namespace {

constexpr int64_t mostBytes = 16 << 20; // of weights and of the arena: more is only slow

bool isSmall(const Schedule &schedule) {
  int64_t bytes = schedule.arenaBytes, work = 0;
  for (const WeightDecl &weight : schedule.weights)
    bytes += CheckedBytes(weight.dtype, weight.shape, weight.packed).value_or(mostBytes);
  for (const CacheDecl &cache : schedule.caches)
    bytes += cache.heads * cache.dim * 8 * schedule.maxTokens;
  for (const EntryPoint &entry : schedule.entries)
    work += int64_t(entry.calls.size());
  return bytes <= mostBytes && work <= 256 && schedule.maxTokens <= 1024;
}

Batch smallBatch(int64_t rows, int64_t selected) {
  Batch batch;
  for (int64_t row = 0; row < rows; ++row)
    batch.tokens.push_back(int32_t(row % 7));
  batch.sequences = {{0, int32_t(rows), 0, 0, {}}};
  for (int64_t row = 0; row < std::min(rows, selected); ++row)
    batch.selectedRows.push_back(int32_t(row));
  return batch;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto schedule = ParseSchedule(fuzz::AsText(data, size));
  if (!schedule.ok() || !isSmall(*schedule))
    return 0;
  if (!ParseSchedule(SerializeSchedule(*schedule)).ok())
    std::abort(); // what is written can be read
  std::vector<std::vector<uint64_t>> memory;
  auto resolver = [&](const WeightDecl &decl) -> StatusOr<Tensor> {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t bytes, CheckedBytes(decl.dtype, decl.shape, decl.packed));
    memory.emplace_back(size_t(bytes) / 8 + 9, 0x3c003a0038003400);
    Tensor tensor;
    tensor.dtype = decl.dtype;
    tensor.shape = decl.shape;
    tensor.data = memory.back().data();
    if (decl.dtype == DType::Packed) {
      PackedSizes sizes = GetPackedSizes(decl.shape[0], decl.shape[1], decl.packed);
      tensor.packed = decl.packed;
      tensor.scales = tensor.as<uint8_t>() + sizes.scalesOffset;
      tensor.zeros = decl.packed.symmetric ? nullptr : tensor.as<uint8_t>() + sizes.zerosOffset;
    }
    return tensor;
  };
  static ThreadPool pool(1);
  auto session = Session::Create(*schedule, resolver, pool);
  if (!session.ok())
    return 0;
  for (const EntryPoint &entry : (*session)->schedule().entries) {
    if (!entry.inputs.empty())
      continue;
    for (int64_t rows : {1, 3}) {
      Batch batch = smallBatch(std::min(rows, (*session)->schedule().maxTokens), (*session)->schedule().maxSelected);
      if ((*session)->run(entry, batch.tokens.empty() ? nullptr : &batch).ok())
        for (size_t i = 0; i < entry.outputs.size(); ++i)
          (void)(*session)->output(entry, i);
    }
  }
  return 0;
}
