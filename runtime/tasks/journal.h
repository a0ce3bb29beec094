// Answers of a run, kept while it lasts: a run that was stopped goes on where it was.
#pragma once

#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace compressc {

/// A file of lines of JSON: the first names the task and the run's key, each other is the answer to an item,
/// [item, seconds, log-probabilities ...]. A line counts when it ends in a line feed, so whatever a killed
/// process or a full disk left of the last one is ignored.
class AnswerJournal {
public:
  using Answers = std::map<size_t, std::vector<double>>;

  /// Opens the file or creates it. `key` stands for all that answers depend on: answers under another key are
  /// dropped, with a note on standard error, and so are all when `fresh`. `sizes`: of each item, how many
  /// log-probabilities it has. An error when another process has the file open, or when it is something else.
  static StatusOr<std::unique_ptr<AnswerJournal>> Open(const std::string &path, const std::string &task,
                                                       const std::string &key, const std::vector<size_t> &sizes,
                                                       bool fresh);
  ~AnswerJournal();
  AnswerJournal(const AnswerJournal &) = delete;

  /// Answers of earlier runs, and the seconds that they took.
  const Answers &kept() const { return answers; }
  double keptSeconds() const { return seconds; }

  /// `seconds`: from the beginning of this run.
  Status add(size_t item, absl::Span<const double> logProbabilities, double seconds);
  /// Earlier ones included.
  size_t size() const { return answers.size() + added; }
  const std::string &path() const { return name; }
  /// When the results are written elsewhere.
  Status remove();

private:
  AnswerJournal() = default;
  Status append(const std::string &line);
  size_t read(std::string_view text, const std::vector<size_t> &sizes);

  std::string name;
  int descriptor = -1;
  Answers answers;
  double seconds = 0;
  size_t added = 0;
};

} // namespace compressc
