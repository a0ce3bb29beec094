// How fast a model reads prompts and generates.
#pragma once

#include "runtime/tasks/generate.h"

namespace compressc {

struct BenchOptions {
  int64_t prompt = 512; // tokens of each sequence's prompt
  int64_t decode = 128; // steps after it, each with one token of every sequence
  int64_t batch = 1;    // sequences
  int64_t repeats = 5;  // measured runs, after one that is not
};

struct BenchRun {
  double prefillSeconds = 0; // until every sequence has its first token
  double decodeSeconds = 0;  // of all steps
};

/// Prompts are random tokens, the same on every run; each next token is the likeliest one, and end
/// tokens are tokens like others. `onRun` follows each run, the warm-up too.
StatusOr<std::vector<BenchRun>> MeasureSpeed(const GenerationModel &model, int64_t vocabularySize,
                                             const BenchOptions &options,
                                             const std::function<void()> &onRun = {});

/// Bytes of weights that an entry point reads for a batch of so many rows: each operand of each
/// call once, of an embedding's table a row for each row.
int64_t WeightBytesRead(const Schedule &schedule, const EntryPoint &entry, int64_t rows);

/// Median, least and greatest of one value or more.
struct Spread {
  double median = 0, least = 0, most = 0;
};
Spread SpreadOf(std::vector<double> values);

} // namespace compressc
