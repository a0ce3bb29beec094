#include "batch_rows.h"

namespace compressc {
namespace {

/// first(sequence), first(sequence) + 1, … for every row.
template <typename First> std::vector<int32_t> countUp(const Batch &batch, const First &first) {
  std::vector<int32_t> numbers;
  numbers.reserve(size_t(batch.rows()));
  for (const Sequence &sequence : batch.sequences)
    for (int32_t i = 0; i < sequence.rowCount; ++i)
      numbers.push_back(int32_t(uint32_t(first(sequence)) + uint32_t(i)));
  return numbers;
}

} // namespace

std::vector<int32_t> RowPositions(const Batch &batch) {
  return countUp(batch, [](const Sequence &sequence) { return sequence.positionBegin; });
}

std::vector<int32_t> SelectedPositions(const Batch &batch) {
  std::vector<int32_t> all = RowPositions(batch), selected;
  selected.reserve(batch.selectedRows.size());
  for (int32_t row : batch.selectedRows)
    selected.push_back(all[size_t(row)]);
  return selected;
}

std::vector<int32_t> RowSlots(const Batch &batch) {
  return countUp(batch, [](const Sequence &sequence) { return sequence.slotBegin; });
}

} // namespace compressc
