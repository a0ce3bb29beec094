#include "PrintDecisions.h"
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
    std::vector<std::pair<std::string, double>> sums;
    int64_t count = 0;
    for (const Decision &decision : decisions) {
      if (decision.pass != pass)
        continue;
      if (++count == 1)
        for (const auto &[name, value] : decision.numbers)
          sums.emplace_back(name, 0);
      for (size_t i = 0; i < decision.numbers.size(); ++i)
        sums[i].second += decision.numbers[i].second;
    }
    out << "  " << pass << ": " << count << " decisions";
    for (const auto &[name, sum] : sums)
      if (name != "kind")
        out << ", mean " << name << " " << llvm::format("%.4g", sum / double(count));
    out << "\n";
  }
}

} // namespace compressc
