#include "runtime/tasks/output.h"
#include "../../TemporaryDirectory.h"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace compressc {
namespace {

TEST(Output, ReplacesAFile) {
  TemporaryDirectory directory;
  std::string path = directory.write("a.json", "much longer than what follows");
  ASSERT_TRUE(WriteOutput(path, "new").ok());
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, "new");
}

TEST(Output, WritesIntoAPipeAndLeavesItAPipe) {
  TemporaryDirectory directory;
  std::string path = directory.path + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  EXPECT_TRUE(WriteOutput(path, "text").ok());
  char text[8] = {};
  EXPECT_EQ(read(reader, text, sizeof text), 4);
  EXPECT_STREQ(text, "text");
  close(reader);
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_TRUE(S_ISFIFO(info.st_mode));
}

TEST(Output, NamesAPathThatCannotBeWritten) {
  TemporaryDirectory directory;
  std::string path = directory.path + "/absent/a.json";
  Status status = WriteOutput(path, "x");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find(path), absl::string_view::npos) << status;
  EXPECT_FALSE(WriteOutput(directory.path, "x").ok());
}

} // namespace
} // namespace compressc
