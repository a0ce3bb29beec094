// Writes built bytes to a file of its own and opens it.
#pragma once

#include "GGUFBuilder.h"
#include "compressc/Import/GGUFModel.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace compressc {

class GGUFFixture : public ::testing::Test {
protected:
  void SetUp() override {
    std::error_code error;
    std::string pattern =
        (std::filesystem::temp_directory_path(error) / "compressc.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    path = directory + "/model.gguf";
  }
  void TearDown() override {
    std::error_code error;
    std::filesystem::remove_all(directory, error);
  }

  StatusOr<GGUFFile> open(const std::string &bytes) const {
    std::ofstream(path, std::ios::binary) << bytes;
    return GGUFFile::Open(path);
  }
  StatusOr<GGUFFile> open(const GGUFBuilder &builder) const { return open(builder.build()); }

  /// The message begins with the file's name and contains `part`.
  void expectError(const Status &status, const std::string &part) const {
    ASSERT_FALSE(status.ok()) << "no error; wanted: " << part;
    std::string message(status.message());
    EXPECT_EQ(message.find(path), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nwanted: " << part;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  std::string directory, path;
};

} // namespace compressc
