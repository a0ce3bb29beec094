#include "compressc/runtime/schedule.h"
#include "ToyModel.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace compressc;
using nlohmann::json;

namespace {

/// Small, but with every kind of declaration, operand and attribute.
const char *const valid = R"({
  "version": 1, "maxTokens": 8, "maxSelected": 4, "arenaBytes": 4096,
  "weights": [
    {"key": "embed", "dtype": "f16", "shape": [10, 16]},
    {"key": "proj", "dtype": "packed", "shape": [16, 16], "bits": 8, "group": 16, "symmetric": true, "scaleType": "bf16"},
    {"key": "norm", "shape": [16]}],
  "buffers": [
    {"rows": "tokens", "shape": [16], "offset": 0},
    {"rows": "tokens", "shape": [16], "offset": 512},
    {"rows": "selected", "shape": [16], "offset": 0},
    {"shape": [16], "dtype": "statistics", "offset": 1024, "state": true},
    {"shape": [4, 16]},
    {"shape": [4, 16], "offset": 3072},
    {"shape": [16, 16], "dtype": "packed", "group": 16, "state": true}],
  "caches": [{"heads": 2, "dim": 8}],
  "entries": [
    {"name": "forward", "outputs": ["b2"], "calls": [
      {"kernel": "embedding", "in": ["t", "w0"], "out": ["b0"]},
      {"kernel": "rms_norm", "in": ["b0", "w2"], "out": ["b1"], "attributes": {"epsilon": 1e-05, "name": "n"}},
      {"kernel": "attention", "in": ["b1", "b1", "b1", "c0"], "out": ["b0"], "attributes": {"num_heads": 2, "scale": 1.0}},
      {"kernel": "rotary_embedding", "in": ["b0"], "out": ["b0"], "attributes": {"frequencies": [1.0, 0.25, 3]}},
      {"kernel": "select_rows", "in": ["b1"], "out": ["b2"]}]},
    {"name": "add", "inputs": ["b4"], "outputs": ["b5"], "calls": [
      {"kernel": "add", "in": ["b4", "b4"], "out": ["b5"]}]}]
})";

TEST(Schedule, ParsesEveryField) {
  StatusOr<Schedule> schedule = ParseSchedule(valid);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(schedule->maxTokens, 8);
  EXPECT_EQ(schedule->maxSelected, 4);
  EXPECT_EQ(schedule->arenaBytes, 4096);
  ASSERT_EQ(schedule->weights.size(), 3u);
  EXPECT_EQ(schedule->weights[1].packed, (PackedFormat{8, 16, true, DType::BF16}));
  EXPECT_EQ(schedule->weights[2].dtype, DType::F32);
  EXPECT_EQ(schedule->buffers[2].rows, Rows::Selected);
  EXPECT_EQ(schedule->buffers[4].rows, Rows::Fixed);
  EXPECT_EQ(schedule->buffers[4].offset, -1);
  EXPECT_TRUE(schedule->buffers[3].state);
  EXPECT_EQ(schedule->buffers[6].packed, (PackedFormat{4, 16, false, DType::F16}));
  EXPECT_EQ(schedule->caches[0].heads, 2);
  const EntryPoint *forward = schedule->find("forward");
  ASSERT_NE(forward, nullptr);
  EXPECT_EQ(schedule->find("backward"), nullptr);
  EXPECT_EQ(forward->outputs, std::vector<int32_t>{2});
  EXPECT_EQ(forward->calls[0].inputs[0].kind, Operand::Kind::Tokens);
  EXPECT_EQ(forward->calls[0].inputs[1].kind, Operand::Kind::Weight);
  EXPECT_EQ(forward->calls[2].inputs[3].kind, Operand::Kind::Cache);
  // An integral number keeps its type: 1.0 is no integer.
  const auto &attributes = forward->calls[2].attributes.all();
  EXPECT_TRUE(std::holds_alternative<int64_t>(attributes.at("num_heads")));
  EXPECT_TRUE(std::holds_alternative<double>(attributes.at("scale")));
  EXPECT_EQ(*forward->calls[3].attributes.getFloats("frequencies"),
            (std::vector<double>{1, 0.25, 3}));
}

TEST(Schedule, RoundTrips) {
  StatusOr<Schedule> schedule = ParseSchedule(valid);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  std::string text = SerializeSchedule(*schedule);
  StatusOr<Schedule> again = ParseSchedule(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(SerializeSchedule(*again), text);
  // The same content as was read, but for values that say the default.
  json expected = json::parse(valid, nullptr, false), actual = json::parse(text, nullptr, false);
  expected["entries"][0]["inputs"] = json::array();
  EXPECT_EQ(actual, expected);
}

TEST(Schedule, SerializesOneCallALine) {
  ToyModel toy(true);
  std::string text = SerializeSchedule(toy.schedule);
  StatusOr<Schedule> again = ParseSchedule(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(SerializeSchedule(*again), text);
  const EntryPoint &forward = toy.schedule.entries[0];
  size_t declarations =
      toy.schedule.weights.size() + toy.schedule.buffers.size() + toy.schedule.caches.size();
  EXPECT_EQ(size_t(std::count(text.begin(), text.end(), '\n')),
            declarations + forward.calls.size() + 11);
  EXPECT_NE(text.find("\n{\"kernel\":\"add\",\"in\":[\"b1\",\"b3\"],\"out\":[\"b0\"]},\n"),
            std::string::npos)
      << text;
}

TEST(Schedule, KeepsExactNumbers) {
  Schedule schedule = *ParseSchedule(valid);
  Attributes &attributes = schedule.entries[0].calls[0].attributes;
  attributes.set("third", 1.0 / 3);
  attributes.set("tiny", 4.9406564584124654e-324);
  attributes.set("large", int64_t(INT64_MAX));
  attributes.set("least", int64_t(INT64_MIN));
  attributes.set("text", std::string("a \"quoted\" \xc3\xa9\n"));
  StatusOr<Schedule> again = ParseSchedule(SerializeSchedule(schedule));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->entries[0].calls[0].attributes.all(), attributes.all());
}

TEST(Schedule, RefusesHostileChanges) {
  struct {
    const char *pointer; // what is replaced
    const char *value;   // by what; null: it is removed
    const char *message;
  } cases[] = {
      {"", "[]", "expected an object"},
      {"", "null", "expected an object"},
      {"/version", "2", "version 2"},
      {"/version", nullptr, "version is missing"},
      {"/extra", "1", "unknown member \"extra\""},
      {"/maxTokens", nullptr, "maxTokens is missing"},
      {"/maxTokens", "-1", "-1 is not in"},
      {"/maxTokens", "8.5", "expected an integer"},
      {"/maxTokens", "\"8\"", "expected an integer"},
      {"/maxTokens", "9223372036854775808", "is not in"},
      {"/maxTokens", "18446744073709551615", "is not in"},
      {"/maxTokens", "1e30", "expected an integer"},
      {"/maxTokens", "100", "do not fit the arena"},
      {"/maxTokens", "16777216", "do not fit the arena"},
      {"/maxTokens", "0", "maxSelected 4 is not in"},
      {"/maxSelected", "9", "maxSelected 9 is not in"},
      {"/maxSelected", "0", "planned for none"},
      {"/maxSelected", "-4", "-4 is not in"},
      {"/arenaBytes", "-1", "-1 is not in"},
      {"/arenaBytes", "4095", nullptr}, // still large enough
      {"/arenaBytes", "3327", "do not fit the arena"},
      {"/arenaBytes", "9223372036854775807", "is not in"},
      {"/weights", "{}", "expected an array"},
      {"/weights", "[]", "w0 does not exist"},
      {"/weights/0", "7", "weights[0]: expected an object"},
      {"/weights/0/key", nullptr, "key is missing"},
      {"/weights/0/key", "\"\"", "the key is empty"},
      {"/weights/0/key", "3", "expected a string"},
      {"/weights/0/dtype", "\"f17\"", "unknown type \"f17\""},
      {"/weights/0/dtype", "\"statistics\"", "cannot be statistics"},
      {"/weights/0/dtype", "16", "expected a string"},
      {"/weights/0/dtype", "\"q4_0\"", "multiple of 32"},
      {"/weights/0/shape", nullptr, "shape is missing"},
      {"/weights/0/shape", "10", "expected an array"},
      {"/weights/0/shape/0", "0", "0 is not in"},
      {"/weights/0/shape/0", "-10", "-10 is not in"},
      {"/weights/0/shape/0", "\"10\"", "expected an integer"},
      {"/weights/0/shape", "[2147483648, 2147483648]", "too large"},
      {"/weights/0/shape", "[2147483648, 2147483648, 2147483648, 2147483648]", "too large"},
      {"/weights/0/shape", "[1,1,1,1,1,1,1,1,1]", "rank 9"},
      {"/weights/0/shape", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "at most 16"},
      {"/weights/0/bits", "4", "only a packed tensor"},
      {"/weights/0/scaleType", "\"f16\"", "only a packed tensor"},
      {"/weights/2/plus", "\"1\"", "must be a number that is added to plain weights"},
      {"/weights/1/plus", "1.0", "must be a number that is added to plain weights"},
      {"/weights/1/bits", "0", "0 is not in"},
      {"/weights/1/bits", "9", "9 is not in"},
      {"/weights/1/bits", "4294967300", "is not in"},
      {"/weights/1/group", "0", "0 is not in"},
      {"/weights/1/group", "-1", "-1 is not in"},
      {"/weights/1/group", "5", "does not divide"},
      {"/weights/1/group", "32", "does not divide"},
      {"/weights/1/symmetric", "1", "expected true or false"},
      {"/weights/1/scaleType", "\"i32\"", "scales cannot be i32"},
      {"/weights/1/scaleType", "\"packed\"", "scales cannot be packed"},
      {"/weights/1/shape", "[16]", "two dimensions"},
      {"/weights/1/shape", "[1, 16, 16]", "two dimensions"},
      {"/weights/1/shape", "[2147483648, 2147483648]", "too large"},
      {"/buffers/0/rows", "\"all\"", "expected \"fixed\""},
      {"/buffers/0/rows", "3", "expected a string"},
      {"/buffers/0/dtype", "\"statistics\"", "cannot have the rows of a batch"},
      {"/buffers/0/dtype", "\"packed\"", "cannot have the rows of a batch"},
      {"/buffers/0/dtype", "\"q8_0\"", "cannot have the rows of a batch"},
      {"/buffers/0/state", "true", "cannot have the rows of a batch"},
      {"/buffers/0/offset", "-2", "-2 is not in"},
      {"/buffers/0/offset", "32", "not a multiple of 64"},
      {"/buffers/0/offset", "4032", "do not fit the arena"},
      {"/buffers/0/offset", "4096", "do not fit the arena"},
      {"/buffers/0/offset", "70368744177600", "do not fit the arena"},
      {"/buffers/0/offset", "9223372036854775744", "is not in"},
      {"/buffers/0/offset", "-1", "b0 has no memory"},
      {"/buffers/0/offset", nullptr, "b0 has no memory"},
      {"/buffers/0/offset", "960", "overlaps a state"},
      {"/buffers/0/shape/0", "1000", "do not fit the arena"},
      {"/buffers/0/shape/0", "2147483648", "do not fit the arena"},
      {"/buffers/0/shape", "[2147483648, 2147483648]", "too large"},
      {"/buffers/2/offset", "1088", "overlaps a state"},
      {"/buffers/2/offset", "-1", "has no memory"},
      {"/buffers/3/shape", "[16, 16]", "one dimension"},
      {"/buffers/3/shape/0", "2147483648", "too large"},
      {"/buffers/3/state", "\"yes\"", "expected true or false"},
      {"/buffers/4/offset", "3072", "has memory of its own"},
      {"/buffers/4/state", "true", "has memory of its own"},
      {"/buffers/5/offset", nullptr, "b5 has no memory"},
      {"/buffers", "[]", "does not exist"},
      {"/buffers", "null", "expected an array"},
      {"/caches", "[]", "c0 does not exist"},
      {"/caches/0/heads", "0", "0 is not in"},
      {"/caches/0/dim", "-8", "-8 is not in"},
      {"/caches/0/dim", "65537", "must be in"},
      {"/caches/0/heads", "2147483648", "must be in"},
      {"/caches/0/dim", nullptr, "dim is missing"},
      {"/entries/0/name", "\"\"", "empty or taken"},
      {"/entries/0/name", "\"add\"", "empty or taken"},
      {"/entries/0/name", nullptr, "name is missing"},
      {"/entries/0/outputs/0", "\"b7\"", "output b7 does not exist"},
      {"/entries/0/outputs/0", "\"b4\"", "output b4 has no memory"},
      {"/entries/0/outputs/0", "\"w0\"", "only a buffer"},
      {"/entries/0/outputs/0", "2", "expected a string"},
      {"/entries/1/inputs/0", "\"b0\"", "has memory of its own"},
      {"/entries/1/inputs/0", "\"b99\"", "input b99 does not exist"},
      {"/entries/1/inputs", "[\"b4\", \"b4\"]", "named twice"},
      {"/entries/1/inputs", "[]", "b4 has no memory and is no input"},
      {"/entries/0/calls/0/kernel", "\"conv\"", "no such kernel"},
      {"/entries/0/calls/0/kernel", "\"\"", "no such kernel"},
      {"/entries/0/calls/0/kernel", nullptr, "kernel is missing"},
      {"/entries/0/calls/0/in/1", "\"w3\"", "w3 does not exist"},
      {"/entries/0/calls/0/in/1", "\"w99999999\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"w-1\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"w+1\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"w01\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"w\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"x0\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"t0\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"\"", "is no operand"},
      {"/entries/0/calls/0/in/1", "\"w0 \"", "is no operand"},
      {"/entries/0/calls/0/in/1", "0", "expected a string"},
      {"/entries/0/calls/0/in/1", "\"c1\"", "c1 does not exist"},
      {"/entries/0/calls/0/in/1", "\"b4\"", "is no input"},
      {"/entries/0/calls/0/out/0", "\"w0\"", "only a buffer can be an output"},
      {"/entries/0/calls/0/out/0", "\"t\"", "only a buffer can be an output"},
      {"/entries/0/calls/0/out/0", "\"c0\"", "only a buffer can be an output"},
      {"/entries/0/calls/0/out/0", "\"b7\"", "b7 does not exist"},
      {"/entries/1/calls/0/out/0", "\"b4\"", "cannot be written"},
      {"/entries/0/calls/1/attributes", "[]", "expected an object"},
      {"/entries/0/calls/1/attributes/epsilon", "null", "expected a number"},
      {"/entries/0/calls/1/attributes/epsilon", "true", "expected a number"},
      {"/entries/0/calls/1/attributes/epsilon", "{}", "expected a number"},
      {"/entries/0/calls/1/attributes/epsilon", "[[1]]", "only numbers"},
      {"/entries/0/calls/1/attributes/epsilon", "[1, \"2\"]", "only numbers"},
      {"/entries/0/calls/1/attributes/epsilon", "18446744073709551615", "is not in"},
      {"/entries/0/calls/1/inputs", "[]", "unknown member"},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(absl::StrCat(c.pointer, " = ", c.value ? c.value : "(removed)"));
    json document = json::parse(valid, nullptr, false);
    json::json_pointer pointer(c.pointer);
    if (c.value)
      document[pointer] = json::parse(c.value, nullptr, false);
    else
      document[pointer.parent_pointer()].erase(pointer.back());
    StatusOr<Schedule> schedule = ParseSchedule(document.dump());
    if (!c.message) {
      EXPECT_TRUE(schedule.ok()) << schedule.status();
      continue;
    }
    ASSERT_FALSE(schedule.ok());
    EXPECT_NE(schedule.status().message().find(c.message), absl::string_view::npos)
        << schedule.status();
    EXPECT_EQ(schedule.status().message().find("schedule"), 0u) << schedule.status();
  }
}

TEST(Schedule, RefusesTextThatIsNoJson) {
  for (const std::string &text :
       {std::string(), std::string("{"), std::string("\xff\xfe"), std::string(1 << 16, '['),
        std::string("{\"version\":1e999}"), std::string(valid) + "x"}) {
    StatusOr<Schedule> schedule = ParseSchedule(text);
    EXPECT_FALSE(schedule.ok());
  }
}

/// Bytes knocked out anywhere give a message or another valid schedule, never a crash.
TEST(Schedule, SurvivesDamage) {
  std::string text = SerializeSchedule(ToyModel(true).schedule);
  std::mt19937 random(11);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string damaged = text;
    for (size_t hits = 1 + random() % 3; hits > 0; --hits) {
      size_t at = random() % damaged.size();
      switch (random() % 3) {
      case 0:
        damaged[at] = "0123456789-.eE\"[]{},:btwc "[random() % 26];
        break;
      case 1:
        damaged.erase(at, 1 + random() % 8);
        break;
      default:
        damaged.insert(at, damaged.substr(random() % damaged.size(), random() % 8));
      }
    }
    StatusOr<Schedule> schedule = ParseSchedule(damaged);
    if (!schedule.ok()) {
      EXPECT_FALSE(schedule.status().message().empty());
      ++refused;
    } else {
      EXPECT_TRUE(ParseSchedule(SerializeSchedule(*schedule)).ok());
    }
  }
  EXPECT_GT(refused, 500);
}

} // namespace
