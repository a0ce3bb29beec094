// The compressed trie of the requests' tokens, as its nodes in depth-first order: all that the
// planner needs of it. A node is an edge of the trie, a run of tokens without a branch.
#pragma once

#include "compressc/runtime/planner.h"
#include <cstdint>
#include <vector>

namespace compressc {

struct TrieNode {
  int32_t begin;   // positions [begin, end) of its tokens
  int32_t end;     //
  int32_t request; // one that passes through it: its tokens are request.tokens[begin, end)
  int64_t rank;    // of the first sorted request below it, among those of the trie
  int64_t ending;  // requests that end with this node: the sorted ones from `rank` on
};

/// A wanted position of a request, at the node that computes it.
struct TrieUse {
  int32_t position;
  int32_t request;
};

struct TokenTrie {
  /// Depth first, children by first token: the parent of a node is the nearest earlier one that
  /// ends where this one begins.
  std::vector<TrieNode> nodes;
  /// Uses of node i, by position, then request: uses[useBegin[i], useBegin[i + 1]).
  std::vector<TrieUse> uses;
  std::vector<int64_t> useBegin;
};

/// The requests' indices in the order of their tokens.
std::vector<int32_t> SortByTokens(const std::vector<Request> &requests);
int32_t CommonPrefix(const std::vector<int32_t> &a, const std::vector<int32_t> &b);

/// Of some requests, in the order of SortByTokens. They must not be empty, and wanted positions must be valid and
/// ascending.
TokenTrie BuildTokenTrie(const std::vector<Request> &requests, const std::vector<int32_t> &sorted);

} // namespace compressc
