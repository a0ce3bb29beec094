#include "model_info.h"
#include "../base/json_reader.h"
#include <limits>

namespace compressc {
namespace {

constexpr int64_t maxTokenId = std::numeric_limits<int32_t>::max();
constexpr int64_t maxBytes = int64_t(1) << 60;
constexpr size_t maxEndTokens = 4096;

} // namespace

std::string SerializeModelInfo(const ModelInfo &info) {
  nlohmann::ordered_json object;
  object["name"] = info.name;
  object["architecture"] = info.architecture;
  object["pipeline"] = info.pipeline;
  object["vocabularySize"] = info.vocabularySize;
  object["contextLength"] = info.contextLength;
  object["originalWeightBytes"] = info.originalWeightBytes;
  object["weightBytes"] = info.weightBytes;
  object["endTokens"] = info.endTokens;
  object["device"] = info.device;
  object["addSpecialTokens"] = info.addSpecialTokens;
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

StatusOr<ModelInfo> ModelInfoFromJson(const nlohmann::json &value) {
  COMPRESSC_ASSIGN_OR_RETURN(
      JsonObject object,
      JsonObject::From(value, "model",
                       {"name", "architecture", "pipeline", "vocabularySize", "contextLength",
                        "originalWeightBytes", "weightBytes", "endTokens", "device", "addSpecialTokens"}));
  ModelInfo info;
  COMPRESSC_ASSIGN_OR_RETURN(info.name, object.string("name"));
  COMPRESSC_ASSIGN_OR_RETURN(info.architecture, object.string("architecture", ""));
  COMPRESSC_ASSIGN_OR_RETURN(info.pipeline, object.string("pipeline", ""));
  COMPRESSC_ASSIGN_OR_RETURN(info.vocabularySize, object.integer("vocabularySize", 1, maxTokenId));
  COMPRESSC_ASSIGN_OR_RETURN(info.contextLength, object.integer("contextLength", 1, maxTokenId));
  COMPRESSC_ASSIGN_OR_RETURN(info.originalWeightBytes,
                             object.integer("originalWeightBytes", 0, maxBytes, 0));
  COMPRESSC_ASSIGN_OR_RETURN(info.weightBytes, object.integer("weightBytes", 0, maxBytes, 0));
  COMPRESSC_ASSIGN_OR_RETURN(info.device, object.string("device", "cpu"));
  COMPRESSC_ASSIGN_OR_RETURN(info.addSpecialTokens, object.boolean("addSpecialTokens", false));
  COMPRESSC_ASSIGN_OR_RETURN(const nlohmann::json *ends, object.array("endTokens", maxEndTokens));
  for (const nlohmann::json &end : *ends) {
    COMPRESSC_ASSIGN_OR_RETURN(int64_t token,
                               JsonInteger(end, object.where("endTokens"), 0, maxTokenId));
    info.endTokens.push_back(int32_t(token));
  }
  return info;
}

StatusOr<ModelInfo> ParseModelInfo(std::string_view text) {
  COMPRESSC_ASSIGN_OR_RETURN(nlohmann::json value, ParseJson(text, "model"));
  return ModelInfoFromJson(value);
}

} // namespace compressc
