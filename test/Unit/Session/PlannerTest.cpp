// Plans are run on a simulated cache whose slots hold trie nodes: what a row would attend must be
// exactly its request's prefix.
#include "compressc/runtime/planner.h"
#include <algorithm>
#include <ctime>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

using namespace compressc;

namespace {

/// Prefixes by number: the obvious trie.
class Prefixes {
public:
  int32_t child(int32_t parent, int32_t token) {
    int64_t key = int64_t(parent) << 32 | uint32_t(token);
    return children.try_emplace(key, int32_t(children.size()) + 1).first->second;
  }
  int64_t size() const { return int64_t(children.size()); }

private:
  std::unordered_map<int64_t, int32_t> children; // 0 is the empty prefix
};

class CacheSimulator {
public:
  CacheSimulator(const std::vector<Request> &requests, const PlannerLimits &limits)
      : limits(limits), slots(limits.cacheSlots, -1) {
    for (size_t r = 0; r < requests.size(); ++r) {
      int32_t node = 0;
      size_t next = 0;
      for (size_t p = 0; p < requests[r].tokens.size(); ++p) {
        node = prefixes.child(node, requests[r].tokens[p]);
        if (next < requests[r].wanted.size() && requests[r].wanted[next] == int32_t(p)) {
          wanted[{int32_t(r), int32_t(p)}] = node;
          ++next;
        }
      }
    }
    nodes = prefixes.size();
    parent.assign(nodes + 1, -1);
  }

  void run(const Plan &plan) {
    for (const PlannedBatch &batch : plan.batches) {
      runBatch(batch);
      if (testing::Test::HasFatalFailure())
        return;
    }
    EXPECT_EQ(computed, nodes) << "not every prefix was computed";
    EXPECT_EQ(plan.computedTokens, nodes);
    EXPECT_TRUE(wanted.empty()) << wanted.size() << " wanted logits were never given";
  }

private:
  void runBatch(const PlannedBatch &planned) {
    const Batch &batch = planned.batch;
    ASSERT_GT(batch.rows(), 0);
    ASSERT_LE(batch.rows(), limits.maxTokens);
    ASSERT_LE(int64_t(batch.selectedRows.size()), limits.maxSelected);
    std::vector<int32_t> rowNode(batch.rows());
    std::vector<std::vector<int32_t>> attended;
    std::set<int32_t> written;
    int32_t row = 0;
    for (const Sequence &sequence : batch.sequences) {
      ASSERT_EQ(sequence.rowBegin, row);
      ASSERT_GT(sequence.rowCount, 0);
      std::vector<int32_t> context;
      for (SlotRange range : sequence.context) {
        ASSERT_GT(range.count, 0);
        ASSERT_GE(range.begin, 0);
        ASSERT_LE(range.begin + range.count, limits.cacheSlots);
        for (int32_t i = 0; i < range.count; ++i)
          context.push_back(slots[range.begin + i]);
      }
      ASSERT_EQ(sequence.positionBegin, int32_t(context.size()));
      for (size_t i = 1; i < sequence.context.size(); ++i)
        ASSERT_NE(sequence.context[i - 1].begin + sequence.context[i - 1].count,
                  sequence.context[i].begin)
            << "adjacent ranges are to be merged";
      // The nodes of the context form the path from the root, so the last one stands for all.
      for (size_t i = 0; i < context.size(); ++i)
        if (context[i] < 0 || parent[context[i]] != (i == 0 ? 0 : context[i - 1]))
          FAIL() << "the context is not a prefix";
      int32_t node = context.empty() ? 0 : context.back();
      ASSERT_GE(sequence.slotBegin, 0);
      ASSERT_LE(sequence.slotBegin + sequence.rowCount, limits.cacheSlots);
      for (int32_t i = 0; i < sequence.rowCount; ++i, ++row) {
        int32_t next = prefixes.child(node, batch.tokens[row]);
        ASSERT_LE(next, nodes) << "a row is no prefix of any request";
        ASSERT_EQ(parent[next], -1) << "a prefix was computed twice";
        parent[next] = node;
        ++computed;
        ASSERT_TRUE(written.insert(sequence.slotBegin + i).second) << "a slot was written twice";
        rowNode[row] = slots[sequence.slotBegin + i] = node = next;
      }
      attended.push_back(std::move(context));
    }
    ASSERT_EQ(row, batch.rows());
    // Attention runs when the whole batch is written.
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      size_t i = 0;
      for (SlotRange range : batch.sequences[s].context)
        for (int32_t k = 0; k < range.count; ++k)
          if (slots[range.begin + k] != attended[s][i++])
            FAIL() << "a live slot was overwritten";
    }
    checkUses(planned, rowNode);
  }

  void checkUses(const PlannedBatch &planned, const std::vector<int32_t> &rowNode) {
    const std::vector<int32_t> &selected = planned.batch.selectedRows;
    for (size_t i = 0; i < selected.size(); ++i) {
      ASSERT_GE(selected[i], i == 0 ? 0 : selected[i - 1] + 1);
      ASSERT_LT(selected[i], planned.batch.rows());
    }
    std::set<int32_t> used;
    for (const RowUse &use : planned.uses) {
      ASSERT_GE(use.selectedIndex, 0);
      ASSERT_LT(use.selectedIndex, int32_t(selected.size()));
      auto it = wanted.find({use.request, use.position});
      ASSERT_TRUE(it != wanted.end()) << "not wanted, or given twice";
      ASSERT_EQ(rowNode[selected[use.selectedIndex]], it->second);
      wanted.erase(it);
      used.insert(use.selectedIndex);
    }
    ASSERT_EQ(used.size(), selected.size()) << "a row is selected for nobody";
  }

  PlannerLimits limits;
  Prefixes prefixes;
  int64_t nodes = 0;
  std::vector<int32_t> slots;
  std::map<std::pair<int32_t, int32_t>, int32_t> wanted;
  std::vector<int32_t> parent; // of the prefixes computed so far, -1 for the rest
  int64_t computed = 0;
};

Request lastOf(std::vector<int32_t> tokens) {
  int32_t last = int32_t(tokens.size()) - 1;
  return {std::move(tokens), {last}};
}

/// Requests that share prefixes in every way: copied, cut, branched from each other.
std::vector<Request> randomRequests(std::mt19937 &random) {
  std::vector<Request> requests;
  size_t count = 1 + random() % 24;
  int32_t alphabet = 1 + int32_t(random() % 4);
  while (requests.size() < count) {
    Request request;
    if (!requests.empty() && random() % 4 != 0) {
      const std::vector<int32_t> &other = requests[random() % requests.size()].tokens;
      request.tokens.assign(other.begin(), other.begin() + random() % (other.size() + 1));
    }
    for (size_t extra = random() % 12; extra > 0; --extra)
      request.tokens.push_back(int32_t(random() % alphabet));
    if (request.tokens.empty())
      continue;
    for (size_t p = 0; p < request.tokens.size(); ++p)
      if (p + 1 == request.tokens.size() ? random() % 8 != 0 : random() % 6 == 0)
        request.wanted.push_back(int32_t(p));
    requests.push_back(std::move(request));
  }
  return requests;
}

TEST(Planner, RandomTriesOnSimulatedCache) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Request> requests = randomRequests(random);
    int64_t longest = 0;
    for (const Request &request : requests)
      longest = std::max(longest, int64_t(request.tokens.size()));
    PlannerLimits limits;
    limits.maxTokens = 1 + random() % 40;
    limits.maxSelected = 1 + random() % 6;
    limits.cacheSlots = longest + (random() % 2 ? random() % 4 : random() % 60);
    StatusOr<Plan> plan = PlanBatches(requests, limits);
    ASSERT_TRUE(plan.ok()) << plan.status();
    CacheSimulator(requests, limits).run(*plan);
    if (HasFailure())
      return;
  }
}

TEST(Planner, IdenticalPromptsShareEveryRow) {
  std::vector<Request> requests(5, lastOf({3, 1, 4, 1, 5}));
  StatusOr<Plan> plan = PlanBatches(requests, {16, 16, 16});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->promptTokens, 25);
  EXPECT_EQ(plan->computedTokens, 5);
  ASSERT_EQ(plan->batches.size(), 1u);
  const PlannedBatch &batch = plan->batches[0];
  EXPECT_EQ(batch.batch.tokens, (std::vector<int32_t>{3, 1, 4, 1, 5}));
  EXPECT_EQ(batch.batch.selectedRows, std::vector<int32_t>{4});
  ASSERT_EQ(batch.uses.size(), 5u);
  for (int32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(batch.uses[i].request, i);
    EXPECT_EQ(batch.uses[i].selectedIndex, 0);
    EXPECT_EQ(batch.uses[i].position, 4);
  }
}

TEST(Planner, ParentAndChildrenGoInOneBatch) {
  StatusOr<Plan> plan = PlanBatches({lastOf({1, 2, 3}), lastOf({1, 2, 4, 5})}, {16, 16, 16});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->batches.size(), 1u);
  const Batch &batch = plan->batches[0].batch;
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 3, 4, 5}));
  // The first child continues its parent's sequence; the second has it as context.
  ASSERT_EQ(batch.sequences.size(), 2u);
  EXPECT_EQ(batch.sequences[0].rowCount, 3);
  EXPECT_EQ(batch.sequences[1].positionBegin, 2);
  ASSERT_EQ(batch.sequences[1].context.size(), 1u);
  EXPECT_EQ(batch.sequences[1].context[0].begin, batch.sequences[0].slotBegin);
  EXPECT_EQ(batch.sequences[1].context[0].count, 2);
}

TEST(Planner, FullBatchesCutEdges) {
  std::vector<int32_t> tokens(100, 7);
  StatusOr<Plan> plan = PlanBatches({lastOf(tokens)}, {30, 1, 100});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->batches.size(), 4u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(plan->batches[i].batch.rows(), 30);
  EXPECT_EQ(plan->batches[3].batch.sequences[0].positionBegin, 90);
}

TEST(Planner, NoRequestsNoBatches) {
  StatusOr<Plan> plan = PlanBatches({}, {16, 16, 16});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->batches.empty());
}

TEST(Planner, OrderOfRequestsDoesNotChangeTheRows) {
  std::mt19937 random(1);
  std::vector<Request> requests = randomRequests(random);
  std::vector<Request> reversed(requests.rbegin(), requests.rend());
  StatusOr<Plan> a = PlanBatches(requests, {16, 4, 64}), b = PlanBatches(reversed, {16, 4, 64});
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_EQ(a->batches.size(), b->batches.size());
  for (size_t i = 0; i < a->batches.size(); ++i) {
    EXPECT_EQ(a->batches[i].batch.tokens, b->batches[i].batch.tokens);
    EXPECT_EQ(a->batches[i].batch.selectedRows, b->batches[i].batch.selectedRows);
  }
}

TEST(Planner, WantedPartHoldsWhatIsWantedAndWhatItContinues) {
  std::vector<Request> requests; // two groups of eight, each with its own beginning of four tokens
  for (int32_t i = 0; i < 16; ++i)
    requests.push_back({{i / 8, i / 8, i / 8, i / 8, 100 + i, 200 + i}, {5}});
  PlannerLimits limits{8, 8, 100};
  Plan plan = *PlanBatches(requests, limits);
  ASSERT_GT(plan.batches.size(), 4u);
  std::vector<PlannedBatch> all = WantedPart(plan, [](const RowUse &) { return true; });
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].batch.tokens, plan.batches[i].batch.tokens);
    EXPECT_EQ(all[i].batch.selectedRows, plan.batches[i].batch.selectedRows);
    EXPECT_EQ(all[i].uses.size(), plan.batches[i].uses.size());
  }
  for (const PlannedBatch &none : WantedPart(plan, [](const RowUse &) { return false; }))
    EXPECT_EQ(none.batch.rows(), 0);

  // Of every request alone: its six tokens in order, at the positions and in the slots that it had, once each.
  for (int32_t wanted = 0; wanted < 16; ++wanted) {
    SCOPED_TRACE(wanted);
    std::map<int32_t, int32_t> tokens; // of slots
    int64_t rows = 0, uses = 0;
    for (const PlannedBatch &part : WantedPart(plan, [&](const RowUse &use) { return use.request == wanted; })) {
      rows += part.batch.rows();
      int32_t next = 0;
      for (const Sequence &sequence : part.batch.sequences) {
        EXPECT_EQ(sequence.rowBegin, next);
        next += sequence.rowCount;
        for (int32_t i = 0; i < sequence.rowCount; ++i)
          tokens[sequence.slotBegin + i] = part.batch.tokens[size_t(sequence.rowBegin + i)];
      }
      for (const RowUse &use : part.uses) {
        ++uses;
        EXPECT_EQ(use.request, wanted);
        const Sequence &last = part.batch.sequences.back();
        EXPECT_EQ(part.batch.selectedRows[size_t(use.selectedIndex)], part.batch.rows() - 1);
        std::vector<int32_t> read;
        for (SlotRange range : last.context)
          for (int32_t i = 0; i < range.count; ++i)
            read.push_back(tokens.at(range.begin + i));
        for (int32_t i = 0; i < last.rowCount; ++i)
          read.push_back(tokens.at(last.slotBegin + i));
        EXPECT_EQ(read, requests[size_t(wanted)].tokens);
      }
    }
    EXPECT_EQ(uses, 1);
    EXPECT_LE(rows, 8); // the first request of a group shares a sequence with the beginning
  }
}

TEST(Planner, RefusesWhatItCannotPlan) {
  struct {
    std::vector<Request> requests;
    PlannerLimits limits;
    const char *message;
  } cases[] = {
      {{lastOf({1}), Request{}}, {8, 8, 8}, "request 1 has no tokens"},
      {{Request{{1, 2}, {2}}}, {8, 8, 8}, "request 0 wants the logits at position 2"},
      {{Request{{1, 2}, {-1}}}, {8, 8, 8}, "request 0 wants the logits at position -1"},
      {{Request{{1, 2}, {1, 0}}}, {8, 8, 8}, "ascending"},
      {{Request{{1, 2}, {1, 1}}}, {8, 8, 8}, "ascending"},
      {{lastOf({1}), lastOf({1, 2, 3})}, {8, 8, 2}, "request 1 has 3 tokens"},
      {{lastOf({1})}, {0, 8, 8}, "maxTokens"},
      {{lastOf({1})}, {8, 0, 8}, "maxSelected"},
      {{lastOf({1})}, {8, 8, 0}, "cacheSlots"},
      {{lastOf({1})}, {8, 8, int64_t(1) << 40}, "cacheSlots"},
  };
  for (const auto &c : cases) {
    StatusOr<Plan> plan = PlanBatches(c.requests, c.limits);
    ASSERT_FALSE(plan.ok()) << c.message;
    EXPECT_NE(plan.status().message().find(c.message), absl::string_view::npos) << plan.status();
  }
}

double cpuSeconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

/// As large as the five-shot MMLU test: 14,042 questions of 57 subjects, 700 tokens each.
TEST(Planner, ScoresOfSubjectsAtFullSize) {
  std::mt19937 random(5);
  auto fill = [&](std::vector<int32_t> &tokens, size_t count) {
    for (; count > 0; --count)
      tokens.push_back(int32_t(random() % 50000));
  };
  std::vector<std::vector<int32_t>> subjects(57);
  for (auto &subject : subjects) {
    subject.assign({1, 2, 3, 4, 5});
    fill(subject, 550 + random() % 100);
  }
  std::vector<Request> requests;
  for (size_t i = 0; i < 14042; ++i) {
    std::vector<int32_t> tokens = subjects[random() % subjects.size()];
    fill(tokens, 50 + random() % 100);
    requests.push_back(lastOf(std::move(tokens)));
  }
  PlannerLimits limits{8192, 512, 8192 + 4096};
  double start = cpuSeconds();
  StatusOr<Plan> plan = PlanBatches(requests, limits);
  double seconds = cpuSeconds() - start;
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(plan->promptTokens, 9000000);
  EXPECT_LT(plan->computedTokens, plan->promptTokens / 5);
  // Full batches: only slots and selected rows may end one early, and here neither does.
  EXPECT_EQ(int64_t(plan->batches.size()), (plan->computedTokens + 8191) / 8192);
  RecordProperty("milliseconds", int(seconds * 1000));
  EXPECT_LT(seconds, 10) << "takes a fraction of a second; this much means it is not linear";

  StatusOr<std::vector<Plan>> apart = PlanApart(requests, limits);
  ASSERT_TRUE(apart.ok()) << apart.status();
  int64_t computed = 0, most = 0;
  for (const Plan &each : *apart) {
    computed += each.computedTokens;
    most = std::max(most, each.computedTokens);
  }
  EXPECT_LT(computed, plan->computedTokens * 1.001);
  EXPECT_LT(most, plan->computedTokens / 24); // eight devices can have equal shares

  // A tenth still fills many batches, and is simulated in a tenth of the time.
  requests.resize(requests.size() / 10);
  plan = PlanBatches(requests, limits);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(plan->batches.size(), 10u);
  CacheSimulator(requests, limits).run(*plan);
}

/// Plans that run apart answer every request once, in full batches, and compute little twice.
TEST(Planner, PlansApart) {
  std::mt19937 random(6);
  std::vector<Request> requests;
  for (size_t subject = 0; subject < 20; ++subject) {
    std::vector<int32_t> beginning = {1, 2, 3};
    for (int i = 0; i < 60; ++i)
      beginning.push_back(int32_t(random() % 50000));
    for (uint64_t left = 5 + random() % 200; left > 0; --left) {
      std::vector<int32_t> tokens = beginning;
      for (uint64_t i = 5 + random() % 10; i > 0; --i)
        tokens.push_back(int32_t(random() % 50000));
      requests.push_back(lastOf(std::move(tokens)));
    }
  }
  PlannerLimits limits{64, 16, 200};
  StatusOr<Plan> whole = PlanBatches(requests, limits);
  StatusOr<std::vector<Plan>> plans = PlanApart(requests, limits);
  ASSERT_TRUE(whole.ok() && plans.ok());
  EXPECT_GT(plans->size(), 8u);
  EXPECT_LE(plans->size(), 32u);
  std::set<int32_t> answered;
  int64_t computed = 0, most = 0, prompts = 0;
  for (const Plan &plan : *plans) {
    std::vector<Request> part; // the plan's own, for the simulator
    std::map<int32_t, int32_t> places;
    Plan own = plan;
    for (PlannedBatch &batch : own.batches)
      for (RowUse &use : batch.uses) {
        EXPECT_TRUE(answered.insert(use.request).second);
        places[use.request] = int32_t(part.size());
        part.push_back(requests[size_t(use.request)]);
        use.request = places[use.request];
      }
    CacheSimulator(part, limits).run(own);
    computed += plan.computedTokens;
    prompts += plan.promptTokens;
    most = std::max(most, plan.computedTokens);
  }
  EXPECT_EQ(answered.size(), requests.size());
  EXPECT_EQ(prompts, whole->promptTokens);
  EXPECT_LE(computed, whole->computedTokens * 17 / 16);
  EXPECT_LE(most, whole->computedTokens / 8);

  // Little work, or work that shares all but its ends, is one plan's.
  requests.resize(3);
  EXPECT_EQ(PlanApart(requests, limits)->size(), 1u);
  EXPECT_EQ(PlanApart({}, limits)->size(), 0u);
  EXPECT_FALSE(PlanApart({lastOf({})}, limits).ok());
}

/// Every request is the beginning of the next one: the deepest trie there is.
TEST(Planner, ManyNestedPrefixes) {
  std::vector<Request> requests;
  for (int32_t length = 1; length <= 4000; ++length)
    requests.push_back(lastOf(std::vector<int32_t>(length, 9)));
  PlannerLimits limits{512, 64, 4000};
  double start = cpuSeconds();
  StatusOr<Plan> plan = PlanBatches(requests, limits);
  double seconds = cpuSeconds() - start;
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->computedTokens, 4000);
  size_t ranges = 0;
  for (const PlannedBatch &batch : plan->batches)
    for (const Sequence &sequence : batch.batch.sequences)
      ranges += sequence.context.size();
  EXPECT_LE(ranges, plan->batches.size()) << "adjacent slots are one range of context";
  EXPECT_LT(seconds, 10);
  CacheSimulator(requests, limits).run(*plan);
}

/// All positions wanted, as for perplexity.
TEST(Planner, EveryPositionWanted) {
  std::vector<Request> requests;
  std::mt19937 random(3);
  for (int r = 0; r < 20; ++r) {
    Request request;
    for (int32_t p = 0; p < 300; ++p) {
      request.tokens.push_back(int32_t(random() % 2));
      request.wanted.push_back(p);
    }
    requests.push_back(std::move(request));
  }
  PlannerLimits limits{128, 50, 512};
  StatusOr<Plan> plan = PlanBatches(requests, limits);
  ASSERT_TRUE(plan.ok()) << plan.status();
  CacheSimulator(requests, limits).run(*plan);
}

} // namespace
