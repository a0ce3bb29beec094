// Kernels that work on the batch's selected rows give the bits that all rows would have there.
#include "ModelSupport.h"

using namespace compressc;
using namespace compressc::test;

namespace {

/// Two sequences, the second continues the first one's first three rows.
Batch twoSequences(std::vector<int32_t> selected) {
  Batch batch;
  batch.tokens.resize(40 + 25);
  batch.sequences = {{0, 40, 0, 5, {}}, {40, 25, 3, 60, {{5, 3}}}};
  batch.selectedRows = std::move(selected);
  return batch;
}

const std::vector<int32_t> selections[] = {{}, {0}, {39, 40}, {64}, {3, 4, 5, 17, 39, 40, 41, 63, 64}};

std::vector<float> rowsOf(const std::vector<float> &all, const std::vector<int32_t> &rows, int64_t width) {
  std::vector<float> result;
  for (int32_t row : rows)
    result.insert(result.end(), all.begin() + row * width, all.begin() + (row + 1) * width);
  return result;
}

TEST(SelectedRows, RotaryEmbedding) {
  Machine machine;
  constexpr int64_t width = 24;
  Attributes attributes;
  attributes.set("head_dim", int64_t(8));
  attributes.set("frequencies", std::vector<double>{1, 0.3, 0.05, 0.001});
  forEachInstructionSet([&](std::string_view) {
    for (const auto &rows : selections) {
      Batch batch = twoSequences(rows);
      std::vector<float> x = randomFloats(batch.rows() * width, 7), all(x.size());
      ASSERT_TRUE(machine
                      .run("rotary_embedding", {floatTensor(x, {batch.rows(), width})},
                           {floatTensor(all, {batch.rows(), width})}, attributes, &batch)
                      .ok());
      Attributes selected = attributes;
      selected.set("selected", int64_t(1));
      std::vector<float> some = rowsOf(x, rows, width);
      int64_t count = int64_t(rows.size());
      // In place, as the lowering lets it work.
      Tensor tensor = floatTensor(some, {count, width});
      ASSERT_TRUE(machine.run("rotary_embedding", {tensor}, {tensor}, selected, &batch).ok());
      EXPECT_EQ(some, rowsOf(all, rows, width));
      Tensor wrong = floatTensor(x, {count + 1, width});
      EXPECT_FALSE(machine.run("rotary_embedding", {wrong}, {wrong}, selected, &batch).ok());
    }
  });
}

TEST(SelectedRows, Attention) {
  Machine machine;
  constexpr int64_t heads = 4, groups = 2, dim = 20, slots = 100, width = heads * dim, keyWidth = groups * dim;
  Attributes attributes;
  attributes.set("num_heads", heads);
  attributes.set("num_kv_heads", groups);
  attributes.set("scale", 0.4);
  forEachInstructionSet([&](std::string_view) {
    for (int64_t window : {0, 6})
      for (const auto &rows : selections) {
        Batch batch = twoSequences(rows);
        int64_t total = batch.rows();
        std::vector<float> q = randomFloats(total * width, 1), k = randomFloats(total * keyWidth, 2),
                           v = randomFloats(total * keyWidth, 3), all(q.size());
        attributes.set("sliding_window", window);
        auto run = [&](std::vector<float> &query, int64_t count, std::vector<float> &out, const Attributes &with,
                       std::vector<float> &keys, std::vector<float> &values) {
          return machine.run("attention",
                             {floatTensor(query, {count, width}), floatTensor(k, {total, keyWidth}),
                              floatTensor(v, {total, keyWidth})},
                             {floatTensor(out, {count, width})}, with, &batch,
                             {{keys.data(), values.data(), slots, groups, dim}});
        };
        std::vector<float> keys(slots * keyWidth), values(keys);
        ASSERT_TRUE(run(q, total, all, attributes, keys, values).ok());
        Attributes selected = attributes;
        selected.set("selected", int64_t(1));
        int64_t count = int64_t(rows.size());
        std::vector<float> query = rowsOf(q, rows, width), out(query.size());
        std::vector<float> newKeys(keys.size()), newValues(keys.size());
        ASSERT_TRUE(run(query, count, out, selected, newKeys, newValues).ok());
        EXPECT_EQ(out, rowsOf(all, rows, width)) << "window " << window;
        // Every row is in the cache, selected or not.
        EXPECT_EQ(newKeys, keys);
        EXPECT_EQ(newValues, values);
      }
  });
}

} // namespace
