#include "ModelSupport.h"
#include <algorithm>
#include <fstream>
#include <set>

using namespace compressc;
using namespace compressc::test;

namespace {

TEST(KernelTable, HoldsTheKernelsThatTheReadmeDescribes) {
  std::ifstream readme(std::string(COMPRESSC_TEST_DIR) + "/../runtime/cpu/README.md");
  ASSERT_TRUE(readme);
  std::set<std::string> described;
  for (std::string line; std::getline(readme, line);) {
    std::string_view row = line;
    if (row.substr(0, 3) != "| `")
      continue;
    std::string_view cell = row.substr(0, row.find('|', 2));
    for (size_t at = cell.find('`'); at != cell.npos; at = cell.find('`', at + 1)) {
      size_t end = cell.find('`', at + 1);
      described.insert(std::string(cell.substr(at + 1, end - at - 1)));
      at = end;
    }
  }
  std::vector<std::string_view> names = KernelNames();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), described);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (std::string_view name : names)
    EXPECT_NE(FindKernel(name), nullptr) << name;
}

TEST(KernelTable, FindsOnlyWholeNames) {
  for (std::string_view name : {"", "ad", "addd", "zzz", "Linear", "linear "})
    EXPECT_EQ(FindKernel(name), nullptr) << name;
}

TEST(InstructionSet, SwitchesAmongWhatTheMachineHas) {
  std::string before(InstructionSet());
  EXPECT_FALSE(SetInstructionSetForTesting("sse9"));
  EXPECT_EQ(InstructionSet(), before);
  ASSERT_TRUE(SetInstructionSetForTesting("portable"));
  EXPECT_EQ(InstructionSet(), "portable");
  ASSERT_TRUE(SetInstructionSetForTesting(before));
}

} // namespace
