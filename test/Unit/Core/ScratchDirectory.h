// A directory of its own for each test, removed afterwards.
#pragma once

#include "../../TemporaryDirectory.h"
#include <gtest/gtest.h>

namespace compressc {

class ScratchDirectory : public ::testing::Test {
protected:
  std::string path(const std::string &name) const { return directory + "/" + name; }
  bool exists(const std::string &name) const {
    std::error_code error;
    return std::filesystem::exists(path(name), error);
  }
  std::string put(const std::string &name, const std::string &bytes) const { return scratch.write(name, bytes); }
  std::string get(const std::string &name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryDirectory scratch;
  const std::string &directory = scratch.path;
};

} // namespace compressc
