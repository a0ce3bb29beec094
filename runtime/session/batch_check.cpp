#include "batch_check.h"
#include <algorithm>
#include <limits>

namespace compressc {
namespace {

Status checkSlots(SlotRange range, int64_t cacheSlots) {
  if (range.begin < 0 || range.count < 1 || int64_t(range.begin) + range.count > cacheSlots)
    return Invalid("slots ", range.begin, "+", range.count, " are not in the cache of ",
                   cacheSlots);
  return absl::OkStatus();
}

Status checkSequence(const Sequence &sequence, int64_t row, const BatchLimits &limits) {
  if (sequence.rowBegin != row || sequence.rowCount < 1)
    return Invalid("rows ", sequence.rowBegin, "+", sequence.rowCount,
                   " do not continue the sequence before, which ends at row ", row);
  COMPRESSC_RETURN_IF_ERROR(checkSlots({sequence.slotBegin, sequence.rowCount}, limits.cacheSlots));
  int64_t length = 0;
  for (SlotRange range : sequence.context) {
    COMPRESSC_RETURN_IF_ERROR(checkSlots(range, limits.cacheSlots));
    length += range.count;
  }
  if (sequence.positionBegin != length)
    return Invalid("begins at position ", sequence.positionBegin, " after a context of ", length);
  if (length + sequence.rowCount > std::numeric_limits<int32_t>::max())
    return Invalid("positions exceed 32 bits");
  return absl::OkStatus();
}

/// Rows are written in any order, so no two may have one slot.
Status checkSlotsDistinct(const Batch &batch) {
  std::vector<SlotRange> own;
  own.reserve(batch.sequences.size());
  for (const Sequence &sequence : batch.sequences)
    own.push_back({sequence.slotBegin, sequence.rowCount});
  std::sort(own.begin(), own.end(), [](SlotRange a, SlotRange b) { return a.begin < b.begin; });
  for (size_t i = 1; i < own.size(); ++i)
    if (own[i].begin - own[i - 1].begin < own[i - 1].count)
      return Invalid("batch: slot ", own[i].begin, " is written by two sequences");
  return absl::OkStatus();
}

} // namespace

Status CheckBatch(const Batch &batch, const BatchLimits &limits) {
  int64_t rows = batch.rows(), selected = int64_t(batch.selectedRows.size());
  if (rows < 1 || rows > limits.maxTokens)
    return Invalid("batch: ", rows, " rows, the schedule is planned for 1..", limits.maxTokens);
  if (selected > limits.maxSelected)
    return Invalid("batch: ", selected, " selected rows, the schedule is planned for at most ",
                   limits.maxSelected);
  for (int64_t row = 0; row < rows; ++row)
    if (batch.tokens[row] < 0)
      return Invalid("batch: token ", batch.tokens[row], " of row ", row, " is negative");
  int64_t row = 0;
  for (size_t i = 0; i < batch.sequences.size(); ++i) {
    Status status = checkSequence(batch.sequences[i], row, limits);
    if (!status.ok())
      return WithContext(status, absl::StrCat("batch: sequence ", i));
    row += batch.sequences[i].rowCount;
  }
  if (row != rows)
    return Invalid("batch: its sequences have ", row, " rows, its tokens ", rows);
  COMPRESSC_RETURN_IF_ERROR(checkSlotsDistinct(batch));
  int64_t previous = -1;
  for (int32_t wanted : batch.selectedRows) {
    if (wanted <= previous || wanted >= rows)
      return Invalid("batch: selected row ", wanted, " is not ascending or not below ", rows);
    previous = wanted;
  }
  return absl::OkStatus();
}

} // namespace compressc
