#include "compressc/runtime/progress.h"

#include <gtest/gtest.h>

namespace compressc {
namespace {

// Under a test standard error is a file: GoogleTest captures it.
TEST(Progress, LogsOneFinalLineForShortWork) {
  testing::internal::CaptureStderr();
  {
    Progress progress("Scoring", 3, "questions");
    for (int i = 0; i < 3; ++i)
      progress.advance(1, "accuracy 50%");
    progress.finish();
  }
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("Scoring: 3 questions, "), 0u) << text;
  EXPECT_NE(text.find(", 0:00, accuracy 50%\n"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.find_first_of("\r\x1b"), std::string::npos);
}

TEST(Progress, SaysHowFarWorkCameThatStopped) {
  testing::internal::CaptureStderr();
  { Progress("Blocks", 30, "blocks").advance(2); }
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("Blocks: 2/30 blocks, "), 0u);
}

TEST(Progress, QuietSaysNothing) {
  testing::internal::CaptureStderr();
  { Progress("Blocks", 30, "blocks", true).advance(30); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
} // namespace compressc
