// What `!lm.batch` is at run time: packed token rows of several sequences, each continuing a cached
// prefix that any number of sequences may share.
#pragma once

#include <cstdint>
#include <vector>

namespace compressc {

/// A run of consecutive cache slots.
struct SlotRange {
  int32_t begin = 0;
  int32_t count = 0;
};

/// `rowCount` consecutive rows of the batch that belong to one sequence. Their keys and values are
/// written to the slots [slotBegin, slotBegin + rowCount) before any attention of that layer reads
/// them, so a sequence may name rows of the same batch as its context (a trie node and its child).
struct Sequence {
  int32_t rowBegin = 0;
  int32_t rowCount = 0;
  int32_t positionBegin = 0; // position of the first row = total length of `context`
  int32_t slotBegin = 0;
  std::vector<SlotRange> context; // earlier tokens, in order; attended without a mask
};

struct Batch {
  std::vector<int32_t> tokens;       // [rows]
  std::vector<Sequence> sequences;   // tile the rows in order
  std::vector<int32_t> selectedRows; // rows whose logits are wanted (lm.select_rows), ascending
  std::vector<int32_t> answers = {}; // columns of the logits that are wanted; none: all

  int64_t rows() const { return int64_t(tokens.size()); }
};

} // namespace compressc
