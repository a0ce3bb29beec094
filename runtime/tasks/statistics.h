// Accuracies, their standard errors, and the test that compares two models on the same questions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace compressc {

struct Tally {
  int64_t questions = 0;
  int64_t correct = 0;
  void add(bool right) {
    ++questions;
    correct += right;
  }
  double accuracy() const { return questions ? double(correct) / double(questions) : 0; }
  /// Of one subject: sqrt(p(1-p)/(n-1)). NaN when n < 2.
  double standardError() const;
};

/// Subject → tally, of a group or of everything: the accuracy is over all questions, the standard
/// error is pooled within subjects: var = sum(n_i p_i (1-p_i)) / (N-k), se = sqrt(var/N). NaN when
/// every subject has a single question.
struct GroupTally {
  std::map<std::string, Tally> subjects;
  void add(const std::string &subject, bool right) { subjects[subject].add(right); }
  Tally total() const;
  double standardError() const;
};

/// Two-sided exact McNemar test: the chance of a split at least as uneven as this one of the
/// discordant pairs, were both directions equally likely.
double McNemarExact(int64_t onlyFirstRight, int64_t onlySecondRight);

} // namespace compressc
