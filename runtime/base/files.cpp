#include "compressc/runtime/safetensors.h"
#include "output_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace compressc {

namespace {

class Descriptor {
public:
  explicit Descriptor(int value) : value(value) {}
  ~Descriptor() {
    if (value >= 0)
      ::close(value);
  }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int get() const { return value; }

private:
  int value;
};

int openRetrying(const char *path, int flags, mode_t mode = 0) {
  int descriptor;
  do
    descriptor = ::open(path, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

Status systemError(const std::string &path, const char *action) {
  return IOError(path, ": cannot ", action, ": ", std::strerror(errno));
}

Status tooLarge(const std::string &path, size_t limit) {
  return Invalid(path, ": larger than the limit of ", limit, " bytes");
}

std::string directoryOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool isGzip(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

/// Inflates all members of a gzip file.
StatusOr<std::string> gunzip(const std::string &path, std::string_view compressed, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK)
    return IOError(path, ": cannot start zlib");
  struct Cleanup {
    z_stream &stream;
    ~Cleanup() { inflateEnd(&stream); }
  } cleanup{stream};

  std::string text;
  std::string chunk(size_t(1) << 18, '\0');
  auto nextInput = reinterpret_cast<Bytef *>(const_cast<char *>(compressed.data()));
  size_t left = compressed.size();
  for (;;) {
    // zlib counts in 32 bits.
    stream.next_in = nextInput;
    stream.avail_in = uInt(std::min<size_t>(left, size_t(1) << 30));
    uInt offered = stream.avail_in;
    stream.next_out = reinterpret_cast<Bytef *>(chunk.data());
    stream.avail_out = uInt(chunk.size());
    int code = inflate(&stream, Z_NO_FLUSH);
    nextInput += offered - stream.avail_in;
    left -= offered - stream.avail_in;
    size_t produced = chunk.size() - stream.avail_out;
    if (produced > limit - text.size())
      return tooLarge(path, limit);
    text.append(chunk, 0, produced);
    if (code == Z_STREAM_END) {
      if (left == 0)
        return text;
      if (!isGzip(std::string_view(reinterpret_cast<char *>(nextInput), left)))
        return Invalid(path, ": bytes that are not gzip follow the compressed data");
      inflateReset(&stream);
      continue;
    }
    if (code == Z_BUF_ERROR || (code == Z_OK && left == 0 && stream.avail_out != 0))
      return Invalid(path, ": the gzip data is truncated");
    if (code != Z_OK)
      return Invalid(path, ": the gzip data is damaged (", stream.msg ? stream.msg : "zlib error",
                     ")");
  }
}

} // namespace

StatusOr<std::shared_ptr<MappedFile>> MappedFile::Open(const std::string &path) {
  return OpenRegion(path, 0, -1, path);
}

StatusOr<std::shared_ptr<MappedFile>> MappedFile::OpenRegion(const std::string &path, int64_t offset, int64_t bytes,
                                                             const std::string &name) {
  Descriptor file(openRetrying(path.c_str(), O_RDONLY));
  if (file.get() < 0)
    return systemError(path, "open");
  struct stat info;
  if (::fstat(file.get(), &info) != 0)
    return systemError(path, "stat");
  if (!S_ISREG(info.st_mode))
    return Invalid(path, ": not a regular file");
  if (bytes < 0)
    bytes = info.st_size;
  if (offset < 0 || offset % regionAlignment || offset > info.st_size || bytes > info.st_size - offset)
    return Invalid(name, ": would be ", bytes, " bytes from ", offset, " on in a file of ", info.st_size);
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->name = name;
  mapped->fileIdentity = absl::StrCat(info.st_dev, ":", info.st_ino, ":", info.st_size, ":", info.st_mtim.tv_sec, ":",
                                      info.st_mtim.tv_nsec);
  if (bytes == 0)
    return mapped;
  void *base = ::mmap(nullptr, size_t(bytes), PROT_READ, MAP_PRIVATE, file.get(), offset);
  if (base == MAP_FAILED)
    return systemError(path, "map");
  mapped->base = static_cast<const uint8_t *>(base);
  mapped->length = size_t(bytes);
  return mapped;
}

MappedFile::~MappedFile() {
  if (base)
    ::munmap(const_cast<uint8_t *>(base), length);
}

StatusOr<std::unique_ptr<OutputFile>> OutputFile::Create(const std::string &path, int64_t bytes,
                                                         const std::string &suffix) {
  std::unique_ptr<OutputFile> file(new OutputFile);
  file->finalPath = path;
  std::string temporary = path + suffix;
  file->descriptor =
      openRetrying(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666);
  if (file->descriptor < 0)
    return systemError(temporary, "create");
  file->temporaryPath = temporary;
  // Find out about a full disk before the work, not at its end. Some file systems cannot say.
  if (bytes > 0 && ::fallocate(file->descriptor, 0, 0, bytes) != 0 &&
      (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
    return IOError(temporary, ": cannot reserve ", bytes, " bytes: ", std::strerror(errno));
  return file;
}

OutputFile::~OutputFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (!committed && !temporaryPath.empty())
    ::unlink(temporaryPath.c_str());
}

Status OutputFile::failed(const char *action) const { return systemError(temporaryPath, action); }

Status OutputFile::writeAt(int64_t offset, const void *data, int64_t bytes) {
  auto from = static_cast<const uint8_t *>(data);
  while (bytes > 0) {
    ssize_t written =
        ::pwrite(descriptor, from, size_t(std::min<int64_t>(bytes, int64_t(1) << 30)), offset);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return failed("write");
    // The disk begins now, so that there is little left to wait for when the file is committed.
    ::sync_file_range(descriptor, offset, written, SYNC_FILE_RANGE_WRITE);
    from += written;
    offset += written;
    bytes -= written;
  }
  return absl::OkStatus();
}

Status OutputFile::resize(int64_t bytes) {
  return ::ftruncate(descriptor, bytes) == 0 ? absl::OkStatus() : failed("resize");
}

Status OutputFile::commit() {
  if (::fsync(descriptor) != 0)
    return failed("fsync");
  int closed = ::close(descriptor);
  descriptor = -1;
  if (closed != 0)
    return failed("close");
  if (::rename(temporaryPath.c_str(), finalPath.c_str()) != 0)
    return IOError(temporaryPath, ": cannot rename to ", finalPath, ": ", std::strerror(errno));
  committed = true;
  std::string directory = directoryOf(finalPath);
  Descriptor handle(openRetrying(directory.c_str(), O_RDONLY | O_DIRECTORY));
  if (handle.get() < 0)
    return systemError(directory, "open");
  // Some network file systems refuse to sync a directory; the file itself is safe by now.
  if (::fsync(handle.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    return systemError(directory, "fsync");
  return absl::OkStatus();
}

Status WriteFileAtomically(const std::string &path, std::string_view contents) {
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<OutputFile> file,
                             OutputFile::Create(path, int64_t(contents.size())));
  COMPRESSC_RETURN_IF_ERROR(file->writeAt(0, contents.data(), int64_t(contents.size())));
  return file->commit();
}

StatusOr<std::string> ReadFile(const std::string &path, size_t limit) {
  Descriptor file(openRetrying(path.c_str(), O_RDONLY));
  if (file.get() < 0)
    return systemError(path, "open");
  struct stat info;
  if (::fstat(file.get(), &info) != 0)
    return systemError(path, "stat");
  if (S_ISDIR(info.st_mode))
    return Invalid(path, ": a directory, not a file");
  size_t expected = S_ISREG(info.st_mode) ? size_t(info.st_size) : 0;
  if (expected > limit)
    return tooLarge(path, limit);
  // One byte more than expected, so that the end is seen without growing. The size is only a hint:
  // pipes and files of /proc say 0.
  std::string text(expected + 1, '\0');
  size_t used = 0;
  for (;;) {
    if (used == text.size())
      text.resize(text.size() + std::max<size_t>(text.size(), 65536));
    ssize_t got = ::read(file.get(), text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError(path, "read");
    if (got == 0)
      break;
    used += size_t(got);
    if (used > limit)
      return tooLarge(path, limit);
  }
  text.resize(used);
  return text;
}

StatusOr<std::string> ReadTextFile(const std::string &path, size_t limit) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, limit));
  if (!isGzip(bytes))
    return bytes;
  return gunzip(path, bytes, limit);
}

} // namespace compressc
