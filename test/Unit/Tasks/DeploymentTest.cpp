#include "runtime/tasks/deployment.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

TEST(Devices, ANumberAllOrAList) {
  using List = std::vector<int>;
  EXPECT_EQ(ParseDevices("1", 4).value(), (List{0}));
  EXPECT_EQ(ParseDevices("3", 4).value(), (List{0, 1, 2}));
  EXPECT_EQ(ParseDevices("all", 4).value(), (List{0, 1, 2, 3}));
  EXPECT_EQ(ParseDevices("0,2", 4).value(), (List{0, 2}));
  EXPECT_EQ(ParseDevices("3,1", 4).value(), (List{3, 1}));
  EXPECT_EQ(ParseDevices("5", 4).status().message(), "--devices=5: there are 4 GPUs");
  EXPECT_EQ(ParseDevices("2", 1).status().message(), "--devices=2: there is 1 GPU");
  for (const char *bad : {"0,4", "1,1", "-1", "0,", "", "one", "1,2x", "all,0"})
    EXPECT_EQ(ParseDevices(bad, 4).status().message(),
              absl::StrCat("--devices=", bad, ": wanted a number of GPUs, all, or different indices from 0 to 3, as in 0,2"));
}

} // namespace
} // namespace compressc
