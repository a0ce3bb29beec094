#include "compressc/runtime/model.h"
#include "../base/output_file.h"
#include <cerrno>
#include <cstring>
#include <optional>
#include <sys/stat.h>

namespace compressc {
namespace {

constexpr std::string_view magic = "CPRSSC01";
constexpr size_t trailerSize = sizeof(uint64_t) + magic.size();

void writeLength(uint64_t length, char *bytes) {
  for (size_t i = 0; i < sizeof length; ++i)
    bytes[i] = char(length >> (8 * i));
}

uint64_t readLength(const uint8_t *bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < sizeof length; ++i)
    length |= uint64_t(bytes[i]) << (8 * i);
  return length;
}

/// The payload of a mapped executable; nothing when it has none.
StatusOr<std::optional<std::string_view>> findPayload(const MappedFile &file) {
  size_t size = file.size();
  if (size < trailerSize ||
      std::memcmp(file.data() + size - magic.size(), magic.data(), magic.size()) != 0)
    return std::optional<std::string_view>();
  uint64_t length = readLength(file.data() + size - trailerSize);
  if (length > size - trailerSize)
    return Invalid(file.path(), ": its payload claims ", length, " bytes, the file has ", size,
                   "; it is damaged, build it again");
  const uint8_t *begin = file.data() + size - trailerSize - length;
  return std::optional(std::string_view(reinterpret_cast<const char *>(begin), length));
}

} // namespace

StatusOr<std::string> ReadPayload(const std::string &executable) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(executable));
  COMPRESSC_ASSIGN_OR_RETURN(std::optional<std::string_view> payload, findPayload(*file));
  if (!payload)
    return absl::NotFoundError(absl::StrCat(executable, ": carries no compiled model"));
  return std::string(*payload);
}

Status WriteExecutable(const std::string &runtime, const std::string &output,
                       std::string_view payload, const std::vector<EmbeddedFile> &files) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, MappedFile::Open(runtime));
  COMPRESSC_ASSIGN_OR_RETURN(std::optional<std::string_view> old, findPayload(*file));
  // A runtime that already serves a model gives up that model's payload.
  int64_t base = int64_t(file->size() - (old ? old->size() + trailerSize : 0));
  if (base == 0)
    return Invalid(runtime, ": is no executable, it is empty");

  int64_t end = base;
  std::vector<std::pair<std::shared_ptr<MappedFile>, int64_t>> embedded; // with their offsets
  std::string list;
  for (const EmbeddedFile &source : files) {
    COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> mapped, MappedFile::Open(source.path));
    int64_t offset = (end + MappedFile::regionAlignment - 1) / MappedFile::regionAlignment *
                     MappedFile::regionAlignment;
    end = offset + int64_t(mapped->size());
    absl::StrAppend(&list, list.empty() ? "" : ",", "\"", source.name, "\":[", offset, ",", mapped->size(), "]");
    embedded.emplace_back(std::move(mapped), offset);
  }
  std::string text(payload);
  if (!files.empty())
    text.insert(text.find('{') + 1, absl::StrCat("\"files\":{", list, "},\n"));
  char trailer[trailerSize];
  writeLength(text.size(), trailer);
  std::memcpy(trailer + sizeof(uint64_t), magic.data(), magic.size());

  int64_t length = int64_t(text.size());
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<OutputFile> target,
                             OutputFile::Create(output, end + length + int64_t(trailerSize)));
  COMPRESSC_RETURN_IF_ERROR(target->writeAt(0, file->data(), base));
  for (const auto &[mapped, offset] : embedded)
    COMPRESSC_RETURN_IF_ERROR(target->writeAt(offset, mapped->data(), int64_t(mapped->size())));
  COMPRESSC_RETURN_IF_ERROR(target->writeAt(end, text.data(), length));
  COMPRESSC_RETURN_IF_ERROR(target->writeAt(end + length, trailer, trailerSize));
  // Before it gets its name, so that it is never there without being executable.
  if (::chmod((output + ".tmp").c_str(), 0755) != 0)
    return IOError(output, ".tmp: cannot make it executable: ", std::strerror(errno));
  return target->commit();
}

} // namespace compressc
