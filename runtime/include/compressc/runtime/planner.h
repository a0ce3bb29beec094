// The prefix planner: prompts → token trie → packed batches, so that a shared prefix is computed once.
#pragma once

#include "compressc/runtime/batch.h"
#include "compressc/runtime/status.h"
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace compressc {

struct Request {
  std::vector<int32_t> tokens;
  /// Positions whose next-token logits are wanted, ascending; usually just tokens.size() - 1.
  std::vector<int32_t> wanted;
};

struct PlannerLimits {
  int64_t maxTokens = 0;   // rows in a batch
  int64_t maxSelected = 0; // selected rows in a batch
  int64_t cacheSlots = 0;  // slots in all
};

/// Which request and position a selected row answers. Several may share a row (identical prefixes).
struct RowUse {
  int32_t selectedIndex; // index into Batch::selectedRows
  int32_t request;
  int32_t position;
};

struct PlannedBatch {
  Batch batch;
  std::vector<RowUse> uses;
};

struct Plan {
  std::vector<PlannedBatch> batches;
  int64_t promptTokens = 0;   // sum over requests
  int64_t computedTokens = 0; // after sharing
};

/// Depth-first over the trie of the requests' tokens; slots are freed as soon as no later batch needs
/// them. Fails when one request needs more slots than there are. Deterministic.
StatusOr<Plan> PlanBatches(const std::vector<Request> &requests, const PlannerLimits &limits);

/// Plans that run apart, on one device after the other or on several at once, each with the whole cache. Neighbours of
/// the trie stay together; a prefix that is cut through is computed in both plans, which is a sixteenth of the one
/// before it at most. Where the cuts are depends on requests and limits only: so whatever number of devices there is,
/// the batches are the same, and so are the results.
StatusOr<std::vector<Plan>> PlanApart(const std::vector<Request> &requests, const PlannerLimits &limits);

/// What must run of a plan's batches when only some uses are wanted, batch by batch: the sequences that hold one,
/// and those whose cache slots they continue. Slots and the order stay; batches may be empty.
std::vector<PlannedBatch> WantedPart(const Plan &plan, const std::function<bool(const RowUse &)> &wanted);

} // namespace compressc
