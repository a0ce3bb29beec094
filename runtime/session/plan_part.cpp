#include "compressc/runtime/planner.h"
#include <algorithm>

namespace compressc {
namespace {

struct Place {
  size_t batch, sequence;
  bool operator==(const Place &other) const { return batch == other.batch && sequence == other.sequence; }
};

/// For each sequence of each batch, those whose slots it continues.
std::vector<std::vector<std::vector<Place>>> continuedBy(const Plan &plan) {
  std::vector<std::vector<std::vector<Place>>> continued;
  std::vector<Place> writers; // of each slot, the newest
  for (size_t b = 0; b < plan.batches.size(); ++b) {
    const std::vector<Sequence> &sequences = plan.batches[b].batch.sequences;
    continued.emplace_back(sequences.size());
    for (size_t s = 0; s < sequences.size(); ++s) { // a sequence may continue one of its batch
      size_t end = size_t(sequences[s].slotBegin) + size_t(sequences[s].rowCount);
      writers.resize(std::max(writers.size(), end));
      std::fill(writers.begin() + sequences[s].slotBegin, writers.begin() + int64_t(end), Place{b, s});
    }
    for (size_t s = 0; s < sequences.size(); ++s)
      for (SlotRange range : sequences[s].context)
        for (int32_t slot = range.begin; slot < range.begin + range.count; ++slot)
          if (continued[b][s].empty() || !(continued[b][s].back() == writers[size_t(slot)]))
            continued[b][s].push_back(writers[size_t(slot)]);
  }
  return continued;
}

/// The sequence that a row belongs to.
size_t sequenceOf(const Batch &batch, int32_t row) {
  auto after = std::upper_bound(batch.sequences.begin(), batch.sequences.end(), row,
                                [](int32_t r, const Sequence &sequence) { return r < sequence.rowBegin; });
  return size_t(after - batch.sequences.begin()) - 1;
}

/// The batch's needed sequences, and of its uses those that are wanted.
PlannedBatch partOf(const PlannedBatch &whole, const std::vector<bool> &needed, const std::vector<bool> &wanted) {
  PlannedBatch part;
  std::vector<int32_t> moved(whole.batch.sequences.size()); // from old rows to new ones
  for (size_t s = 0; s < whole.batch.sequences.size(); ++s) {
    if (!needed[s])
      continue;
    Sequence sequence = whole.batch.sequences[s];
    auto tokens = whole.batch.tokens.begin() + sequence.rowBegin;
    moved[s] = int32_t(part.batch.rows()) - sequence.rowBegin;
    sequence.rowBegin += moved[s];
    part.batch.tokens.insert(part.batch.tokens.end(), tokens, tokens + sequence.rowCount);
    part.batch.sequences.push_back(std::move(sequence));
  }
  for (size_t i = 0; i < whole.uses.size(); ++i) {
    if (!wanted[i])
      continue;
    RowUse use = whole.uses[i];
    int32_t old = whole.batch.selectedRows[size_t(use.selectedIndex)], row = old + moved[sequenceOf(whole.batch, old)];
    std::vector<int32_t> &selected = part.batch.selectedRows;
    if (selected.empty() || selected.back() != row) // uses are in the order of their rows
      selected.push_back(row);
    use.selectedIndex = int32_t(selected.size()) - 1;
    part.uses.push_back(use);
  }
  return part;
}

} // namespace

std::vector<PlannedBatch> WantedPart(const Plan &plan, const std::function<bool(const RowUse &)> &wanted) {
  std::vector<std::vector<std::vector<Place>>> continued = continuedBy(plan);
  std::vector<std::vector<bool>> needed;
  for (const PlannedBatch &planned : plan.batches)
    needed.emplace_back(planned.batch.sequences.size(), false);
  std::vector<PlannedBatch> parts(plan.batches.size());
  // What continues a sequence comes behind it.
  for (size_t b = plan.batches.size(); b-- > 0;) {
    const PlannedBatch &planned = plan.batches[b];
    std::vector<bool> wantedUses;
    for (const RowUse &use : planned.uses) {
      wantedUses.push_back(wanted(use));
      if (wantedUses.back())
        needed[b][sequenceOf(planned.batch, planned.batch.selectedRows[size_t(use.selectedIndex)])] = true;
    }
    for (size_t s = needed[b].size(); s-- > 0;)
      if (needed[b][s])
        for (Place place : continued[b][s])
          needed[place.batch][place.sequence] = true;
    parts[b] = partOf(planned, needed[b], wantedUses);
  }
  return parts;
}

} // namespace compressc
