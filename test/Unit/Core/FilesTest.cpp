#include "ScratchDirectory.h"
#include "compressc/runtime/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace compressc {
namespace {

// Made with Python's gzip.compress(b"hello hello hello\n", mtime=0).
const unsigned char gzipHello[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
                                   0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x5c,
                                   0x00, 0x3b, 0x7c, 0x8a, 0xdf, 0x12, 0x00, 0x00, 0x00};

std::string hello() {
  return std::string(reinterpret_cast<const char *>(gzipHello), sizeof gzipHello);
}

std::string gzip(const std::string &text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = uInt(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class Files : public ScratchDirectory {};

TEST_F(Files, WriteReadAndReplace) {
  std::string binary("a\0b\xff", 4);
  ASSERT_TRUE(WriteFileAtomically(path("file"), binary).ok());
  EXPECT_EQ(ReadFile(path("file")).value(), binary);
  ASSERT_TRUE(WriteFileAtomically(path("file"), "").ok());
  EXPECT_EQ(ReadFile(path("file")).value(), "");
  EXPECT_FALSE(exists("file.tmp"));
}

TEST_F(Files, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  put("file", "old");
  ASSERT_EQ(mkdir(path("target").c_str(), 0777), 0);
  Status onDirectory = WriteFileAtomically(path("target"), "new");
  EXPECT_FALSE(onDirectory.ok());
  EXPECT_FALSE(exists("target.tmp"));
  Status status = WriteFileAtomically(path("none/file"), "new");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("none/file"), std::string::npos);
  EXPECT_EQ(get("file"), "old");
}

TEST_F(Files, ReadErrorsNameTheFile) {
  for (const std::string &name : {path("none"), directory}) {
    Status status = ReadFile(name).status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(std::string(status.message()).find(name), 0u);
    EXPECT_FALSE(MappedFile::Open(name).ok());
  }
}

TEST_F(Files, TheLimitIsOnBytesThatAreRead) {
  put("ten", "0123456789");
  EXPECT_EQ(ReadFile(path("ten"), 10).value(), "0123456789");
  EXPECT_FALSE(ReadFile(path("ten"), 9).ok());
  EXPECT_FALSE(ReadFile("/dev/zero", 1000).ok());
}

TEST_F(Files, MappedFileShowsTheBytes) {
  put("file", "contents");
  put("empty", "");
  auto file = MappedFile::Open(path("file")).value();
  EXPECT_EQ(std::string(reinterpret_cast<const char *>(file->data()), file->size()), "contents");
  EXPECT_EQ(file->path(), path("file"));
  EXPECT_EQ(MappedFile::Open(path("empty")).value()->size(), 0u);
}

TEST_F(Files, GzipIsKnownByItsMagic) {
  put("text", "plain");
  put("hello.gz", hello());
  put("two.gz", hello() + hello());
  EXPECT_EQ(ReadTextFile(path("text")).value(), "plain");
  EXPECT_EQ(ReadTextFile(path("hello.gz")).value(), "hello hello hello\n");
  EXPECT_EQ(ReadTextFile(path("two.gz")).value(), "hello hello hello\nhello hello hello\n");
  EXPECT_EQ(ReadFile(path("hello.gz")).value(), hello());
}

TEST_F(Files, TheLimitBoundsTheDecompressedSize) {
  std::string zeros(1000000, '\0');
  put("bomb.gz", gzip(zeros));
  ASSERT_LT(get("bomb.gz").size(), 2000u);
  EXPECT_EQ(ReadTextFile(path("bomb.gz"), 1000000).value(), zeros);
  Status status = ReadTextFile(path("bomb.gz"), 999999).status();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("limit of 999999 bytes"), std::string::npos);
}

TEST_F(Files, DamagedGzipIsRefused) {
  for (size_t size = 2; size < hello().size(); ++size) {
    put("cut.gz", hello().substr(0, size));
    EXPECT_FALSE(ReadTextFile(path("cut.gz")).ok()) << size;
  }
  std::string flipped = hello();
  flipped[12] ^= 0x55;
  put("bad.gz", flipped);
  EXPECT_FALSE(ReadTextFile(path("bad.gz")).ok());
  put("tail.gz", hello() + "tail");
  EXPECT_FALSE(ReadTextFile(path("tail.gz")).ok());
}

} // namespace
} // namespace compressc
