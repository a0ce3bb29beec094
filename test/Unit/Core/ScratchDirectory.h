// A directory of its own for each test, removed afterwards.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

namespace compressc {

class ScratchDirectory : public ::testing::Test {
protected:
  void SetUp() override {
    std::error_code error;
    std::string pattern =
        (std::filesystem::temp_directory_path(error) / "compressc.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
  }
  void TearDown() override {
    std::error_code error;
    std::filesystem::remove_all(directory, error);
  }

  std::string path(const std::string &name) const { return directory + "/" + name; }
  bool exists(const std::string &name) const {
    std::error_code error;
    return std::filesystem::exists(path(name), error);
  }
  std::string put(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string get(const std::string &name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string directory;
};

} // namespace compressc
