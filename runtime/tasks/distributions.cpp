#include "runtime/tasks/distributions.h"
#include "compressc/runtime/safetensors.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace compressc {
namespace {

constexpr std::string_view magic = "CPRSSCKL";
constexpr uint32_t version = 1;
constexpr size_t digestLength = 16, longestName = 4096;

struct Header {
  char magic[8];
  uint32_t version, vocabulary, windows, context, kept, nameLength;
  char digest[digestLength];
};

template <typename T> void append(std::string &text, const std::vector<T> &values) {
  text.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

template <typename T> const uint8_t *take(const uint8_t *from, std::vector<T> &values) {
  std::memcpy(values.data(), from, values.size() * sizeof(T));
  return from + values.size() * sizeof(T);
}

bool isProbability(float value) { return value >= 0 && value <= 1.001f; }
bool isLogProbability(float value) { return std::isfinite(value) && value <= 0.001f; }

} // namespace

void Distributions::resize() {
  followers.resize(size_t(positions()));
  rests.resize(size_t(positions()));
  tokens.resize(size_t(positions() * kept));
  logs.resize(size_t(positions() * kept));
}

Status WriteDistributions(const std::string &path, const Distributions &distributions) {
  Header header = {};
  std::copy(magic.begin(), magic.end(), header.magic);
  header.version = version;
  header.vocabulary = uint32_t(distributions.vocabulary);
  header.windows = uint32_t(distributions.windows);
  header.context = uint32_t(distributions.context);
  header.kept = uint32_t(distributions.kept);
  std::string name = distributions.model.substr(0, longestName);
  header.nameLength = uint32_t(name.size());
  std::copy_n(distributions.digest.begin(), digestLength, header.digest);
  std::string text(reinterpret_cast<const char *>(&header), sizeof header);
  text += name;
  append(text, distributions.followers);
  append(text, distributions.rests);
  append(text, distributions.tokens);
  append(text, distributions.logs);
  return WriteFileAtomically(path, text);
}

StatusOr<Distributions> ReadDistributions(const std::string &path) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(path));
  Header header;
  if (file->size() < sizeof header || std::memcmp(file->data(), magic.data(), magic.size()) != 0)
    return Invalid(path, ": holds no distributions; `run kl --save` of the base writes them");
  std::memcpy(&header, file->data(), sizeof header);
  if (header.version != version)
    return Invalid(path, ": has version ", header.version, " of the format, but this program reads ", version,
                   "; save it again");
  Status broken = Invalid(path, ": is damaged or cut short; save it again");
  size_t begin = sizeof header + header.nameLength;
  if (header.vocabulary > 1u << 30 || header.windows == 0 || header.windows > 1u << 30 || header.context < 2 ||
      header.context > 1u << 24 || header.kept == 0 ||
      header.kept > header.vocabulary || header.nameLength > longestName || begin > file->size())
    return broken;
  Distributions result;
  result.vocabulary = header.vocabulary;
  result.windows = header.windows;
  result.context = header.context;
  result.kept = header.kept;
  result.digest.assign(header.digest, digestLength);
  result.model.assign(reinterpret_cast<const char *>(file->data()) + sizeof header, header.nameLength);
  for (char &c : result.model) // it is printed
    if (uint8_t(c) < 0x20 || c == 0x7F)
      c = ' ';
  int64_t bytes = int64_t(file->size() - begin), each = 8 + 8 * result.kept;
  if (bytes % each != 0 || bytes / each != result.positions())
    return broken;
  result.resize();
  const uint8_t *from = take(file->data() + begin, result.followers);
  take(take(take(from, result.rests), result.tokens), result.logs);
  auto isToken = [&](int32_t token) { return token >= 0 && token < result.vocabulary; };
  if (!std::all_of(result.followers.begin(), result.followers.end(), isLogProbability) ||
      !std::all_of(result.rests.begin(), result.rests.end(), isProbability) ||
      !std::all_of(result.tokens.begin(), result.tokens.end(), isToken) ||
      !std::all_of(result.logs.begin(), result.logs.end(), isLogProbability))
    return broken;
  return result;
}

std::vector<int32_t> GreatestTokens(absl::Span<const float> logits, int64_t count) {
  std::vector<int32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  auto greater = [&](int32_t a, int32_t b) {
    return logits[size_t(a)] != logits[size_t(b)] ? logits[size_t(a)] > logits[size_t(b)] : a < b;
  };
  std::nth_element(tokens.begin(), tokens.begin() + (count - 1), tokens.end(), greater);
  tokens.resize(size_t(count));
  std::sort(tokens.begin(), tokens.end(), greater);
  return tokens;
}

Mass MassBeside(absl::Span<const float> logits, absl::Span<const int32_t> tokens) {
  double greatest = *std::max_element(logits.begin(), logits.end()), sum = 0, beside = 0;
  std::vector<int32_t> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());
  auto next = sorted.begin();
  for (int32_t token = 0; token < int32_t(logits.size()); ++token) {
    bool named = next != sorted.end() && *next == token;
    while (next != sorted.end() && *next == token)
      ++next;
    (named ? sum : beside) += std::exp(double(logits[size_t(token)]) - greatest);
  }
  return {greatest + std::log(sum + beside), beside / (sum + beside)};
}

} // namespace compressc
