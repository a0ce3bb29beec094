// An entry is a header, the parts' sizes, and the parts; everything starts at multiples of 64 bytes.
#include "compressc/Materialize/BlockStore.h"
#include "runtime/base/output_file.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace compressc {
namespace {

constexpr std::string_view resultsSuffix = ".results", statesSuffix = ".states", temporaryMark = ".tmp-";
constexpr size_t alignment = 64;

struct Header {
  char magic[8] = {'c', 'c', 's', 't', 'o', 'r', 'e', '1'};
  uint64_t parts = 0;
  Digest key;
  Digest checksum; // of the parts
};
static_assert(sizeof(Header) <= alignment);

size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

Digest checksumOf(const BlockStore::Parts &parts) {
  Hasher hasher;
  for (std::string_view part : parts)
    hasher.add(part);
  return hasher.finish();
}

void warn(const std::string &text) { std::fprintf(stderr, "compressc: warning: %s\n", text.c_str()); }

bool isEntry(const std::string &name) {
  size_t dot = name.find('.');
  return dot == 32 && name.find_first_not_of("0123456789abcdef") == dot;
}

/// The parts of a mapped entry, or what is wrong with it.
StatusOr<BlockStore::Parts> readParts(const MappedFile &file, const Digest &key,
                                      const std::vector<int64_t> &sizes) {
  Header header, expected;
  size_t offset = alignment + aligned(sizes.size() * sizeof(int64_t)), total = offset;
  for (int64_t size : sizes)
    total += aligned(size_t(size));
  if (file.size() < sizeof header)
    return Invalid("is truncated");
  std::memcpy(&header, file.data(), sizeof header);
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.key != key)
    return Invalid("is no entry of this key");
  if (header.parts != sizes.size() || file.size() != total ||
      std::memcmp(file.data() + alignment, sizes.data(), sizes.size() * sizeof(int64_t)) != 0)
    return Invalid("has another size than its key asks for");
  BlockStore::Parts parts;
  for (int64_t size : sizes) {
    parts.emplace_back(reinterpret_cast<const char *>(file.data()) + offset, size_t(size));
    offset += aligned(size_t(size));
  }
  if (checksumOf(parts) != header.checksum)
    return Invalid("does not match its checksum");
  return parts;
}

} // namespace

StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(const std::string &directory) {
  std::unique_ptr<BlockStore> store(new BlockStore);
  store->directory = directory;
  std::string lockPath = directory + "/lock";
  // Another process may discard the store between our opening the lock and taking it: then again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::error_code error;
    store->made |= fs::create_directories(directory, error);
    if (store->lock >= 0)
      ::close(store->lock);
    store->lock = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (store->lock < 0) {
      if (errno == ENOENT && !error)
        continue;
      return IOError("the store ", directory, " can't be used: ", std::strerror(errno),
                     "; choose another with --store DIR, or --no-store");
    }
    // Alone: what is half-written has no writer. Some file systems have no locks; then nothing is removed.
    if (::flock(store->lock, LOCK_EX | LOCK_NB) == 0)
      for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
        if (std::string name = entry.path().filename().string();
            isEntry(name) && name.find(temporaryMark) != std::string::npos)
          fs::remove(entry.path(), error);
    ::flock(store->lock, LOCK_SH);
    struct stat info;
    if (::fstat(store->lock, &info) == 0 && info.st_nlink > 0)
      return store;
  }
  return IOError("the store ", directory, " disappears while it is opened; choose another with --store DIR");
}

std::unique_ptr<BlockStore> BlockStore::OpenToRead(const std::string &directory) {
  std::unique_ptr<BlockStore> store(new BlockStore);
  store->directory = directory;
  return store;
}

BlockStore::~BlockStore() {
  if (lock < 0)
    return;
  std::error_code error;
  auto isAnEntry = [](const fs::directory_entry &entry) { return isEntry(entry.path().filename().string()); };
  fs::directory_iterator files(directory, error);
  if (made && !error && std::none_of(begin(files), end(files), isAnEntry) && ::flock(lock, LOCK_EX | LOCK_NB) == 0)
    removeDirectory();
  if (lock >= 0)
    ::close(lock);
}

std::string BlockStore::entryPath(Kind kind, const Digest &key) const {
  return directory + "/" + key.text() + std::string(kind == Kind::Results ? resultsSuffix : statesSuffix);
}

bool BlockStore::contains(Kind kind, const Digest &key) const {
  std::error_code error;
  return fs::is_regular_file(entryPath(kind, key), error);
}

std::optional<BlockStore::Entry> BlockStore::find(Kind kind, const Digest &key,
                                                  const std::vector<int64_t> &sizes) const {
  if (!contains(kind, key))
    return std::nullopt;
  std::string path = entryPath(kind, key);
  auto parts = [&]() -> StatusOr<Entry> {
    COMPRESSC_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
    COMPRESSC_ASSIGN_OR_RETURN(Parts found, readParts(*file, key, sizes));
    return Entry{file, found};
  }();
  if (parts.ok())
    return *std::move(parts);
  if (contains(kind, key)) // and not just removed by another process
    warn("the store's entry " + path + " " + std::string(parts.status().message()) +
         "; what it held is computed again");
  return std::nullopt;
}

Status BlockStore::put(Kind kind, const Digest &key, const Parts &parts) {
  Header header;
  header.parts = parts.size();
  header.key = key;
  header.checksum = checksumOf(parts);
  std::vector<int64_t> sizes;
  size_t offset = alignment + aligned(parts.size() * sizeof(int64_t)), total = offset;
  for (std::string_view part : parts) {
    sizes.push_back(int64_t(part.size()));
    total += aligned(part.size());
  }
  std::string path = entryPath(kind, key);
  COMPRESSC_ASSIGN_OR_RETURN(auto file, OutputFile::Create(path, int64_t(total),
                                                           absl::StrCat(std::string(temporaryMark), ::getpid())));
  COMPRESSC_RETURN_IF_ERROR(file->writeAt(0, &header, sizeof header));
  COMPRESSC_RETURN_IF_ERROR(file->writeAt(alignment, sizes.data(), int64_t(sizes.size() * sizeof(int64_t))));
  for (std::string_view part : parts) {
    COMPRESSC_RETURN_IF_ERROR(file->writeAt(int64_t(offset), part.data(), int64_t(part.size())));
    offset += aligned(part.size());
  }
  COMPRESSC_RETURN_IF_ERROR(file->resize(int64_t(total)));
  return file->commit();
}

void BlockStore::remove(Kind kind, const Digest &key) {
  std::error_code error;
  fs::remove(entryPath(kind, key), error);
}

void BlockStore::discard(ThreadPool &pool) {
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0)
    return;
  std::error_code error;
  std::vector<fs::path> entries;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (isEntry(entry.path().filename().string()))
      entries.push_back(entry.path());
  // A large file takes long to remove.
  pool.parallelFor(int64_t(entries.size()), [&](int64_t index, int) {
    std::error_code ignored;
    fs::remove(entries[size_t(index)], ignored);
  });
  removeDirectory();
}

void BlockStore::removeDirectory() {
  std::error_code error;
  fs::remove(directory + "/lock", error);
  fs::remove(directory, error); // fails, rightly, when something else lies in it
  ::close(lock);
  lock = -1;
}

} // namespace compressc
