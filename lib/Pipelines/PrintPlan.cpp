#include "PrintPlan.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace compressc {
namespace {

template <typename... Arguments> std::string formatted(const char *pattern, Arguments... arguments) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format(pattern, arguments...);
  return text;
}

/// Two digits are all that an estimate is good for.
std::string duration(double seconds) {
  if (seconds < 100)
    return formatted("%.2g s", seconds);
  if (seconds < 6000)
    return formatted("%.2g min", seconds / 60);
  return formatted("%.2g h", seconds / 3600);
}

std::string count(int64_t number) { return std::to_string(number); }
std::string megabytes(int64_t bytes) { return formatted("%.1f MB", double(bytes) / 1e6); }
std::string gigaflop(double flop) { return formatted("%.3g GFLOP", flop / 1e9); }

} // namespace

void PrintPlan(llvm::raw_ostream &out, const PlanRange &plan) {
  auto line = [&](const char *what) -> llvm::raw_ostream & { return out << llvm::left_justify(what, 15); };
  auto range = [&](auto text) {
    std::string least = text(plan.least), most = text(plan.most);
    return least == most ? least : least + " to " + most;
  };
  auto number = [&](int64_t MaterializePlan::*member, auto text) {
    return range([=](const MaterializePlan &side) { return text(side.*member); });
  };
  // One rate for both sides: the range is the choice's, not the measurement's.
  auto work = [&](double MaterializePlan::*member) {
    return "about " + range([&](const MaterializePlan &side) { return duration(side.*member / plan.most.flopRate); }) +
           ", as long as " + range([&](const MaterializePlan &side) { return gigaflop(side.*member); }) +
           " of matrix products";
  };
  line("model") << number(&MaterializePlan::parameters, count) << " parameters, "
                << number(&MaterializePlan::layers, count) << " layers\n";
  line("steps") << number(&MaterializePlan::steps, count) << ", " << number(&MaterializePlan::stepsStored, count)
                << " of them from the store\n";
  line("calibration") << work(&MaterializePlan::calibrationWork) << ", hidden states "
                      << number(&MaterializePlan::hiddenStateBytes, megabytes) << "\n";
  line("weights") << work(&MaterializePlan::weightWork) << "\n";
  line("rate") << llvm::format("%.0f GFLOP/s, measured now\n", plan.most.flopRate / 1e9);
  line("peak memory") << number(&MaterializePlan::peakBytes, megabytes) << ", mapped files not counted\n";
  auto smaller = [](const MaterializePlan &side) {
    return formatted("%.2f", double(side.originalWeightBytes) / double(side.weightBytes));
  };
  line("output") << number(&MaterializePlan::weightBytes, count) << " bytes of weights, " << range(smaller)
                 << " times smaller than 16 bits\n";
}

} // namespace compressc
