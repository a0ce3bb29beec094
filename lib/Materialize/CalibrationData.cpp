// Calibration tokens from text files.
#include "compressc/Materialize/CalibrationData.h"
#include "compressc/runtime/safetensors.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"
#include <nlohmann/json.hpp>

using nlohmann::json;

namespace compressc {
namespace {

std::string stripped(std::string text) {
  llvm::StringRef trimmed = llvm::StringRef(text).trim(" \t\n\v\f\r");
  return trimmed.str();
}

StatusOr<std::string> rowText(const json &row, absl::string_view where) {
  auto text = [&](const char *key) -> const std::string * {
    auto found = row.find(key);
    return found != row.end() ? found->get_ptr<const json::string_t *>() : nullptr;
  };
  if (const std::string *plain = text("text"))
    return *plain;
  if (text("problem") && text("solution"))
    return *text("problem") + "\n" + *text("solution");
  const std::string *question = text("question");
  auto choices = row.find("choices"), answer = row.find("answer");
  if (question && choices != row.end() && choices->is_array() && choices->size() == 4 &&
      answer != row.end() && answer->is_number_integer()) {
    std::string result = stripped(*question);
    for (size_t i = 0; i < 4; ++i) {
      auto *choice = (*choices)[i].get_ptr<const json::string_t *>();
      if (!choice)
        return Invalid(where, ": choices must be strings");
      result += std::string("\n") + char('A' + i) + ". " + *choice;
    }
    auto letter = answer->get<int64_t>();
    if (letter < 0 || letter > 3)
      return Invalid(where, ": answer must be 0 to 3");
    return result + "\nAnswer: " + char('A' + letter);
  }
  return Invalid(where, ": expected an object with `text`, or an MMLU row (question, choices, answer), or a "
                        "MATH row (problem, solution)");
}

} // namespace

StatusOr<CalibrationSet> ReadCalibration(const std::string &path, const Tokenizer &tokenizer,
                                         int64_t samples, int64_t length) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string contents, ReadTextFile(path));
  std::vector<int32_t> ids;
  auto add = [&](const std::string &text) {
    std::vector<int32_t> more = tokenizer.encode(text, /*addSpecialTokens=*/false);
    ids.insert(ids.end(), more.begin(), more.end());
    return int64_t(ids.size()) >= samples * length;
  };
  llvm::StringRef rest(contents);
  if (!rest.ltrim().starts_with("{")) {
    add(contents);
  } else {
    for (int64_t line = 1; !rest.empty(); ++line) {
      llvm::StringRef row;
      std::tie(row, rest) = rest.split('\n');
      if (row.trim().empty())
        continue;
      std::string where = absl::StrCat(path, ":", line);
      json object = json::parse(row.begin(), row.end(), nullptr, false);
      if (!object.is_object())
        return Invalid(where, ": not a JSON object");
      COMPRESSC_ASSIGN_OR_RETURN(std::string text, rowText(object, where));
      if (add(text + "\n\n"))
        break;
    }
  }
  if (int64_t(ids.size()) < samples * length)
    return Invalid(path, " has ", ids.size(), " tokens, but --samples ", samples, " of --sequence-length ",
                   length, " need ", samples * length, "; give more text or lower one of them");
  CalibrationSet set;
  for (int64_t i = 0; i < samples; ++i)
    set.samples.emplace_back(ids.begin() + i * length, ids.begin() + (i + 1) * length);
  return set;
}

std::string TokenDigest(const CalibrationSet &set) {
  llvm::SHA256 hash;
  for (const std::vector<int32_t> &sample : set.samples)
    hash.update(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(sample.data()), sample.size() * 4));
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

} // namespace compressc
