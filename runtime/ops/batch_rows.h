// What kernels ask of a batch's rows, on the CPU and on devices alike.
#pragma once

#include "compressc/runtime/batch.h"
#include <cstddef>

namespace compressc {

/// The position of every row in its sequence.
std::vector<int32_t> RowPositions(const Batch &batch);
/// Those of the selected rows.
std::vector<int32_t> SelectedPositions(const Batch &batch);
/// The cache slot of every row.
std::vector<int32_t> RowSlots(const Batch &batch);

/// Calls f(sequence, query, count, position) for each run of neighbouring queries of one sequence: its index, the
/// first of the run's rows among the queries, how many there are, and the position of the first. Queries are the
/// batch's rows, or with `selected` its selected rows.
template <typename F> void ForEachQueryRun(const Batch &batch, bool selected, const F &f) {
  const std::vector<int32_t> &rows = batch.selectedRows;
  size_t next = 0; // of the selected rows
  for (size_t i = 0; i < batch.sequences.size(); ++i) {
    const Sequence &sequence = batch.sequences[i];
    if (!selected) {
      f(i, int64_t(sequence.rowBegin), int64_t(sequence.rowCount), int64_t(sequence.positionBegin));
      continue;
    }
    int32_t end = sequence.rowBegin + sequence.rowCount;
    while (next < rows.size() && rows[next] < end) {
      size_t first = next;
      while (++next < rows.size() && rows[next] == rows[next - 1] + 1 && rows[next] < end) {
      }
      f(i, int64_t(first), int64_t(next - first), int64_t(sequence.positionBegin) + rows[first] - sequence.rowBegin);
    }
  }
}

} // namespace compressc
