// Results of finished work on disk, under keys that say what they were computed from. A killed
// compilation goes on where it stopped, and two that share work do it once.
#pragma once

#include "compressc/Materialize/Digest.h"
#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/thread_pool.h"
#include <optional>

namespace compressc {

/// One directory. Several processes may use it at the same time: entries appear whole, by rename, and two
/// that write the same key write the same bytes. Entries are untrusted: what does not match its checksum
/// is not there.
class BlockStore {
public:
  enum class Kind {
    Results, // of a step of the compilation; kept
    States   // hidden states of the calibration tokens between two steps; large, replaced by newer ones
  };
  using Parts = std::vector<std::string_view>;

  /// An entry's parts in mapped memory, each aligned to 64 bytes.
  struct Entry {
    std::shared_ptr<MappedFile> file;
    Parts parts;
  };

  /// Makes the directory when there is none, and removes what killed processes left half-written. A
  /// directory that was made and stays empty goes again.
  static StatusOr<std::unique_ptr<BlockStore>> Open(const std::string &directory);
  /// The same directory to look at only: nothing is created or removed; one that is missing is empty.
  static std::unique_ptr<BlockStore> OpenToRead(const std::string &directory);
  ~BlockStore();
  BlockStore(const BlockStore &) = delete;
  BlockStore &operator=(const BlockStore &) = delete;

  const std::string &path() const { return directory; }

  /// The entry, if its parts have these sizes in bytes. An entry that is damaged is reported on standard
  /// error and counts as missing.
  std::optional<Entry> find(Kind kind, const Digest &key, const std::vector<int64_t> &sizes) const;
  /// Whether find() would look at anything at all.
  bool contains(Kind kind, const Digest &key) const;

  Status put(Kind kind, const Digest &key, const Parts &parts);
  void remove(Kind kind, const Digest &key);

  /// Removes every entry, and the directory if nothing else is in it; nothing can be put there any more.
  /// Does nothing while another process uses the store.
  void discard(ThreadPool &pool);

private:
  BlockStore() = default;
  void removeDirectory(); // and the lock
  std::string entryPath(Kind kind, const Digest &key) const;
  std::string directory;
  bool made = false; // by this object
  int lock = -1; // shared while the store is in use
};

} // namespace compressc
