#include "post_processor.h"
#include "bpe.h"
#include "../base/json_fields.h"

namespace compressc {

static constexpr int maxDepth = 8;

/// The ids that a special token of a template stands for.
static StatusOr<std::vector<int32_t>> specialIds(const nlohmann::json &json,
                                                 const std::string &name) {
  const nlohmann::json &ids = Field(Field(Field(json, "special_tokens"), name.c_str()), "ids");
  if (!ids.is_array())
    return Invalid("special_tokens does not give the ids of ", Quoted(name));
  std::vector<int32_t> result;
  for (const nlohmann::json &item : ids) {
    StatusOr<int32_t> id = TokenIdFromJson(item);
    if (!id.ok())
      return WithContext(id.status(), absl::StrCat("special token ", Quoted(name)));
    result.push_back(*id);
  }
  return result;
}

static Status addTemplate(const nlohmann::json &json, PostProcessor &result) {
  const nlohmann::json &single = Field(json, "single");
  if (!single.is_array())
    return Invalid("single must be a list");
  std::vector<int32_t> prefix, suffix;
  bool afterText = false;
  for (const nlohmann::json &piece : single) {
    if (piece.is_object() && piece.size() == 1 && piece.contains("Sequence")) {
      COMPRESSC_ASSIGN_OR_RETURN(std::string which, StringField(piece["Sequence"], "id"));
      if (which != "A" || afterText)
        return Invalid("single must have the sequence A once");
      afterText = true;
    } else if (piece.is_object() && piece.size() == 1 && piece.contains("SpecialToken")) {
      COMPRESSC_ASSIGN_OR_RETURN(std::string name, StringField(piece["SpecialToken"], "id"));
      COMPRESSC_ASSIGN_OR_RETURN(std::vector<int32_t> ids, specialIds(json, name));
      std::vector<int32_t> &side = afterText ? suffix : prefix;
      side.insert(side.end(), ids.begin(), ids.end());
    } else {
      return Invalid("single must consist of {\"Sequence\": ...} and {\"SpecialToken\": ...}");
    }
  }
  if (!afterText)
    return Invalid("single must have the sequence A once");
  result.prefix.insert(result.prefix.begin(), prefix.begin(), prefix.end());
  result.suffix.insert(result.suffix.end(), suffix.begin(), suffix.end());
  return absl::OkStatus();
}

static Status addProcessor(const nlohmann::json &json, int depth, PostProcessor &result) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string type, StringField(json, "type"));
  if (depth > maxDepth)
    return Invalid("too many processors inside each other");
  if (type == "ByteLevel") // corrects offsets, which we don't keep
    return absl::OkStatus();
  if (type == "TemplateProcessing")
    return WithContext(addTemplate(json, result), type);
  if (type == "Sequence") {
    const nlohmann::json &parts = Field(json, "processors");
    if (!parts.is_array())
      return Invalid("Sequence: processors must be a list");
    for (const nlohmann::json &part : parts)
      COMPRESSC_RETURN_IF_ERROR(addProcessor(part, depth + 1, result));
    return absl::OkStatus();
  }
  return Invalid("the type ", Quoted(type),
                 " is not supported (only ByteLevel, TemplateProcessing and Sequence are)");
}

StatusOr<PostProcessor> PostProcessor::FromJson(const nlohmann::json &json) {
  PostProcessor result;
  if (!json.is_null())
    COMPRESSC_RETURN_IF_ERROR(WithContext(addProcessor(json, 0, result), "post_processor"));
  return result;
}

} // namespace compressc
