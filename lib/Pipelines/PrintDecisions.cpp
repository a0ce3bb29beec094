#include "PrintDecisions.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"

namespace compressc {

void PrintDecisions(llvm::raw_ostream &out, const std::vector<Decision> &decisions) {
  for (const Decision &decision : decisions) {
    out << "remark: " << decision.pass << ": ";
    llvm::interleave(decision.params, out, ", ");
    for (const auto &[name, value] : decision.numbers)
      out << ", " << name << " " << llvm::format("%.6g", value);
    out << "\n";
  }
}

void PrintDecisionSummary(llvm::raw_ostream &out, const std::vector<Decision> &decisions) {
  std::vector<std::string> passes;
  for (const Decision &decision : decisions)
    if (!llvm::is_contained(passes, decision.pass))
      passes.push_back(decision.pass);
  for (const std::string &pass : passes) {
    // Decisions of one pass may be of several kinds, each with numbers of its own.
    llvm::MapVector<llvm::StringRef, std::pair<double, int64_t>> numbers; // sum and count
    int64_t count = 0;
    for (const Decision &decision : decisions) {
      if (decision.pass != pass)
        continue;
      ++count;
      for (const auto &[name, value] : decision.numbers) {
        numbers[name].first += value;
        ++numbers[name].second;
      }
    }
    out << "  " << pass << ": " << count << " decisions";
    for (const auto &[name, sum] : numbers)
      if (name != "kind")
        out << ", mean " << name << " " << llvm::format("%.4g", sum.first / double(sum.second));
    out << "\n";
  }
}

} // namespace compressc
