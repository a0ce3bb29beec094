#include "compressc/runtime/safetensors.h"
#include "ScratchDirectory.h"

#include <cstring>
#include <numeric>

namespace compressc {
namespace {

class Safetensors : public ScratchDirectory {
protected:
  /// A file with this header and so many bytes of data.
  std::string file(const std::string &header, size_t dataBytes) const {
    uint64_t size = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &size, 8);
    return bytes + header + std::string(dataBytes, 'x');
  }
  Status open(const std::string &bytes) const {
    put("file.safetensors", bytes);
    return SafetensorsReader::OpenFile(path("file.safetensors")).status();
  }
};

std::vector<SafetensorsWriter::Entry> plan() {
  return {{"c", "F16", {2, 3}, 12}, {"b", "U8", {3}, 3},   {"a", "I64", {2}, 16},
          {"d", "F32", {}, 4},      {"e", "BF16", {0}, 0}, {"\"é\n", "F16", {1}, 2}};
}

std::string contents(const SafetensorsWriter::Entry &entry) {
  std::string bytes(entry.bytes, '\0');
  std::iota(bytes.begin(), bytes.end(), entry.name.back());
  return bytes;
}

TEST_F(Safetensors, RoundTripInAnyOrderGivesTheSameBytes) {
  std::string first;
  for (bool reversed : {false, true}) {
    auto entries = plan();
    if (reversed)
      std::reverse(entries.begin(), entries.end());
    auto writer = SafetensorsWriter::Create(path("m.safetensors"), entries).value();
    std::reverse(entries.begin(), entries.end());
    for (const auto &entry : entries)
      ASSERT_TRUE(writer->write(entry.name, contents(entry).data(), entry.bytes).ok());
    EXPECT_FALSE(exists("m.safetensors") && !reversed) << "the name appears when all is written";
    ASSERT_TRUE(writer->finish().ok());
    EXPECT_EQ(writer->fileBytes(), int64_t(get("m.safetensors").size()));
    if (!reversed)
      first = get("m.safetensors");
  }
  EXPECT_EQ(get("m.safetensors"), first);
  EXPECT_FALSE(exists("m.safetensors.tmp"));

  SafetensorsReader reader = SafetensorsReader::OpenFile(path("m.safetensors")).value();
  EXPECT_EQ(reader.tensors().size(), plan().size());
  EXPECT_EQ(reader.fileBytes(), int64_t(first.size()));
  for (const auto &entry : plan()) {
    const StoredTensor *tensor = reader.find(entry.name);
    ASSERT_NE(tensor, nullptr) << entry.name;
    EXPECT_EQ(tensor->dtype, entry.dtype);
    EXPECT_EQ(tensor->shape, entry.shape);
    EXPECT_EQ(std::string(reinterpret_cast<const char *>(tensor->data), tensor->bytes),
              contents(entry));
  }
  EXPECT_EQ(reader.find("none"), nullptr);
}

TEST_F(Safetensors, HeaderIsCanonicalAndPadded) {
  auto writer =
      SafetensorsWriter::Create(path("m.safetensors"),
                                {{"b", "F16", {1}, 2}, {"z", "F32", {1}, 4}, {"a", "F16", {1}, 2}})
          .value();
  for (const char *name : {"a", "b"})
    ASSERT_TRUE(writer->write(name, "12", 2).ok());
  ASSERT_TRUE(writer->write("z", "1234", 4).ok());
  ASSERT_TRUE(writer->finish().ok());
  std::string bytes = get("m.safetensors");
  uint64_t size;
  std::memcpy(&size, bytes.data(), 8);
  EXPECT_EQ(size % 8, 0u);
  std::string header = bytes.substr(8, size);
  header.erase(header.find_last_not_of(' ') + 1);
  EXPECT_EQ(header, R"({"__metadata__":{"format":"pt"},)"
                    R"("z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                    R"("a":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},)"
                    R"("b":{"dtype":"F16","shape":[1],"data_offsets":[6,8]}})");
  EXPECT_EQ(bytes.substr(8 + size), "12341212");
}

TEST_F(Safetensors, EmptyFileRoundTrips) {
  auto writer = SafetensorsWriter::Create(path("m.safetensors"), {}, {}).value();
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_TRUE(SafetensorsReader::OpenFile(path("m.safetensors")).value().tensors().empty());
}

TEST_F(Safetensors, WriterRefusesWhatWasNotPlanned) {
  auto writer =
      SafetensorsWriter::Create(path("m.safetensors"), {{"a", "U8", {2}, 2}, {"b", "U8", {1}, 1}})
          .value();
  EXPECT_FALSE(writer->write("c", "1", 1).ok());
  EXPECT_FALSE(writer->write("a", "1", 1).ok());
  EXPECT_TRUE(writer->write("a", "12", 2).ok());
  EXPECT_FALSE(writer->write("a", "12", 2).ok());
  Status unfinished = writer->finish();
  ASSERT_FALSE(unfinished.ok());
  EXPECT_NE(std::string(unfinished.message()).find("'b' was never written"), std::string::npos);
  EXPECT_TRUE(exists("m.safetensors.tmp"));
  writer.reset();
  EXPECT_FALSE(exists("m.safetensors.tmp"));
  EXPECT_FALSE(exists("m.safetensors"));
}

TEST_F(Safetensors, WriterRefusesABadPlan) {
  using Plan = std::vector<SafetensorsWriter::Entry>;
  for (const Plan &bad :
       {Plan{{"a", "F17", {1}, 2}}, Plan{{"a", "F16", {2}, 2}}, Plan{{"a", "F16", {-1, -2}, 4}},
        Plan{{"a", "U8", {1}, 1}, {"a", "U8", {1}, 1}}, Plan{{"__metadata__", "U8", {1}, 1}},
        Plan{{"\xff", "U8", {1}, 1}}, Plan{{"a", "F4", {3}, 1}},
        Plan{{"a", "F64", {int64_t(1) << 61}, 0}}}) {
    EXPECT_FALSE(SafetensorsWriter::Create(path("bad.safetensors"), bad).ok()) << bad[0].name;
    EXPECT_FALSE(exists("bad.safetensors.tmp"));
  }
  EXPECT_FALSE(SafetensorsWriter::Create(path("none/m.safetensors"), {}).ok());
  EXPECT_FALSE(SafetensorsWriter::Create(path("m"), {}, {{"k", "\xff"}}).ok());
}

TEST_F(Safetensors, GoodHeadersOfOtherWriters) {
  struct Case {
    const char *header;
    size_t dataBytes;
    size_t tensors;
  };
  for (const Case &good : {
           Case{R"({})", 0, 0},
           Case{R"({"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}   )", 4, 1},
           Case{R"({"a":{"data_offsets":[2,4],"shape":[],"dtype":"F16"},)"
                R"("b":{"dtype":"I16","shape":[1],"data_offsets":[0,2]},"__metadata__":{"k":"v"}})",
                4, 2},
           Case{R"({"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},)"
                R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                1, 2},
           Case{R"({"a":{"dtype":"F4","shape":[6],"data_offsets":[0,3]}})", 3, 1},
           Case{R"({"a":{"dtype":"NEW_TYPE","shape":[6],"data_offsets":[0,5]}})", 5, 1},
           Case{R"({"":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 1, 1},
       }) {
    put("good.safetensors", file(good.header, good.dataBytes));
    auto reader = SafetensorsReader::OpenFile(path("good.safetensors"));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ(reader->tensors().size(), good.tensors) << good.header;
  }
}

TEST_F(Safetensors, BadHeadersAreRefused) {
  struct Case {
    const char *header;
    size_t dataBytes;
    const char *message;
  };
  for (const Case &bad : {
           Case{R"([])", 0, "not a JSON object"},
           Case{R"( {})", 0, "not a JSON object"},
           Case{R"({)", 0, "not valid JSON"},
           Case{R"({} {})", 0, "not valid JSON"},
           Case{"{\"\xff\":{}}", 0, "not valid JSON"},
           Case{R"({"a":1})", 0, "'a'"},
           Case{R"({"a":[]})", 0, "'a'"},
           Case{R"({"a":null})", 0, "'a'"},
           Case{R"({"a":{}})", 0, "is missing"},
           Case{R"({"a":{"dtype":"U8","shape":[1]}})", 1, "is missing"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":[]}})", 1, "unknown"},
           Case{R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1, "'dtype'"},
           Case{R"({"a":{"dtype":"","shape":[1],"data_offsets":[0,1]}})", 1, "'dtype'"},
           Case{R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", 1, "'dtype'"},
           Case{R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                "twice"},
           Case{R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":"1","data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "'data_offsets'"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "'data_offsets'"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1, "'data_offsets'"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,true]}})", 1, "'data_offsets'"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":{}}})", 1, "'data_offsets'"},
           Case{R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", 1,
                "too large"},
           Case{R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}})", 1,
                "'shape'"},
           Case{R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                "too large"},
           Case{R"({"a":{"dtype":"X","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                "too large"},
           Case{R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
                "too large"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "before it begins"},
           Case{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1, "beyond"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,)"
                R"(9223372036854775807]}})",
                1, "beyond"},
           Case{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", 1, "takes 2 bytes"},
           Case{R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1, "whole bytes"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, "holds 2 bytes"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "hole"},
           Case{R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                3, "overlap"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                1, "overlap"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                3, "hole"},
           Case{R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                2, "two entries are named 'a'"},
           Case{R"({"__metadata__":{},"__metadata__":{}})", 0, "two entries"},
           Case{R"({"__metadata__":{"k":1}})", 0, "__metadata__"},
           Case{R"({"__metadata__":{"k":{}}})", 0, "__metadata__"},
           Case{R"({"__metadata__":[]})", 0, "__metadata__"},
       }) {
    Status status = open(file(bad.header, bad.dataBytes));
    ASSERT_FALSE(status.ok()) << bad.header;
    std::string message(status.message());
    EXPECT_EQ(message.find(path("file.safetensors")), 0u) << message;
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.header << "\n" << message;
  }
}

TEST_F(Safetensors, DeepOrZeroPaddedHeadersAreRefused) {
  EXPECT_FALSE(open(file("{\"a\":" + std::string(5000000, '['), 0)).ok());
  EXPECT_FALSE(open(file(std::string("{}\0", 3), 0)).ok());
  std::string manyDims = R"({"a":{"dtype":"U8","shape":[1)";
  for (int i = 0; i < 40; ++i)
    manyDims += ",1";
  EXPECT_FALSE(open(file(manyDims + R"(],"data_offsets":[0,1]}})", 1)).ok());
}

TEST_F(Safetensors, WrongHeaderLengthsAreRefused) {
  std::string good = file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  ASSERT_TRUE(open(good).ok());
  for (uint64_t length :
       {uint64_t(0), uint64_t(1), uint64_t(good.size() - 9), uint64_t(good.size()),
        uint64_t(100'000'001), uint64_t(1) << 63, ~uint64_t(0), ~uint64_t(7)}) {
    uint64_t right;
    std::memcpy(&right, good.data(), 8);
    if (length == right)
      continue;
    std::string bad = good;
    std::memcpy(bad.data(), &length, 8);
    EXPECT_FALSE(open(bad).ok()) << length;
  }
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  std::string good = file(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3);
  ASSERT_TRUE(open(good).ok());
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(open(good.substr(0, size)).ok()) << size;
  EXPECT_FALSE(open(good + "x").ok());
}

TEST_F(Safetensors, NoSingleByteChangeBreaksTheReader) {
  // Any answer is right as long as what is accepted lies inside the file.
  std::string good = file(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3);
  for (size_t i = 0; i < good.size(); ++i)
    for (int value : {0, 1, int('"'), int('9'), int('{'), int(']'), 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = char(value);
      put("file.safetensors", bytes);
      auto reader = SafetensorsReader::OpenFile(path("file.safetensors"));
      if (!reader.ok())
        continue;
      int64_t sum = 0;
      for (const auto &[name, tensor] : reader->tensors()) {
        ASSERT_GE(tensor.data, tensor.file->data());
        ASSERT_LE(tensor.data + tensor.bytes, tensor.file->data() + tensor.file->size());
        sum += std::accumulate(tensor.data, tensor.data + tensor.bytes, int64_t(0));
      }
      EXPECT_GE(sum, 0);
    }
}

TEST_F(Safetensors, NamesInMessagesStayOnOneLine) {
  Status status = open(file(R"({"a\nb\u001b[31m":{}})", 0));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(std::string(status.message()).find_first_of("\n\x1b"), std::string::npos);
  Status longName = open(file("{\"" + std::string(100000, 'n') + "\":{}}", 0));
  EXPECT_LT(longName.message().size(), 1000u);
}

class Directory : public Safetensors {
protected:
  std::string one(const std::string &name) const {
    return file("{\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  }
  void index(const std::string &map) const {
    put("model.safetensors.index.json",
        R"({"metadata":{"total_size":2},"weight_map":)" + map + "}");
  }
};

TEST_F(Directory, SingleFileWins) {
  put("model.safetensors", one("a"));
  put("other.safetensors", one("b"));
  SafetensorsReader reader = SafetensorsReader::OpenDirectory(directory).value();
  EXPECT_NE(reader.find("a"), nullptr);
  EXPECT_EQ(reader.find("b"), nullptr);
}

TEST_F(Directory, ShardsOfAnIndex) {
  put("s-1.safetensors", one("a"));
  put("s-2.safetensors", one("b"));
  put("unused.safetensors", one("c"));
  index(R"({"a":"s-1.safetensors","b":"s-2.safetensors"})");
  SafetensorsReader reader = SafetensorsReader::OpenDirectory(directory).value();
  ASSERT_EQ(reader.tensors().size(), 2u);
  EXPECT_EQ(reader.find("b")->file->path(), path("s-2.safetensors"));
  EXPECT_EQ(reader.fileBytes(), int64_t(one("a").size() + one("b").size()));
}

TEST_F(Directory, AllFilesWithoutAnIndex) {
  put("x.safetensors", one("a"));
  put("y.safetensors", one("b"));
  EXPECT_EQ(SafetensorsReader::OpenDirectory(directory).value().tensors().size(), 2u);
  put("z.safetensors", one("a"));
  Status twice = SafetensorsReader::OpenDirectory(directory).status();
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(std::string(twice.message()).find("'a' is also in"), std::string::npos);
}

TEST_F(Directory, NothingThereIsAnError) {
  EXPECT_FALSE(SafetensorsReader::OpenDirectory(directory).ok());
  EXPECT_FALSE(SafetensorsReader::OpenDirectory(path("none")).ok());
}

TEST_F(Directory, BadIndexesAreRefused) {
  put("s.safetensors", one("a"));
  std::error_code error;
  std::filesystem::create_directory(path("sub"), error);
  put("sub/t.safetensors", one("a"));
  ASSERT_TRUE(WriteFileAtomically(path("model.safetensors.index.json"),
                                  R"({"weight_map":{"a":"s.safetensors"}})")
                  .ok());
  ASSERT_TRUE(SafetensorsReader::OpenDirectory(directory).ok());
  for (const std::string &map :
       {std::string(R"({})"), std::string(R"([])"), std::string(R"(null)"), std::string(R"(1)"),
        std::string(R"({"a":1})"), std::string(R"({"a":{"b":"s.safetensors"}})"),
        std::string(R"({"a":["s.safetensors"]})"), std::string(R"({"a":""})"),
        std::string(R"({"a":".."})"), std::string(R"({"a":"sub/t.safetensors"})"),
        std::string(R"({"a":"../s.safetensors"})"), std::string(R"({"a":"sub\\t.safetensors"})"),
        "{\"a\":\"" + path("s.safetensors") + "\"}", std::string(R"({"a":"missing.safetensors"})"),
        std::string(R"({"a":"s.safetensors\u0000"})"), std::string(R"({"b":"s.safetensors"})"),
        std::string(R"({"a":"s.safetensors","a":"s.safetensors"})"), std::string(R"({"a":)"),
        std::string(R"({"a":"s.safetensors"},"weight_map":{"a":"s.safetensors"})")}) {
    index(map);
    Status status = SafetensorsReader::OpenDirectory(directory).status();
    ASSERT_FALSE(status.ok()) << map;
    EXPECT_EQ(std::string(status.message()).find(path("model.safetensors.index.json")), 0u)
        << status;
  }
  for (const char *text : {"", "[]", "[[]]", "1", "{}", "{\"weight_map\"", "\"weight_map\""}) {
    put("model.safetensors.index.json", text);
    EXPECT_FALSE(SafetensorsReader::OpenDirectory(directory).ok()) << text;
  }
}

TEST(SafetensorsNames, GoBothWaysForPlainTypes) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::I32, DType::I64, DType::U8})
    EXPECT_EQ(DTypeFromSafetensors(SafetensorsName(dtype)), dtype);
  EXPECT_EQ(SafetensorsName(DType::Packed), "");
  EXPECT_FALSE(DTypeFromSafetensors("").has_value());
  EXPECT_FALSE(DTypeFromSafetensors("f16").has_value());
}

} // namespace
} // namespace compressc
