#include "ModelSupport.h"

using namespace compressc;
using namespace compressc::test;

namespace {

struct Shape {
  int64_t heads, groups, dim, window;
};

/// One attention with its cache and random q, k, v for `tokens` tokens.
struct Problem {
  Shape shape;
  int64_t slots;
  std::vector<float> q, k, v, keys, values, out;

  Problem(Shape shape, int64_t rows, int64_t slots, uint64_t seed = 1)
      : shape(shape), slots(slots), q(randomFloats(rows * shape.heads * shape.dim, seed)),
        k(randomFloats(rows * shape.groups * shape.dim, seed + 1)),
        v(randomFloats(rows * shape.groups * shape.dim, seed + 2)),
        // Slots that nobody wrote hold NaN: reading one spoils the result.
        keys(size_t(slots * shape.groups * shape.dim), std::nanf("")), values(keys),
        out(q.size(), std::nanf("")) {
    for (float &value : q)
      value *= 3; // peaked softmax
  }

  Attributes attributes() const {
    Attributes a;
    a.set("num_heads", shape.heads);
    a.set("num_kv_heads", shape.groups);
    a.set("scale", 1.0 / std::sqrt(double(shape.dim)));
    a.set("sliding_window", shape.window);
    return a;
  }

  Status run(Machine &machine, const Batch &batch) {
    int64_t rows = batch.rows();
    std::vector<Tensor> inputs = {floatTensor(q, {rows, shape.heads * shape.dim}),
                                  floatTensor(k, {rows, shape.groups * shape.dim}),
                                  floatTensor(v, {rows, shape.groups * shape.dim})};
    return machine.run("attention", inputs, {floatTensor(out, {rows, shape.heads * shape.dim})},
                       attributes(), &batch,
                       {{keys.data(), values.data(), slots, shape.groups, shape.dim}});
  }
};

/// The definition, in double: row `row` at position p sees the keys of its context and of the rows
/// of its sequence up to itself.
std::vector<double> attend(const Problem &p, const Sequence &sequence, int64_t row, int64_t head) {
  int64_t dim = p.shape.dim, group = head / (p.shape.heads / p.shape.groups);
  int64_t width = p.shape.groups * dim;
  std::vector<int64_t> slots;
  for (const SlotRange &range : sequence.context)
    for (int32_t i = 0; i < range.count; ++i)
      slots.push_back(range.begin + i);
  for (int64_t i = sequence.rowBegin; i <= row; ++i)
    slots.push_back(sequence.slotBegin + i - sequence.rowBegin);
  if (p.shape.window > 0 && int64_t(slots.size()) > p.shape.window)
    slots.erase(slots.begin(), slots.end() - p.shape.window);
  const float *q = p.q.data() + (row * p.shape.heads + head) * dim;
  std::vector<double> scores, out(size_t(dim), 0.0);
  double most = -1e300, total = 0;
  for (int64_t slot : slots) {
    double score = 0;
    for (int64_t d = 0; d < dim; ++d)
      score += double(q[d]) * p.keys[size_t(slot * width + group * dim + d)];
    scores.push_back(score / std::sqrt(double(dim)));
    most = std::max(most, scores.back());
  }
  for (double &score : scores)
    total += score = std::exp(score - most);
  for (size_t i = 0; i < slots.size(); ++i)
    for (int64_t d = 0; d < dim; ++d)
      out[size_t(d)] += scores[i] / total * p.values[size_t(slots[i] * width + group * dim + d)];
  return out;
}

void expectReference(const Problem &p, const Batch &batch) {
  double worst = 0;
  for (const Sequence &sequence : batch.sequences)
    for (int64_t row = sequence.rowBegin; row < sequence.rowBegin + sequence.rowCount; ++row)
      for (int64_t head = 0; head < p.shape.heads; ++head) {
        std::vector<double> expected = attend(p, sequence, row, head);
        for (int64_t d = 0; d < p.shape.dim; ++d) {
          double got = p.out[size_t((row * p.shape.heads + head) * p.shape.dim + d)];
          double error = std::abs(got - expected[size_t(d)]);
          worst = error <= 1e9 ? std::max(worst, error) : 1e9;
        }
      }
  EXPECT_LT(worst, 4e-6) << "heads " << p.shape.heads << "/" << p.shape.groups << " dim "
                         << p.shape.dim << " window " << p.shape.window;
}

Batch oneSequence(int32_t rows, int32_t slot = 0) {
  Batch batch;
  batch.tokens.resize(size_t(rows));
  batch.sequences.push_back({0, rows, 0, slot, {}});
  return batch;
}

/// A trie in one batch: a shared prefix of 5 rows, two children that continue it, and a grandchild
/// whose context is in three pieces.
Batch trie() {
  Batch batch;
  batch.tokens.resize(5 + 3 + 140 + 2);
  batch.sequences = {{0, 5, 0, 10, {}},
                     {5, 3, 5, 200, {{10, 5}}},
                     {8, 140, 5, 20, {{10, 3}, {13, 0}, {13, 2}}},
                     {148, 2, 147, 3, {{10, 5}, {20, 140}, {200, 2}}}};
  return batch;
}

TEST(Attention, ShapesAndLengths) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (Shape shape : {Shape{1, 1, 1, 0},
                        {2, 1, 7, 0},
                        {9, 3, 64, 0},
                        {4, 4, 33, 3},
                        {8, 1, 20, 17},
                        {2, 2, 128, 0},
                        {4, 2, 64, 130},
                        {2, 1, 260, 0},
                        {40, 1, 6, 0},
                        {1, 1, 576, 9}})
      for (int32_t rows : {1, 2, 31, 127, 128, 129, 300}) {
        if (rows > 129 && shape.dim > 128)
          continue;
        Problem p(shape, rows, rows + 4);
        Batch batch = oneSequence(rows, 2);
        ASSERT_TRUE(p.run(machine, batch).ok());
        expectReference(p, batch);
      }
  });
}

TEST(Attention, RaggedBatchesShareContext) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (int64_t window : {0, 4, 150}) {
      Batch batch = trie();
      Problem p({6, 2, 64, window}, batch.rows(), 300);
      ASSERT_TRUE(p.run(machine, batch).ok());
      expectReference(p, batch);
    }
  });
}

/// Runs rows of `whole` in several batches, each continuing what the earlier ones left in the
/// cache.
std::vector<float> runInChunks(Machine &machine, const Problem &whole,
                               const std::vector<int32_t> &chunks) {
  std::vector<float> out;
  Problem part = whole;
  int32_t done = 0;
  for (int32_t rows : chunks) {
    auto slice = [&](const std::vector<float> &from, int64_t width) {
      return std::vector<float>(from.begin() + done * width, from.begin() + (done + rows) * width);
    };
    int64_t queryWidth = whole.shape.heads * whole.shape.dim,
            width = whole.shape.groups * whole.shape.dim;
    part.q = slice(whole.q, queryWidth);
    part.k = slice(whole.k, width);
    part.v = slice(whole.v, width);
    part.out.assign(size_t(rows * queryWidth), 0.0f);
    Batch batch = oneSequence(rows, done);
    batch.sequences[0].positionBegin = done;
    if (done > 0)
      batch.sequences[0].context = {{0, done}};
    EXPECT_TRUE(part.run(machine, batch).ok());
    out.insert(out.end(), part.out.begin(), part.out.end());
    done += rows;
  }
  return out;
}

TEST(Attention, ChunksHaveTheBitsOfTheWhole) {
  Machine one(1), two(2);
  forEachInstructionSet([&](std::string_view) {
    for (Shape shape : {Shape{6, 2, 64, 0}, {2, 2, 128, 40}, {3, 1, 10, 0}}) {
      Problem p(shape, 290, 290);
      ASSERT_TRUE(p.run(one, oneSequence(290)).ok());
      EXPECT_TRUE(sameBits(p.out, runInChunks(two, p, {290})));
      EXPECT_TRUE(sameBits(p.out, runInChunks(two, p, {1, 1, 126, 2, 100, 60})));
      EXPECT_TRUE(sameBits(p.out, runInChunks(one, p, {200, 1, 1, 1, 87})));
    }
  });
}

TEST(Attention, LargeScoresStayFinite) {
  Machine machine;
  Problem p({2, 1, 64, 0}, 150, 150);
  for (float &value : p.q)
    value *= 1000;
  Batch batch = oneSequence(150);
  ASSERT_TRUE(p.run(machine, batch).ok());
  for (float value : p.out)
    ASSERT_LE(std::abs(value), 1.0001f);
}

TEST(Attention, TheOutputMayBeTheQueries) {
  Machine machine;
  Problem p({6, 2, 64, 0}, 150, 300);
  Batch batch = trie();
  ASSERT_TRUE(p.run(machine, batch).ok());
  std::vector<Tensor> inputs = {floatTensor(p.q, {150, 384}), floatTensor(p.k, {150, 128}),
                                floatTensor(p.v, {150, 128})};
  ASSERT_TRUE(machine
                  .run("attention", inputs, {inputs[0]}, p.attributes(), &batch,
                       {{p.keys.data(), p.values.data(), 300, 2, 64}})
                  .ok());
  EXPECT_TRUE(sameBits(p.out, p.q));
}

TEST(Attention, NarrowOutputsAreRounded) {
  Machine machine(2);
  int64_t rows = 70, width = 2 * 16;
  Batch batch;
  batch.tokens.resize(size_t(rows));
  batch.sequences = {{0, int32_t(rows), 0, 0, {}}};
  std::vector<float> q = randomFloats(rows * width, 1), k = randomFloats(rows * 16, 2), v = randomFloats(rows * 16, 3), wide(q.size());
  std::vector<float> keys(size_t(rows * 16)), values(keys.size());
  std::vector<CacheView> caches = {{keys.data(), values.data(), rows, 1, 16}};
  Attributes attributes;
  attributes.set("num_heads", int64_t(2));
  attributes.set("num_kv_heads", int64_t(1));
  attributes.set("scale", 0.25);
  NarrowRows narrow(wide, {rows, width});
  std::vector<Tensor> inputs = {floatTensor(q, {rows, width}), floatTensor(k, {rows, 16}), floatTensor(v, {rows, 16})};
  ASSERT_TRUE(machine.run("attention", inputs, {floatTensor(wide, {rows, width})}, attributes, &batch, caches).ok());
  ASSERT_TRUE(machine.run("attention", inputs, {narrow.tensor}, attributes, &batch, caches).ok());
  EXPECT_EQ(narrow.bits, NarrowRows(wide, {rows, width}).bits);
}

/// What it rotates itself has the bits of what was rotated before it.
TEST(Attention, RotatesQueriesAndKeys) {
  Machine machine(2);
  constexpr int64_t heads = 6, groups = 2, dim = 24, slots = 300, width = heads * dim, keyWidth = groups * dim;
  Weight queryNorm = vectorWeight(DType::BF16, dim, 5), keyNorm = vectorWeight(DType::F32, dim, 6);
  std::vector<double> frequencies;
  for (int64_t i = 0; i < dim / 2; ++i)
    frequencies.push_back(std::pow(100.0, -double(i) / dim));
  Batch batch = trie();
  batch.selectedRows = {0, 4, 5, 100, 149};
  forEachInstructionSet([&](std::string_view) {
    for (bool normed : {false, true})
      for (bool selected : {false, true})
        for (bool narrow : {false, true}) {
          int64_t rows = batch.rows(), queries = selected ? int64_t(batch.selectedRows.size()) : rows;
          std::vector<float> q = randomFloats(queries * width, 1), k = randomFloats(rows * keyWidth, 2),
                             v = randomFloats(rows * keyWidth, 3);
          std::vector<float> rotatedQ(q.size()), rotatedK(k.size());
          Attributes attention = Problem({heads, groups, dim, 0}, 0, 0).attributes(), rotation;
          attention.set("selected", int64_t(selected));
          rotation.set("head_dim", dim);
          Attributes rotating = attention;
          for (Attributes *each : {&rotation, &rotating}) {
            each->set("frequencies", frequencies);
            each->set("attention_factor", 1.25);
            each->set("epsilon", 1e-5);
          }
          auto rotate = [&](std::vector<float> &from, std::vector<float> &to, int64_t count, int64_t columns, const Weight &norm) {
            std::vector<Tensor> inputs = {floatTensor(from, {count, columns})};
            if (normed)
              inputs.push_back(norm.tensor);
            return machine.run("rotary_embedding", inputs, {floatTensor(to, {count, columns})}, rotation, &batch);
          };
          ASSERT_TRUE(rotate(k, rotatedK, rows, keyWidth, keyNorm).ok());
          rotation.set("selected", int64_t(selected));
          ASSERT_TRUE(rotate(q, rotatedQ, queries, width, queryNorm).ok());
          auto attend = [&](std::vector<float> &query, std::vector<float> &key, const Attributes &attributes, bool norms) {
            std::vector<float> keys(slots * keyWidth), values(keys.size()), out(query.size());
            std::vector<Tensor> inputs = {floatTensor(query, {queries, width}), floatTensor(key, {rows, keyWidth}),
                                          floatTensor(v, {rows, keyWidth})};
            if (norms)
              inputs.insert(inputs.end(), {queryNorm.tensor, keyNorm.tensor});
            Tensor result = floatTensor(out, {queries, width});
            result.dtype = narrow ? DType::BF16 : DType::F32;
            CacheView cache{keys.data(), values.data(), slots, groups, dim};
            EXPECT_TRUE(machine.run("attention", inputs, {result}, attributes, &batch, {cache}).ok());
            return std::tuple(out, keys, values);
          };
          EXPECT_EQ(attend(q, k, rotating, normed), attend(rotatedQ, rotatedK, attention, false));
        }
  });
}

TEST(Attention, RefusesBadRotations) {
  Machine machine;
  Batch batch = oneSequence(4);
  Problem p({6, 2, 4, 0}, 4, 8), odd({6, 2, 3, 0}, 4, 8);
  Weight norm = vectorWeight(DType::F32, 4, 1), wide = vectorWeight(DType::F32, 6, 1);
  auto run = [&](Problem &p, std::vector<double> frequencies, std::vector<Tensor> norms, double epsilon) {
    int64_t width = p.shape.dim * 6, keyWidth = p.shape.dim * 2;
    std::vector<Tensor> inputs = {floatTensor(p.q, {4, width}), floatTensor(p.k, {4, keyWidth}), floatTensor(p.v, {4, keyWidth})};
    inputs.insert(inputs.end(), norms.begin(), norms.end());
    Attributes attributes = p.attributes();
    if (!frequencies.empty())
      attributes.set("frequencies", frequencies);
    attributes.set("epsilon", epsilon);
    return machine.run("attention", inputs, {floatTensor(p.out, {4, width})}, attributes, &batch,
                       {{p.keys.data(), p.values.data(), 8, 2, p.shape.dim}});
  };
  ASSERT_TRUE(run(p, {1, 0.5}, {norm.tensor, norm.tensor}, 1e-5).ok());
  expectRefused(run(p, {1, 0.5, 0.25}, {}, 1e-5), "3 frequencies given; heads of 4 columns take half as many");
  expectRefused(run(odd, {1}, {}, 1e-5), "1 frequencies given; heads of 3 columns");
  expectRefused(run(p, {1, INFINITY}, {}, 1e-5), "a frequency is not finite");
  expectRefused(run(p, {1, 0.5}, {norm.tensor}, 1e-5), "1 norms given; it takes two");
  expectRefused(run(p, {}, {norm.tensor, norm.tensor}, 1e-5), "2 norms given; it takes two, of q and k, and only with frequencies");
  expectRefused(run(p, {1, 0.5}, {norm.tensor, wide.tensor}, 1e-5), "the norm of k is f32 [6]; it must be f32, f16 or bf16 [4]");
  expectRefused(run(p, {1, 0.5}, {norm.tensor, norm.tensor}, -1), "epsilon = -1");
}

TEST(Attention, RefusesBadBatches) {
  Machine machine;
  auto refused = [&](const Batch &batch, std::string_view part) {
    Problem p({6, 2, 64, 0}, batch.rows(), 300);
    expectRefused(p.run(machine, batch), part);
  };
  Batch batch = trie();
  batch.sequences[1].slotBegin = 298;
  refused(batch, "sequence 1 names the slots [298, 301)");
  batch = trie();
  batch.sequences[1].slotBegin = -1;
  refused(batch, "slots [-1, 2)");
  batch = trie();
  batch.sequences[1].slotBegin = 2147483647;
  refused(batch, "the cache has 300");
  batch = trie();
  batch.sequences[2].context[0] = {298, 3};
  refused(batch, "slots [298, 301)");
  batch.sequences[2].context[0] = {-1, 3};
  refused(batch, "slots [-1, 2)");
  batch.sequences[2].context[0] = {10, -3};
  refused(batch, "sequence 2 names the slots");
  batch = trie();
  batch.sequences[1].positionBegin = 6;
  refused(batch, "sequence 1 begins at position 6, but its context has 5");
  batch.sequences[1].positionBegin = -5;
  refused(batch, "begins at the position -5");
  batch = trie();
  batch.sequences[1].slotBegin = 21;
  refused(batch, "write slot");
  batch = trie();
  batch.sequences[1].rowCount = 2;
  refused(batch, "must tile");
  batch.sequences[1].rowCount = 0;
  refused(batch, "must tile");
  batch.sequences[1].rowCount = 2147483647;
  refused(batch, "must tile");
  batch = trie();
  batch.sequences.pop_back();
  refused(batch, "the sequences have 148 rows, the batch 150");
}

TEST(Attention, RefusesBadOperands) {
  Machine machine;
  Batch batch = oneSequence(4);
  Problem p({6, 2, 64, 0}, 4, 8);
  CacheView cache{p.keys.data(), p.values.data(), 8, 2, 64};
  auto run = [&](Attributes attributes, int64_t qWidth, CacheView view, const Batch *given) {
    return machine.run(
        "attention",
        {floatTensor(p.q, {4, qWidth}), floatTensor(p.k, {4, 128}), floatTensor(p.v, {4, 128})},
        {floatTensor(p.out, {4, qWidth})}, attributes, given, {view});
  };
  ASSERT_TRUE(run(p.attributes(), 384, cache, &batch).ok());
  expectRefused(run({}, 384, cache, &batch), "num_heads");
  expectRefused(run(p.attributes(), 380, cache, &batch), "do not fit");
  expectRefused(run(p.attributes(), 384, cache, nullptr), "needs a batch");
  Attributes a = p.attributes();
  a.set("num_kv_heads", int64_t(4));
  expectRefused(run(a, 384, cache, &batch), "num_kv_heads = 4");
  a.set("num_kv_heads", int64_t(0));
  expectRefused(run(a, 384, cache, &batch), "num_kv_heads = 0");
  a = p.attributes();
  a.set("sliding_window", int64_t(-1));
  expectRefused(run(a, 384, cache, &batch), "sliding_window = -1");
  CacheView wrong = cache;
  wrong.dim = 32;
  expectRefused(run(p.attributes(), 384, wrong, &batch), "heads of 32");
  wrong = cache;
  wrong.keys = nullptr;
  expectRefused(run(p.attributes(), 384, wrong, &batch), "cache");
  Batch other = oneSequence(5);
  expectRefused(run(p.attributes(), 384, cache, &other), "the batch has 5 rows, the operand 4");
  expectRefused(machine.run("attention", {floatTensor(p.q, {4, 384})}, {}, p.attributes(), &batch),
                "inputs");
}

} // namespace
