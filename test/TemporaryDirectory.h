// A directory for one test, or one run of a fuzz target, gone afterwards.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace compressc {

class TemporaryDirectory {
public:
  TemporaryDirectory() {
    path = (std::filesystem::temp_directory_path() / "compressc-XXXXXX").string();
    if (!mkdtemp(path.data())) {
      std::perror(path.c_str());
      std::abort();
    }
  }
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string write(const std::string &name, const std::string &contents) const {
    std::filesystem::path file = std::filesystem::path(path) / name;
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);
    std::ofstream(file, std::ios::binary) << contents;
    return file.string();
  }
  std::string path;
};

} // namespace compressc
