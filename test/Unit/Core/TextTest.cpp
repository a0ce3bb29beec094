#include "compressc/runtime/text.h"

#include <gtest/gtest.h>

namespace compressc {
namespace {

TEST(Text, QuotedStaysOnOneShortLine) {
  EXPECT_EQ(Quoted("model.norm"), "'model.norm'");
  EXPECT_EQ(Quoted("a\nb\x1b"), "'a\\nb\\x1b'");
  EXPECT_EQ(Quoted("é"), "'é'");
  EXPECT_EQ(Quoted(std::string(1000, 'n')), "'" + std::string(200, 'n') + "...'");
}

TEST(Text, Utf8) {
  for (const char *good : {"", "a", "é", "\u0800", "\uffff", "\U00010000", "\U0010ffff", "aéb"})
    EXPECT_TRUE(IsUtf8(good)) << good;
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
  for (const char *bad :
       {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "ok\xfe"})
    EXPECT_FALSE(IsUtf8(bad));
}

} // namespace
} // namespace compressc
