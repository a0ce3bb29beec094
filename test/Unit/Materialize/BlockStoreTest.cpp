#include "compressc/Materialize/BlockStore.h"
#include "../Core/ScratchDirectory.h"
#include <sys/wait.h>
#include <unistd.h>

namespace compressc {
namespace {

using Kind = BlockStore::Kind;

struct BlockStoreTest : ScratchDirectory {
  std::unique_ptr<BlockStore> open() {
    auto store = BlockStore::Open(path("store"));
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(*store);
  }
  std::string entry(const Digest &key) { return path("store/" + key.text() + ".results"); }

  const Digest key{1, 2};
  const std::string first = "first part", second = std::string(100, 'x');
  const std::vector<int64_t> sizes = {10, 0, 100};
  BlockStore::Parts parts() const { return {first, "", second}; }
};

TEST_F(BlockStoreTest, ReturnsWhatWasPut) {
  auto store = open();
  EXPECT_FALSE(store->find(Kind::Results, key, sizes));
  ASSERT_TRUE(store->put(Kind::Results, key, parts()).ok());
  auto found = store->find(Kind::Results, key, sizes);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parts, parts());
  for (std::string_view part : found->parts)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(part.data()) % 64, 0u);
  EXPECT_FALSE(store->find(Kind::States, key, sizes)) << "another kind";
  EXPECT_FALSE(store->find(Kind::Results, {2, 1}, sizes)) << "another key";
  store->remove(Kind::Results, key);
  EXPECT_FALSE(store->find(Kind::Results, key, sizes));
  EXPECT_EQ(found->parts, parts()) << "what was found stays mapped";
}

TEST_F(BlockStoreTest, EntryOutlivesTheProcessThatPutIt) {
  ASSERT_TRUE(open()->put(Kind::Results, key, parts()).ok());
  EXPECT_TRUE(open()->find(Kind::Results, key, sizes));
}

/// Every byte that means something is covered; what is between the parts means nothing.
TEST_F(BlockStoreTest, DamageIsFound) {
  auto store = open();
  ASSERT_TRUE(store->put(Kind::Results, key, parts()).ok());
  auto whole = ReadFile(entry(key));
  ASSERT_TRUE(whole.ok());
  // Magic, number of parts, key, checksum; a size; the first and the last byte of the parts.
  for (size_t at : {0, 8, 16, 31, 32, 47, 64, 80, 128, 137, 192, 291}) {
    std::string damaged = *whole;
    damaged[at] ^= 1;
    ASSERT_TRUE(WriteFileAtomically(entry(key), damaged).ok());
    EXPECT_FALSE(store->find(Kind::Results, key, sizes)) << "byte " << at;
  }
  for (size_t length : {size_t(0), size_t(20), size_t(64), size_t(200), whole->size() - 1}) {
    ASSERT_TRUE(WriteFileAtomically(entry(key), whole->substr(0, length)).ok());
    EXPECT_FALSE(store->find(Kind::Results, key, sizes)) << length << " bytes";
  }
  ASSERT_TRUE(WriteFileAtomically(entry(key), *whole + "more").ok());
  EXPECT_FALSE(store->find(Kind::Results, key, sizes));
  ASSERT_TRUE(WriteFileAtomically(entry(key), *whole).ok());
  EXPECT_TRUE(store->find(Kind::Results, key, sizes));
  EXPECT_FALSE(store->find(Kind::Results, key, {10, 0, 99})) << "other sizes than its key's";
  // Under another key's name.
  ASSERT_TRUE(WriteFileAtomically(entry({3, 4}), *whole).ok());
  EXPECT_FALSE(store->find(Kind::Results, {3, 4}, sizes));
}

TEST_F(BlockStoreTest, LeftoversOfTheKilledGoWhenNobodyWrites) {
  std::string leftover = key.text() + ".results.tmp-123", foreign = "notes.tmp-123";
  auto store = open();
  ASSERT_TRUE(WriteFileAtomically(path("store/" + leftover), "half").ok());
  ASSERT_TRUE(WriteFileAtomically(path("store/" + foreign), "mine").ok());
  open();
  EXPECT_TRUE(exists("store/" + leftover)) << "may be another process' that is writing it";
  store.reset();
  open();
  EXPECT_FALSE(exists("store/" + leftover));
  EXPECT_TRUE(exists("store/" + foreign));
}

TEST_F(BlockStoreTest, DiscardLeavesWhatIsNotItsOwn) {
  ThreadPool pool(2);
  auto store = open();
  ASSERT_TRUE(store->put(Kind::Results, key, parts()).ok());
  store->discard(pool);
  EXPECT_FALSE(exists("store"));
  store = open();
  ASSERT_TRUE(store->put(Kind::Results, key, parts()).ok());
  ASSERT_TRUE(WriteFileAtomically(path("store/notes"), "mine").ok());
  store->discard(pool);
  EXPECT_FALSE(std::filesystem::exists(entry(key)));
  EXPECT_TRUE(exists("store/notes"));
}

TEST_F(BlockStoreTest, DiscardWaitsForNobodyElseToUseIt) {
  ThreadPool pool(2);
  auto store = open(), other = open();
  ASSERT_TRUE(store->put(Kind::Results, key, parts()).ok());
  store->discard(pool);
  EXPECT_TRUE(other->find(Kind::Results, key, sizes));
}

TEST_F(BlockStoreTest, OneThatStaysEmptyGoes) {
  open();
  EXPECT_FALSE(exists("store"));
  std::filesystem::create_directory(path("store"));
  open();
  EXPECT_TRUE(exists("store")) << "it was there before";
}

TEST_F(BlockStoreTest, OpenToReadTouchesNothing) {
  auto store = BlockStore::OpenToRead(path("store"));
  EXPECT_FALSE(store->find(Kind::Results, key, sizes));
  EXPECT_FALSE(exists("store"));
}

/// Processes that write and read the same keys at the same time never see a broken entry.
TEST_F(BlockStoreTest, ConcurrentProcesses) {
  auto keep = open();
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    pid_t pid = fork();
    if (pid == 0) {
      auto store = BlockStore::Open(path("store"));
      bool good = store.ok();
      for (uint64_t round = 0; good && round < 50; ++round) {
        Digest mine{round % 5, 0};
        std::string part(100000, char('a' + round % 5));
        good &= (*store)->put(Kind::Results, mine, {part}).ok();
        auto found = (*store)->find(Kind::Results, mine, {int64_t(part.size())});
        good &= found && found->parts[0] == part;
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

TEST(DigestTest, FieldsDoNotRunTogether) {
  EXPECT_NE(Hasher().add("ab").add("c").finish(), Hasher().add("a").add("bc").finish());
  EXPECT_NE(Hasher().add("").finish(), Hasher().finish());
  EXPECT_EQ((Digest{0x0123456789abcdef, 0xff}).text(), "0123456789abcdef00000000000000ff");
}

} // namespace
} // namespace compressc
