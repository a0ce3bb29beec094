#include "compressc/runtime/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace compressc {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double terminalPeriod = 0.1; // seconds
constexpr double logPeriod = 10;
constexpr int barWidth = 24;

double secondsSince(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

template <typename... Args> std::string format(const char *pattern, Args... args) {
  char buffer[128];
  std::snprintf(buffer, sizeof buffer, pattern, args...);
  return buffer;
}

std::string duration(double seconds) {
  long long total = std::llround(std::clamp(seconds, 0.0, 1e9));
  if (total >= 3600)
    return format("%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  return format("%lld:%02lld", total / 60, total % 60);
}

std::string rateText(double rate) {
  return format(rate >= 100 ? "%.0f/s" : rate >= 1 ? "%.1f/s" : "%.3f/s", rate);
}

size_t terminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return 80;
}

/// Cuts a line that would wrap, never inside a UTF-8 sequence.
void clip(std::string &line, size_t width) {
  if (line.size() < width)
    return;
  size_t end = width - 1;
  while (end > 0 && (line[end] & 0xc0) == 0x80)
    --end;
  line.resize(end);
}

} // namespace

Progress::Progress(std::string label, int64_t total, std::string unit, bool quiet)
    : label(std::move(label)), unit(std::move(unit)), total(total), quiet(quiet),
      terminal(isatty(STDERR_FILENO) == 1), start(Clock::now()), shown(start) {
  if (!quiet && terminal)
    show(false);
}

Progress::~Progress() { finish(); }

void Progress::advance(int64_t amount, std::string_view newNote) {
  done += amount;
  if (!newNote.empty())
    note = newNote;
  if (!quiet && !finished && secondsSince(shown) >= (terminal ? terminalPeriod : logPeriod))
    show(false);
}

void Progress::finish() {
  if (finished)
    return;
  finished = true;
  if (!quiet)
    show(true);
}

void Progress::show(bool last) {
  shown = Clock::now();
  double elapsed = secondsSince(start);
  double rate = elapsed > 0 ? double(done) / elapsed : 0;
  std::string line = label + ":";
  std::string counts = std::to_string(done);
  if (total > 0 && !(last && done == total))
    counts += "/" + std::to_string(total);
  if (total > 0 && terminal && !last) {
    int filled = int(std::clamp(double(done) / double(total), 0.0, 1.0) * barWidth);
    line += " [" + std::string(filled, '#') + std::string(barWidth - filled, '.') + "]";
  }
  line += " " + counts + " " + unit;
  if (done > 0)
    line += ", " + rateText(rate);
  if (last)
    line += ", " + duration(elapsed);
  else if (total > 0 && done > 0)
    line += ", ETA " + duration(double(std::max<int64_t>(total - done, 0)) / rate);
  if (!note.empty())
    line += ", " + note;

  if (terminal) {
    if (!last)
      clip(line, terminalWidth());
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

} // namespace compressc
