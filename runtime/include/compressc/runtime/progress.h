// One progress line: a bar with rate and time left when standard error is a terminal, otherwise a log
// line now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace compressc {

class Progress {
public:
  /// `unit` is what is counted ("questions", "blocks"). Nothing is shown when `quiet`.
  Progress(std::string label, int64_t total, std::string unit, bool quiet = false);
  ~Progress(); // calls finish()
  void advance(int64_t amount = 1, std::string_view note = {});
  void finish();

private:
  void show(bool last);
  std::string label, unit, note;
  int64_t total, done = 0;
  bool quiet, terminal, finished = false;
  std::chrono::steady_clock::time_point start, shown;
};

} // namespace compressc
