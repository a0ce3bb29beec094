#include "token_trie.h"
#include <algorithm>
#include <numeric>

namespace compressc {

std::vector<int32_t> SortByTokens(const std::vector<Request> &requests) {
  std::vector<int32_t> sorted(requests.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  std::sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) {
    const std::vector<int32_t> &left = requests[a].tokens, &right = requests[b].tokens;
    auto [l, r] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
    if (l != left.end() && r != right.end())
      return *l < *r;
    if (left.size() != right.size())
      return left.size() < right.size();
    return a < b;
  });
  return sorted;
}

int32_t CommonPrefix(const std::vector<int32_t> &a, const std::vector<int32_t> &b) {
  return int32_t(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

namespace {

/// The rightmost path of the trie grows with each request in sorted order: what is deeper than the
/// prefix common with the previous request is finished, and the node across its end is split there.
std::vector<TrieNode> buildNodes(const std::vector<Request> &requests,
                                 const std::vector<int32_t> &sorted) {
  std::vector<TrieNode> nodes, path;
  for (size_t rank = 0; rank < sorted.size(); ++rank) {
    const std::vector<int32_t> &tokens = requests[sorted[rank]].tokens;
    int32_t common = rank == 0 ? 0 : CommonPrefix(requests[sorted[rank - 1]].tokens, tokens);
    while (!path.empty() && path.back().end > common) {
      TrieNode done = path.back();
      path.pop_back();
      if (done.begin < common) {
        path.push_back({done.begin, common, done.request, done.rank, 0});
        done.begin = common;
      }
      nodes.push_back(done);
    }
    if (int32_t(tokens.size()) > common)
      path.push_back({common, int32_t(tokens.size()), sorted[rank], int64_t(rank), 1});
    else
      ++path.back().ending;
  }
  nodes.insert(nodes.end(), path.begin(), path.end());
  std::sort(nodes.begin(), nodes.end(), [](const TrieNode &a, const TrieNode &b) {
    return a.rank != b.rank ? a.rank < b.rank : a.begin < b.begin;
  });
  return nodes;
}

/// Calls fn(node, position, request) for every wanted position.
template <typename Fn>
void forEachUse(const std::vector<Request> &requests, const std::vector<int32_t> &sorted,
                const std::vector<TrieNode> &nodes, const Fn &fn) {
  std::vector<size_t> path;
  for (size_t i = 0; i < nodes.size(); ++i) {
    while (!path.empty() && nodes[path.back()].end > nodes[i].begin)
      path.pop_back();
    path.push_back(i);
    // A node that was split off keeps its rank but ends no request; those below it do.
    for (int64_t k = 0; k < nodes[i].ending; ++k) {
      int32_t request = sorted[nodes[i].rank + k];
      for (int32_t position : requests[request].wanted) {
        auto node = std::upper_bound(path.begin(), path.end(), position,
                                     [&](int32_t p, size_t n) { return p < nodes[n].end; });
        fn(*node, position, request);
      }
    }
  }
}

} // namespace

TokenTrie BuildTokenTrie(const std::vector<Request> &requests, const std::vector<int32_t> &sorted) {
  TokenTrie trie;
  trie.nodes = buildNodes(requests, sorted);

  // Counted, then placed: one pass each, no list for every node.
  trie.useBegin.assign(trie.nodes.size() + 1, 0);
  forEachUse(requests, sorted, trie.nodes,
             [&](size_t node, int32_t, int32_t) { ++trie.useBegin[node + 1]; });
  std::partial_sum(trie.useBegin.begin(), trie.useBegin.end(), trie.useBegin.begin());
  trie.uses.resize(trie.useBegin.back());
  std::vector<int64_t> next(trie.useBegin.begin(), trie.useBegin.end() - 1);
  forEachUse(requests, sorted, trie.nodes, [&](size_t node, int32_t position, int32_t request) {
    trie.uses[next[node]++] = {position, request};
  });
  for (size_t i = 0; i < trie.nodes.size(); ++i)
    std::sort(trie.uses.begin() + trie.useBegin[i], trie.uses.begin() + trie.useBegin[i + 1],
              [](const TrieUse &a, const TrieUse &b) {
                return a.position != b.position ? a.position < b.position : a.request < b.request;
              });
  return trie;
}

} // namespace compressc
