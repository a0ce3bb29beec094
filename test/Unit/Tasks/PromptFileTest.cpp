#include "../../TemporaryDirectory.h"
#include "runtime/tasks/prompt_file.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

class PromptFile : public testing::Test {
protected:
  std::string failure(const std::string &name, const std::string &text) {
    std::string path = directory.write(name, text);
    Status status = ReadPrompts(path).status();
    std::string message(status.message());
    return message.substr(0, path.size()) == path ? message.substr(path.size()) : message;
  }
  TemporaryDirectory directory;
};

using Prompts = std::vector<std::string>;

TEST_F(PromptFile, ReadsLines) {
  EXPECT_EQ(*ReadPrompts(directory.write("a.txt", "one\n two \r\n\n {\"prompt\": 1}")),
            (Prompts{"one", " two ", " {\"prompt\": 1}"}));
}

TEST_F(PromptFile, ReadsJsonLines) {
  EXPECT_EQ(*ReadPrompts(directory.write(
                "a.jsonl", "{\"prompt\": \"a\\nb\", \"id\": 3}\n\n{\"prompt\": \"\"}\n")),
            (Prompts{"a\nb", ""}));
}

TEST_F(PromptFile, SaysWhatIsWrong) {
  EXPECT_EQ(failure("a.txt", ""), ": holds no prompts");
  EXPECT_EQ(failure("a.txt", "\n \n"), ": holds no prompts");
  EXPECT_EQ(failure("a.txt", "a\n\xFF\n"), ":2: not valid UTF-8");
  EXPECT_EQ(failure("a.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\":"), ":2: not valid JSON in UTF-8");
  for (const char *bad : {"[]", "{}", "3", "{\"prompt\": 3}"})
    EXPECT_EQ(failure("a.jsonl", bad), ":1: expected an object with a string \"prompt\"");
  EXPECT_FALSE(ReadPrompts(directory.path + "/absent").ok());
}

} // namespace
} // namespace compressc
