// What a model thinks of a text, kept in a file: behind each position its likeliest tokens and what is left.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <cstdint>
#include <string>
#include <vector>

namespace compressc {

struct Distributions {
  std::string model;  // whose they are
  std::string digest; // of the windows' token ids, 16 characters
  int64_t vocabulary = 0, windows = 0, context = 0;
  int64_t kept = 0; // tokens of a position
  // Of each predicted position, window by window:
  std::vector<float> followers; // log-probability of the token that follows in the text
  std::vector<float> rests;     // probability of all tokens that are not kept
  std::vector<int32_t> tokens;  // [positions, kept], the likeliest first
  std::vector<float> logs;      // [positions, kept], their log-probabilities

  int64_t positions() const { return windows * (context - 1); }
  void resize();
};

/// Little-endian: "CPRSSCKL", then as 32-bit numbers version 1, vocabulary, windows, context, kept and the length of
/// the model's name; the digest, the name; followers, rests, tokens, logs.
Status WriteDistributions(const std::string &path, const Distributions &distributions);
/// The file may come from anywhere.
StatusOr<Distributions> ReadDistributions(const std::string &path);

/// The `count` tokens of the greatest logits, the greatest first, of equals the lowest.
std::vector<int32_t> GreatestTokens(absl::Span<const float> logits, int64_t count);

/// Of logits: what a log-probability is short of, and the probability of all tokens but some. In double, over each
/// token once, so that a small rest is exact too.
struct Mass {
  double norm = 0, rest = 0;
};
Mass MassBeside(absl::Span<const float> logits, absl::Span<const int32_t> tokens);

} // namespace compressc
