#include "runtime/tasks/mmlu_prompt.h"
#include "runtime/tasks/text.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

Question make(std::string subject, std::string text, int answer = 0) {
  Question question;
  question.subject = std::move(subject);
  question.text = std::move(text);
  question.choices = {"one", " two", "three ", "None"};
  question.answer = answer;
  return question;
}

TEST(MmluPrompt, ZeroShot) {
  PromptBuilder builder({}, 0);
  StatusOr<std::string> prompt = builder.prompt(make("high_school_art", "\n What is it? \t"));
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(*prompt, "The following are multiple choice questions (with answers) about high school "
                     "art.\n\nWhat is it?\nA. one\nB.  two\nC. three \nD. None\nAnswer:");
}

TEST(MmluPrompt, TakesTheFirstShotsOfTheSubject) {
  PromptBuilder builder({make("art", "First? ", 3), make("law", "Law?", 1),
                         make("art", "Second?", 1), make("art", "Third?", 2)},
                        2);
  StatusOr<std::string> prompt = builder.prompt(make("art", "Asked?"));
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(*prompt, "The following are multiple choice questions (with answers) about art.\n\n"
                     "First?\nA. one\nB.  two\nC. three \nD. None\nAnswer: D\n\n"
                     "Second?\nA. one\nB.  two\nC. three \nD. None\nAnswer: B\n\n"
                     "Asked?\nA. one\nB.  two\nC. three \nD. None\nAnswer:");
  EXPECT_EQ(builder.prompt(make("law", "Asked?")).status().message(),
            "subject law has 1 dev questions, but --shots asks for 2; pass --shots 1");
  EXPECT_FALSE(builder.prompt(make("new", "Asked?")).ok());
}

TEST(MmluPrompt, AnswersBeginWithASpace) {
  EXPECT_EQ(AnswerText(0), " A");
  EXPECT_EQ(AnswerText(3), " D");
}

TEST(Text, StripsWhatPythonStrips) {
  EXPECT_EQ(StripWhitespace(" \t\r\n\v\f x y \x1c\x1f "), "x y");
  EXPECT_EQ(StripWhitespace("\u00A0\u2003\u3000x\u2028\u205F"), "x");
  EXPECT_EQ(StripWhitespace("\u200Bx\uFEFF"), "\u200Bx\uFEFF"); // not white space to Python
  EXPECT_EQ(StripWhitespace("é"), "é");
  EXPECT_EQ(StripWhitespace(" \u3000 "), "");
}

TEST(Text, FormatsNumbers) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatBytes(17), "17 bytes");
  EXPECT_EQ(FormatBytes(269060280), "269,060,280 bytes (256.6 MiB)");
}

} // namespace
} // namespace compressc
