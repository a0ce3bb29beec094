#include "lib/Materialize/Background.h"
#include <atomic>
#include <gtest/gtest.h>
#include <vector>

namespace compressc {
namespace {

TEST(BackgroundTest, DoesJobsInOrder) {
  std::vector<int> done;
  Background background;
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(background.add([&done, i] { return done.push_back(i), absl::OkStatus(); }).ok());
  EXPECT_TRUE(background.wait().ok());
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(done[size_t(i)], i);
}

TEST(BackgroundTest, DropsWhatComesBehindAFailure) {
  std::atomic<int> after = 0;
  Background background;
  Status status = background.add([] { return Invalid("the disk is full"); });
  for (int i = 0; i < 100 && status.ok(); ++i)
    status = background.add([&] { return ++after, absl::OkStatus(); });
  EXPECT_EQ(background.wait().message(), "the disk is full");
  EXPECT_EQ(background.add([] { return absl::OkStatus(); }).message(), "the disk is full");
  EXPECT_EQ(after, 0);
}

} // namespace
} // namespace compressc
