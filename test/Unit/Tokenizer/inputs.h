// Test data made by test/Tokenizer/make_golden.py.
#pragma once

#include "compressc/runtime/tokenizer.h"
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace compressc::test {

inline std::string inputText(const std::string &name) {
  std::ifstream file(std::string(COMPRESSC_TEST_DIR "/Inputs/tokenizer/") + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::json inputJson(const std::string &name) {
  nlohmann::json json = nlohmann::json::parse(inputText(name), nullptr, false);
  EXPECT_TRUE(json.is_object()) << name << " is missing or damaged";
  return json;
}

/// tokenizer.json with some components replaced; those of "model" are replaced within it.
inline nlohmann::json changed(nlohmann::json base, const nlohmann::json &changes) {
  for (const auto &item : changes.items()) {
    if (item.key() == "model")
      base["model"].update(item.value());
    else
      base[item.key()] = item.value();
  }
  return base;
}

inline std::unique_ptr<Tokenizer> load(const nlohmann::json &json) {
  StatusOr<std::unique_ptr<Tokenizer>> tokenizer =
      Tokenizer::FromJson(json.dump(), "tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

} // namespace compressc::test
