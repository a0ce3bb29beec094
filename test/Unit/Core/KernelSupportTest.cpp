#include "compressc/runtime/kernel.h"

#include <cstring>
#include <gtest/gtest.h>

namespace compressc {
namespace {

Attributes sample() {
  Attributes attributes;
  attributes.set("heads", int64_t(9));
  attributes.set("epsilon", 1e-5);
  attributes.set("kind", std::string("silu"));
  attributes.set("frequencies", std::vector<double>{1, 0.5});
  return attributes;
}

TEST(Attributes, ReturnsWhatWasSet) {
  Attributes attributes = sample();
  EXPECT_EQ(attributes.getInt("heads").value(), 9);
  EXPECT_EQ(attributes.getFloat("epsilon").value(), 1e-5);
  EXPECT_EQ(attributes.getFloat("heads").value(), 9.0) << "an integer is a number too";
  EXPECT_EQ(attributes.getString("kind").value(), "silu");
  EXPECT_EQ(attributes.getFloats("frequencies").value(), (std::vector<double>{1, 0.5}));
  EXPECT_EQ(attributes.getIntOr("heads", 1), 9);
  EXPECT_EQ(attributes.getFloatOr("none", 0.25), 0.25);
  EXPECT_EQ(attributes.getStringOr("none", "add"), "add");
  attributes.set("heads", int64_t(3));
  EXPECT_EQ(attributes.getInt("heads").value(), 3);
}

TEST(Attributes, NamesWhatIsWrong) {
  Attributes attributes = sample();
  EXPECT_EQ(attributes.getInt("width").status().message(), "attribute 'width' is missing");
  EXPECT_EQ(attributes.getInt("epsilon").status().message(),
            "attribute 'epsilon' must be an integer");
  EXPECT_EQ(attributes.getFloat("kind").status().message(), "attribute 'kind' must be a number");
  EXPECT_EQ(attributes.getString("heads").status().message(), "attribute 'heads' must be a string");
  EXPECT_EQ(attributes.getFloats("heads").status().message(),
            "attribute 'heads' must be a list of numbers");
}

TEST(Scratch, IsAlignedKeptAndSeparateForEachOwner) {
  Scratch scratch(2);
  void *common = scratch.shared(100);
  void *first = scratch.worker(0, 1000);
  void *second = scratch.worker(1, 1000);
  for (void *memory : {common, first, second})
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
  std::memset(common, 1, 100);
  std::memset(first, 2, 1000);
  std::memset(second, 3, 1000);
  EXPECT_EQ(scratch.worker(0, 500), first) << "a smaller request reuses the memory";
  EXPECT_EQ(static_cast<char *>(first)[999], 2);
  EXPECT_EQ(static_cast<char *>(common)[99], 1);
  std::memset(scratch.worker(0, 1 << 20), 4, 1 << 20);
  EXPECT_EQ(static_cast<char *>(second)[999], 3);
  EXPECT_NE(scratch.worker(1, 0), nullptr);
}

} // namespace
} // namespace compressc
