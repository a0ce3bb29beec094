#include "PrintPlan.h"
#include "llvm/Support/Format.h"

namespace compressc {

/// Two digits are all that an estimate is good for.
static std::string duration(double seconds) {
  char text[64];
  if (seconds < 100)
    std::snprintf(text, sizeof text, "%.2g s", seconds);
  else if (seconds < 6000)
    std::snprintf(text, sizeof text, "%.2g min", seconds / 60);
  else
    std::snprintf(text, sizeof text, "%.2g h", seconds / 3600);
  return text;
}

void PrintPlan(llvm::raw_ostream &out, const MaterializePlan &plan) {
  auto line = [&](const char *what) -> llvm::raw_ostream & { return out << llvm::left_justify(what, 15); };
  auto megabytes = [](int64_t bytes) { return llvm::format("%.1f MB", double(bytes) / 1e6); };
  auto seconds = [&](double flop) { return duration(flop / plan.flopRate); };
  line("model") << plan.parameters << " parameters, " << plan.layers << " layers\n";
  line("steps") << plan.steps << ", " << plan.stepsStored << " of them from the store\n";
  line("calibration") << "about " << seconds(plan.calibrationFlop)
                      << llvm::format(", %.3g GFLOP", plan.calibrationFlop / 1e9) << ", hidden states "
                      << megabytes(plan.hiddenStateBytes) << "\n";
  line("weights") << "about " << seconds(plan.weightFlop) << llvm::format(", %.3g GFLOP\n", plan.weightFlop / 1e9);
  line("rate") << llvm::format("%.0f GFLOP/s, measured now\n", plan.flopRate / 1e9);
  line("peak memory") << megabytes(plan.peakBytes) << ", mapped files not counted\n";
  line("output") << plan.weightBytes << " bytes of weights, "
                 << llvm::format("%.2f times smaller than 16 bits\n",
                                 double(plan.originalWeightBytes) / double(plan.weightBytes));
}

} // namespace compressc
