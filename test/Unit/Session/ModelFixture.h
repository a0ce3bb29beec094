// A toy model on disk, as compressc leaves one.
#pragma once

#include "compressc/runtime/model.h"
#include "../Core/ScratchDirectory.h"
#include "ToyModel.h"
#include <nlohmann/json.hpp>

namespace compressc {

class ModelFixture : public ScratchDirectory {
protected:
  void write(const ToyModel &toy) {
    std::error_code error;
    std::filesystem::create_directory(directory + "/model", error);
    Status status = toy.writeCheckpoint(path("model/model.safetensors"));
    ASSERT_TRUE(status.ok()) << status;
    nlohmann::json vocabulary;
    for (int i = 0; i < ToyModel::vocabulary; ++i)
      vocabulary[std::string(1, char('(' + i))] = i;
    nlohmann::json byteLevel = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
    nlohmann::json tokenizer = {
        {"version", "1.0"},
        {"added_tokens", nlohmann::json::array()},
        {"normalizer", nullptr},
        {"pre_tokenizer", byteLevel},
        {"post_processor", nullptr},
        {"decoder", byteLevel},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
    put("model/tokenizer.json", tokenizer.dump());
  }

  static ModelInfo infoOf() {
    ModelInfo info;
    info.name = "toy";
    info.vocabularySize = ToyModel::vocabulary;
    info.contextLength = 40;
    return info;
  }

  static std::string payloadOf(const Schedule &schedule, const ModelInfo &info = infoOf()) {
    return "{\"model\":" + SerializeModelInfo(info) +
           ",\"schedule\":" + SerializeSchedule(schedule) + "}";
  }

  ThreadPool pool{2};
};

} // namespace compressc
