// What schedules take, before they are run: how long, and memory at the peak.
#pragma once

#include "compressc/runtime/schedule.h"
#include "llvm/ADT/ArrayRef.h"

namespace compressc {

class Estimate {
public:
  explicit Estimate(int threads) : threads(threads) {}

  /// A schedule run over the calibration batches while `liveBytes` of values are held.
  void calibrate(const Schedule &schedule, llvm::ArrayRef<Batch> batches, int64_t liveBytes);
  /// A weight expression.
  void evaluate(const Schedule &schedule, int64_t liveBytes);

  /// In operations of a matrix product that take as long.
  double calibrationWork = 0, weightWork = 0;
  /// Anonymous memory on top of what the process held before.
  int64_t peakBytes = 0;

private:
  void hold(const Schedule &schedule, int64_t liveBytes);
  int threads;
};

/// Operations a second of this machine's matrix products, measured for some milliseconds.
double MeasureFlopRate(ThreadPool &pool);

} // namespace compressc
