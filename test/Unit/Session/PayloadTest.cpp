#include "../Core/ScratchDirectory.h"
#include "compressc/runtime/model.h"
#include <sys/stat.h>

using namespace compressc;

namespace {

using Payload = ScratchDirectory;

std::string withTrailer(const std::string &bytes, uint64_t length) {
  std::string trailer(8, '\0');
  for (int i = 0; i < 8; ++i)
    trailer[i] = char(length >> (8 * i));
  return bytes + trailer + "CPRSSC01";
}

TEST_F(Payload, RoundTrips) {
  std::string program("\x7f"
                      "ELF\0program",
                      12);
  std::string runtime = put("runtime", program);
  ASSERT_TRUE(WriteExecutable(runtime, path("run"), "{\"a\":1}").ok());
  StatusOr<std::string> payload = ReadPayload(path("run"));
  ASSERT_TRUE(payload.ok()) << payload.status();
  EXPECT_EQ(*payload, "{\"a\":1}");
  EXPECT_EQ(get("run"), withTrailer(program + "{\"a\":1}", 7));
  struct stat info;
  ASSERT_EQ(::stat(path("run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, mode_t(0755));
  EXPECT_FALSE(exists("run.tmp"));
}

TEST_F(Payload, ReplacesThatOfARuntimeInUse) {
  std::string runtime = put("runtime", "program");
  ASSERT_TRUE(WriteExecutable(runtime, path("run"), "first, and longer").ok());
  ASSERT_TRUE(WriteExecutable(path("run"), path("run"), "second").ok());
  EXPECT_EQ(get("run"), withTrailer("programsecond", 6));
}

TEST_F(Payload, MayBeEmpty) {
  ASSERT_TRUE(WriteExecutable(put("runtime", "program"), path("run"), "").ok());
  StatusOr<std::string> payload = ReadPayload(path("run"));
  ASSERT_TRUE(payload.ok()) << payload.status();
  EXPECT_EQ(*payload, "");
}

TEST_F(Payload, IsNotFoundInOtherFiles) {
  for (const std::string &bytes : {std::string(), std::string("CPRSSC01"), std::string(100, 'x'),
                                   withTrailer("program{}", 2) + "\n"})
    EXPECT_EQ(ReadPayload(put("file", bytes)).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Payload, DistrustsItsLength) {
  for (uint64_t length : {uint64_t(10), uint64_t(26), uint64_t(1) << 63, ~uint64_t(0)}) {
    StatusOr<std::string> payload = ReadPayload(put("file", withTrailer("program{}", length)));
    EXPECT_EQ(payload.status().code(), absl::StatusCode::kInvalidArgument) << length;
    EXPECT_NE(payload.status().message().find("file: its payload claims"), absl::string_view::npos);
    EXPECT_FALSE(WriteExecutable(path("file"), path("run"), "{}").ok());
    EXPECT_FALSE(exists("run"));
  }
}

TEST_F(Payload, NamesTheFileThatCannotBeOpened) {
  Status status = WriteExecutable(path("nowhere"), path("run"), "{}");
  EXPECT_NE(status.message().find("nowhere"), absl::string_view::npos) << status;
  status = WriteExecutable(put("runtime", "program"), path("nowhere/run"), "{}");
  EXPECT_NE(status.message().find("nowhere/run"), absl::string_view::npos) << status;
  EXPECT_FALSE(WriteExecutable(put("runtime", ""), path("run"), "{}").ok());
}

TEST(ModelInfo, RoundTrips) {
  ModelInfo info;
  info.name = "A \"model\"";
  info.architecture = "llama";
  info.pipeline = "awq{bits=4}";
  info.vocabularySize = 50;
  info.contextLength = 64;
  info.originalWeightBytes = int64_t(16) << 30;
  info.weightBytes = int64_t(5) << 30;
  info.endTokens = {2, 7};
  info.addSpecialTokens = true;
  std::string text = SerializeModelInfo(info);
  StatusOr<ModelInfo> again = ParseModelInfo(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(SerializeModelInfo(*again), text);
  EXPECT_EQ(again->name, info.name);
  EXPECT_EQ(again->pipeline, info.pipeline);
  EXPECT_EQ(again->originalWeightBytes, info.originalWeightBytes);
  EXPECT_EQ(again->endTokens, info.endTokens);
  EXPECT_TRUE(again->addSpecialTokens);
}

TEST(ModelInfo, RefusesWhatIsWrong) {
  struct {
    const char *text, *message;
  } cases[] = {
      {"", "not valid JSON"},
      {"[]", "expected an object"},
      {R"({"vocabularySize":50,"contextLength":64})", "name is missing"},
      {R"({"name":1,"vocabularySize":50,"contextLength":64})", "expected a string"},
      {R"({"name":"m","contextLength":64})", "vocabularySize is missing"},
      {R"({"name":"m","vocabularySize":0,"contextLength":64})", "vocabularySize: 0 is not in"},
      {R"({"name":"m","vocabularySize":4294967296,"contextLength":64})", "is not in"},
      {R"({"name":"m","vocabularySize":50,"contextLength":-1})", "contextLength: -1 is not in"},
      {R"({"name":"m","vocabularySize":50,"contextLength":64,"weightBytes":-1})", "weightBytes"},
      {R"({"name":"m","vocabularySize":50,"contextLength":64,"endTokens":[-1]})", "endTokens"},
      {R"({"name":"m","vocabularySize":50,"contextLength":64,"endTokens":2})", "expected an array"},
      {R"({"name":"m","vocabularySize":50,"contextLength":64,"addSpecialTokens":0})",
       "true or false"},
      {R"({"name":"m","vocabularySize":50,"contextLength":64,"size":1})", "unknown member"},
  };
  for (const auto &c : cases) {
    StatusOr<ModelInfo> info = ParseModelInfo(c.text);
    ASSERT_FALSE(info.ok()) << c.text;
    EXPECT_NE(info.status().message().find(c.message), absl::string_view::npos) << info.status();
  }
}

} // namespace
