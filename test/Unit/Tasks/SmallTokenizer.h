// A byte-level tokenizer of printable ASCII, one token a character, that merges " A" to " D" (or
// only up to the letter before `stop`). `beginning` is put before every text, unless below 0.
#pragma once

#include "compressc/runtime/tokenizer.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace compressc {

inline std::unique_ptr<Tokenizer> MakeSmallTokenizer(char stop = 'E', int beginning = -1) {
  nlohmann::json vocabulary, merges = nlohmann::json::array();
  int id = 0;
  for (char c = '!'; c <= '~'; ++c)
    vocabulary[std::string(1, c)] = id++;
  vocabulary["Ġ"] = id++;
  vocabulary["Ċ"] = id++;
  for (char c = 'A'; c < stop; ++c) {
    vocabulary[std::string("Ġ") + c] = id++;
    merges.push_back(std::string("Ġ ") + c);
  }
  nlohmann::json postProcessor = nullptr;
  if (beginning >= 0)
    postProcessor = {{"type", "TemplateProcessing"},
                     {"single",
                      {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                     {"pair", nlohmann::json::array()},
                     {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {beginning}}, {"tokens", {"<s>"}}}}}}};
  nlohmann::json json = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", nlohmann::json::array()},
                         {"normalizer", nullptr},
                         {"pre_tokenizer",
                          {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}}},
                         {"post_processor", postProcessor},
                         {"decoder",
                          {{"type", "ByteLevel"},
                           {"add_prefix_space", true},
                           {"trim_offsets", true},
                           {"use_regex", true}}},
                         {"model",
                          {{"type", "BPE"},
                           {"dropout", nullptr},
                           {"unk_token", nullptr},
                           {"continuing_subword_prefix", nullptr},
                           {"end_of_word_suffix", nullptr},
                           {"fuse_unk", false},
                           {"byte_fallback", false},
                           {"ignore_merges", false},
                           {"vocab", vocabulary},
                           {"merges", merges}}}};
  StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::FromJson(json.dump(), "small");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

} // namespace compressc
