#include "compressc/runtime/planner.h"
#include "slot_allocator.h"
#include "token_trie.h"
#include <algorithm>
#include <limits>
#include <utility>

namespace compressc {
namespace {

Status checkLimits(const PlannerLimits &limits, bool anyWanted) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (limits.maxTokens < 1 || limits.maxTokens > most)
    return Invalid("planner: maxTokens is ", limits.maxTokens, ", it must be in 1..", most);
  if (limits.cacheSlots < 1 || limits.cacheSlots > most)
    return Invalid("planner: cacheSlots is ", limits.cacheSlots, ", it must be in 1..", most);
  if (limits.maxSelected < (anyWanted ? 1 : 0))
    return Invalid("planner: maxSelected is ", limits.maxSelected,
                   ", but logits are wanted; it must be at least 1");
  return absl::OkStatus();
}

Status checkRequest(const Request &request, size_t index, const PlannerLimits &limits) {
  int64_t size = int64_t(request.tokens.size());
  if (size == 0)
    return Invalid("request ", index, " has no tokens; give every request at least one");
  if (size > limits.cacheSlots)
    return Invalid("request ", index, " has ", size, " tokens, but the KV cache has only ",
                   limits.cacheSlots, " slots; shorten the request or enlarge the cache");
  int64_t previous = -1;
  for (int32_t position : request.wanted) {
    if (position < 0 || position >= size)
      return Invalid("request ", index, " wants the logits at position ", position,
                     ", but its positions are 0..", size - 1);
    if (position <= previous)
      return Invalid("request ", index, " wants position ", position, " after position ", previous,
                     "; wanted positions must be ascending");
    previous = position;
  }
  return absl::OkStatus();
}

/// Appends a range, joined with the last one when it continues it.
void appendRange(std::vector<SlotRange> &ranges, SlotRange range) {
  if (!ranges.empty() && ranges.back().begin + ranges.back().count == range.begin)
    ranges.back().count += range.count;
  else
    ranges.push_back(range);
}

/// Walks the trie depth first and packs its tokens into batches.
class Packer {
public:
  Packer(const std::vector<Request> &requests, const TokenTrie &trie, const PlannerLimits &limits)
      : requests(requests), trie(trie), limits(limits), slots(int32_t(limits.cacheSlots)) {}

  std::vector<PlannedBatch> pack() {
    for (size_t i = 0; i < trie.nodes.size(); ++i) {
      leaveFinished(trie.nodes[i].begin);
      enter(i);
    }
    closeBatch();
    return std::move(batches);
  }

private:
  /// The path from the root: what of `context` each of its nodes owns.
  struct PathNode {
    int32_t end;        // position after its last token
    size_t contextSize; // ranges before it
    int32_t lastCount;  // length of the last of these, before this node was joined to it
    std::vector<SlotRange> slots;
  };

  void leaveFinished(int32_t begin) {
    while (!path.empty() && path.back().end > begin) {
      PathNode &node = path.back();
      for (SlotRange range : node.slots)
        slots.giveBack(range);
      context.resize(node.contextSize);
      if (!context.empty())
        context.back().count = node.lastCount;
      path.pop_back();
    }
  }

  void enter(size_t index) {
    const TrieNode &node = trie.nodes[index];
    path.push_back({node.end, context.size(), context.empty() ? 0 : context.back().count, {}});
    const TrieUse *use = trie.uses.data() + trie.useBegin[index];
    const TrieUse *useEnd = trie.uses.data() + trie.useBegin[index + 1];
    for (int32_t position = node.begin; position < node.end;) {
      int32_t count = rowsThatFit(position, node.end, use, useEnd);
      SlotRange range = count > 0 ? slots.take(count) : SlotRange{};
      if (range.count == 0) {
        // The path without this node is shorter than a request, so closing always makes room.
        closeBatch();
        continue;
      }
      addRows(node, position, range);
      position += range.count;
      use = addUses(position, use, useEnd);
    }
  }

  /// How many of the rows [position, end) the current batch takes, slots aside.
  int32_t rowsThatFit(int32_t position, int32_t end, const TrieUse *use,
                      const TrieUse *useEnd) const {
    int64_t fit = std::min<int64_t>(end - position, limits.maxTokens - current.batch.rows());
    int64_t selected = int64_t(current.batch.selectedRows.size());
    for (int32_t last = -1; use != useEnd && use->position < position + fit; ++use) {
      if (use->position == last)
        continue;
      last = use->position;
      if (++selected > limits.maxSelected)
        return last - position;
    }
    return int32_t(fit);
  }

  void addRows(const TrieNode &node, int32_t position, SlotRange range) {
    Batch &batch = current.batch;
    const int32_t *tokens = requests[node.request].tokens.data() + position;
    int32_t rowBegin = int32_t(batch.rows());
    batch.tokens.insert(batch.tokens.end(), tokens, tokens + range.count);
    // A first child in the slots right behind its parent's continues the parent's sequence.
    Sequence *last = batch.sequences.empty() ? nullptr : &batch.sequences.back();
    if (last && lastPosition == position && last->slotBegin + last->rowCount == range.begin)
      last->rowCount += range.count;
    else
      batch.sequences.push_back({rowBegin, range.count, position, range.begin, context});
    lastPosition = position + range.count;
    appendRange(context, range);
    appendRange(path.back().slots, range);
  }

  /// Selects the wanted ones among the rows just added, which end before `position`.
  const TrieUse *addUses(int32_t position, const TrieUse *use, const TrieUse *useEnd) {
    std::vector<int32_t> &selected = current.batch.selectedRows;
    for (; use != useEnd && use->position < position; ++use) {
      int32_t row = int32_t(current.batch.rows()) - (position - use->position);
      if (selected.empty() || selected.back() != row)
        selected.push_back(row);
      current.uses.push_back({int32_t(selected.size()) - 1, use->request, use->position});
    }
    return use;
  }

  void closeBatch() {
    if (current.batch.rows() > 0)
      batches.push_back(std::exchange(current, {}));
    slots.reclaim();
  }

  const std::vector<Request> &requests;
  const TokenTrie &trie;
  const PlannerLimits &limits;
  SlotAllocator slots;
  std::vector<PathNode> path;
  std::vector<SlotRange> context; // slots of all tokens on the path
  PlannedBatch current;
  int32_t lastPosition = 0; // position after the last row of the batch
  std::vector<PlannedBatch> batches;
};

Status checkRequests(const std::vector<Request> &requests, const PlannerLimits &limits) {
  if (requests.size() > size_t(std::numeric_limits<int32_t>::max()))
    return Invalid("planner: ", requests.size(), " requests are too many at once; split them");
  bool anyWanted = std::any_of(requests.begin(), requests.end(),
                               [](const Request &request) { return !request.wanted.empty(); });
  COMPRESSC_RETURN_IF_ERROR(checkLimits(limits, anyWanted));
  for (size_t i = 0; i < requests.size(); ++i)
    COMPRESSC_RETURN_IF_ERROR(checkRequest(requests[i], i, limits));
  return absl::OkStatus();
}

Plan planSorted(const std::vector<Request> &requests, const std::vector<int32_t> &sorted, const PlannerLimits &limits) {
  Plan plan;
  for (int32_t request : sorted)
    plan.promptTokens += int64_t(requests[request].tokens.size());
  TokenTrie trie = BuildTokenTrie(requests, sorted);
  for (const TrieNode &node : trie.nodes)
    plan.computedTokens += node.end - node.begin;
  plan.batches = Packer(requests, trie, limits).pack();
  return plan;
}

} // namespace

StatusOr<Plan> PlanBatches(const std::vector<Request> &requests, const PlannerLimits &limits) {
  COMPRESSC_RETURN_IF_ERROR(checkRequests(requests, limits));
  return planSorted(requests, SortByTokens(requests), limits);
}

StatusOr<std::vector<Plan>> PlanApart(const std::vector<Request> &requests, const PlannerLimits &limits) {
  // As many as eight devices can share evenly, and enough batches in each that the last, which is not full, is one of
  // several.
  constexpr int64_t wantedPlans = 32, leastBatches = 4, worthOfPrefix = 16;
  COMPRESSC_RETURN_IF_ERROR(checkRequests(requests, limits));
  std::vector<int32_t> sorted = SortByTokens(requests), shared(sorted.size(), 0); // with the one before
  int64_t total = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const std::vector<int32_t> &tokens = requests[sorted[i]].tokens;
    shared[i] = i == 0 ? 0 : CommonPrefix(requests[sorted[i - 1]].tokens, tokens);
    total += int64_t(tokens.size()) - shared[i];
  }
  int64_t least = std::max(total / wantedPlans, leastBatches * limits.maxTokens);
  std::vector<Plan> plans;
  std::vector<int32_t> part;
  int64_t tokens = 0; // that the part computes
  for (size_t i = 0; i < sorted.size(); ++i) {
    // Behind a cut the shared prefix is computed once more.
    if (tokens >= least + worthOfPrefix * shared[i]) {
      plans.push_back(planSorted(requests, std::exchange(part, {}), limits));
      tokens = shared[i];
    }
    part.push_back(sorted[i]);
    tokens += int64_t(requests[sorted[i]].tokens.size()) - shared[i];
  }
  if (!part.empty())
    plans.push_back(planSorted(requests, part, limits));
  return plans;
}

} // namespace compressc
