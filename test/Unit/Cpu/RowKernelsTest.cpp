#include "ModelSupport.h"

using namespace compressc;
using namespace compressc::test;

namespace {

Attributes epsilonOf(double value) {
  Attributes attributes;
  attributes.set("epsilon", value);
  return attributes;
}

Attributes kindOf(std::string kind) {
  Attributes attributes;
  attributes.set("kind", std::move(kind));
  return attributes;
}

constexpr DType plainTypes[] = {DType::F32, DType::F16, DType::BF16};

TEST(RmsNorm, MatchesTheReference) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (DType dtype : plainTypes)
      for (int64_t run : {1, 3, 16, 64, 577})
        for (int64_t heads : {1, 3}) {
          int64_t rows = 40, width = run * heads;
          std::vector<float> x = randomFloats(rows * width, 1), out(x.size());
          Weight w = vectorWeight(dtype, run, 2);
          ASSERT_TRUE(machine
                          .run("rms_norm", {floatTensor(x, {rows, width}), w.tensor},
                               {floatTensor(out, {rows, width})}, epsilonOf(1e-5))
                          .ok());
          for (int64_t begin = 0; begin < rows * width; begin += run) {
            double squares = 0;
            for (int64_t i = 0; i < run; ++i)
              squares += double(x[size_t(begin + i)]) * x[size_t(begin + i)];
            double scale = 1 / std::sqrt(squares / double(run) + 1e-5);
            for (int64_t i = 0; i < run; ++i)
              ASSERT_NEAR(out[size_t(begin + i)],
                          x[size_t(begin + i)] * scale * w.values[size_t(i)], 3e-6);
          }
        }
  });
}

TEST(LayerNorm, MatchesTheReference) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (int64_t width : {2, 7, 16, 100, 577})
      for (bool withBias : {false, true}) {
        int64_t rows = 33;
        std::vector<float> x = randomFloats(rows * width, 1), out(x.size());
        for (float &value : x)
          value += 5; // a mean that matters
        Weight w = vectorWeight(DType::F16, width, 2), b = vectorWeight(DType::BF16, width, 3);
        std::vector<Tensor> inputs = {floatTensor(x, {rows, width}), w.tensor};
        if (withBias)
          inputs.push_back(b.tensor);
        ASSERT_TRUE(
            machine.run("layer_norm", inputs, {floatTensor(out, {rows, width})}, epsilonOf(1e-3))
                .ok());
        for (int64_t row = 0; row < rows; ++row) {
          const float *p = x.data() + row * width;
          double mean = 0, squares = 0;
          for (int64_t i = 0; i < width; ++i)
            mean += double(p[i]) / double(width);
          for (int64_t i = 0; i < width; ++i)
            squares += (p[i] - mean) * (p[i] - mean) / double(width);
          for (int64_t i = 0; i < width; ++i)
            ASSERT_NEAR(out[size_t(row * width + i)],
                        (p[i] - mean) / std::sqrt(squares + 1e-3) * w.values[size_t(i)] +
                            (withBias ? b.values[size_t(i)] : 0),
                        2e-5);
        }
      }
  });
}

double activation(const std::string &kind, double x) {
  if (kind == "silu")
    return x / (1 + std::exp(-x));
  if (kind == "gelu")
    return x / 2 * std::erfc(-x / std::sqrt(2.0));
  if (kind == "gelu_tanh")
    return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return std::max(x, 0.0);
}

TEST(GatedActivation, MatchesTheReferenceOverTheWholeRange) {
  Machine machine;
  int64_t rows = 37, width = 1081;
  std::vector<float> gate(size_t(rows * width)), up = randomFloats(rows * width, 2),
                                                 out(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) // -100 to 100, finest at zero
    gate[i] = float(std::pow(double(i) / double(gate.size()) * 2 - 1, 3) * 100);
  forEachInstructionSet([&](std::string_view) {
    for (std::string kind : {"silu", "gelu", "gelu_tanh", "relu"}) {
      ASSERT_TRUE(machine
                      .run("gated_activation",
                           {floatTensor(gate, {rows, width}), floatTensor(up, {rows, width})},
                           {floatTensor(out, {rows, width})}, kindOf(kind))
                      .ok());
      for (size_t i = 0; i < gate.size(); ++i) {
        double expected = activation(kind, gate[i]) * up[i];
        // Far out on the left only the absolute size matters; gelu_tanh's exponent is itself
        // rounded.
        ASSERT_NEAR(out[i], expected, 2e-6 * std::abs(expected) + 3e-7) << kind << " " << gate[i];
      }
    }
  });
}

TEST(Silu, IsAccurateToAMillionth) {
  // silu(x) / x = 1 / (1 + e^-x): shows the exponential's relative error.
  Machine machine;
  int64_t count = 60000;
  std::vector<float> x(static_cast<size_t>(count)), ones(x.size(), 1.0f), out(x.size());
  for (int64_t i = 0; i < count; ++i)
    x[size_t(i)] = -85.0f + 170.0f * float(i) / float(count);
  forEachInstructionSet([&](std::string_view) {
    ASSERT_TRUE(machine
                    .run("gated_activation",
                         {floatTensor(x, {1, count}), floatTensor(ones, {1, count})},
                         {floatTensor(out, {1, count})}, kindOf("silu"))
                    .ok());
    for (int64_t i = 0; i < count; ++i) {
      double expected = double(x[size_t(i)]) / (1 + std::exp(-double(x[size_t(i)])));
      ASSERT_NEAR(out[size_t(i)], expected, 1e-6 * std::abs(expected)) << x[size_t(i)];
    }
  });
}

TEST(Elementwise, AddAndMul) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (int64_t width : {1, 13, 64, 20000}) {
      std::vector<float> a = randomFloats(3 * width, 1), b = randomFloats(3 * width, 2),
                         out(a.size());
      std::vector<Tensor> inputs = {floatTensor(a, {3, width}), floatTensor(b, {3, width})};
      ASSERT_TRUE(machine.run("add", inputs, {floatTensor(out, {3, width})}).ok());
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], a[i] + b[i]);
      ASSERT_TRUE(machine.run("mul", inputs, {floatTensor(out, {3, width})}).ok());
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], a[i] * b[i]);
    }
  });
}

TEST(Rotary, MatchesTheReferenceAtAnyPosition) {
  Machine machine;
  int64_t dim = 64, heads = 3, half = dim / 2;
  std::vector<double> frequencies;
  for (int64_t i = 0; i < half; ++i)
    frequencies.push_back(std::pow(500000.0, -double(i) / double(half)));
  Attributes attributes;
  attributes.set("head_dim", dim);
  attributes.set("frequencies", frequencies);
  attributes.set("attention_factor", 1.25);
  Batch batch;
  batch.tokens.resize(9);
  batch.sequences = {{0, 4, 0, 0, {}}, {4, 3, 1000, 4, {}}, {7, 2, 131070, 7, {}}};
  int64_t positions[] = {0, 1, 2, 3, 1000, 1001, 1002, 131070, 131071};
  std::vector<float> x = randomFloats(9 * heads * dim, 1), out(x.size());
  forEachInstructionSet([&](std::string_view) {
    ASSERT_TRUE(machine
                    .run("rotary_embedding", {floatTensor(x, {9, heads * dim})},
                         {floatTensor(out, {9, heads * dim})}, attributes, &batch)
                    .ok());
    for (int64_t row = 0; row < 9; ++row)
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t i = 0; i < half; ++i) {
          double angle = float(positions[row]) * float(frequencies[size_t(i)]);
          size_t at = size_t((row * heads + head) * dim + i);
          double c = std::cos(angle) * 1.25, s = std::sin(angle) * 1.25;
          ASSERT_NEAR(out[at], x[at] * c - x[at + size_t(half)] * s, 3e-7) << row << ", " << i;
          ASSERT_NEAR(out[at + size_t(half)], x[at + size_t(half)] * c + x[at] * s, 3e-7);
        }
  });
}

TEST(Embedding, LooksRowsUp) {
  Machine machine;
  forEachInstructionSet([&](std::string_view) {
    for (int64_t K : {96, 256})
      for (const WeightKind &kind : weightKinds(K)) {
        SCOPED_TRACE(kind.name);
        Weight table = kind.make(11, K, 3);
        std::vector<int32_t> tokens = {10, 0, 3, 3, 7};
        Tensor ids;
        ids.dtype = DType::I32;
        ids.shape = {5};
        ids.data = tokens.data();
        std::vector<float> out(size_t(5 * K));
        ASSERT_TRUE(machine.run("embedding", {ids, table.tensor}, {floatTensor(out, {5, K})}).ok());
        for (size_t i = 0; i < out.size(); ++i)
          ASSERT_EQ(out[i], float(table.values[size_t(tokens[i / size_t(K)] * K) + i % size_t(K)]));
        Attributes scaled;
        scaled.set("scale", 25.5);
        std::vector<float> large(size_t(5 * K));
        ASSERT_TRUE(machine.run("embedding", {ids, table.tensor}, {floatTensor(large, {5, K})}, scaled).ok());
        for (size_t i = 0; i < out.size(); ++i)
          ASSERT_EQ(large[i], out[i] * 25.5f);
        tokens[2] = 11;
        expectRefused(machine.run("embedding", {ids, table.tensor}, {floatTensor(out, {5, K})}),
                      "token 11 in row 2");
        tokens[2] = -1;
        expectRefused(machine.run("embedding", {ids, table.tensor}, {floatTensor(out, {5, K})}),
                      "token -1 in row 2");
      }
  });
}

TEST(SelectRows, CopiesTheSelectedRows) {
  Machine machine;
  Batch batch;
  batch.tokens.resize(6);
  batch.sequences = {{0, 6, 0, 0, {}}};
  batch.selectedRows = {0, 3, 5};
  std::vector<float> x = randomFloats(6 * 10, 1), out(3 * 10);
  Tensor in = floatTensor(x, {6, 10});
  ASSERT_TRUE(machine.run("select_rows", {in}, {floatTensor(out, {3, 10})}, {}, &batch).ok());
  for (size_t i = 0; i < 30; ++i)
    ASSERT_EQ(out[i], x[size_t(batch.selectedRows[i / 10]) * 10 + i % 10]);
  expectRefused(machine.run("select_rows", {in}, {floatTensor(out, {2, 10})}, {}, &batch),
                "[3, 10]");
  batch.selectedRows[2] = 6;
  expectRefused(machine.run("select_rows", {in}, {floatTensor(out, {3, 10})}, {}, &batch),
                "row 6 is selected");
  batch.selectedRows = {};
  EXPECT_TRUE(machine.run("select_rows", {in}, {floatTensor(out, {0, 10})}, {}, &batch).ok());
}

TEST(RowKernels, RefuseHostileOperands) {
  Machine machine;
  std::vector<float> x(64), out(64);
  Tensor m = floatTensor(x, {4, 16}), o = floatTensor(out, {4, 16});
  Weight w = vectorWeight(DType::F32, 16, 1), odd = vectorWeight(DType::F32, 5, 1);
  Tensor integer = m, missing = m, huge = m, negative = m;
  integer.dtype = DType::I32;
  missing.data = nullptr;
  huge.shape = {int64_t(1) << 62, 16};
  negative.shape = {-4, 16};
  for (const Tensor &bad : {integer, missing, huge, negative, floatTensor(x, {64})}) {
    EXPECT_FALSE(machine.run("add", {bad, m}, {o}).ok());
    EXPECT_FALSE(machine.run("mul", {m, bad}, {o}).ok());
    EXPECT_FALSE(machine.run("add", {m, m}, {bad}).ok());
    EXPECT_FALSE(machine.run("rms_norm", {bad, w.tensor}, {o}, epsilonOf(1e-5)).ok());
    EXPECT_FALSE(machine.run("layer_norm", {bad, w.tensor}, {o}, epsilonOf(1e-5)).ok());
    EXPECT_FALSE(machine.run("gated_activation", {m, bad}, {o}, kindOf("silu")).ok());
    EXPECT_FALSE(machine.run("embedding", {bad, m}, {o}).ok());
  }
  expectRefused(machine.run("rms_norm", {m, w.tensor}, {o}), "'epsilon' is missing");
  expectRefused(machine.run("rms_norm", {m, w.tensor}, {o}, epsilonOf(std::nan(""))), "epsilon");
  expectRefused(machine.run("rms_norm", {m, odd.tensor}, {o}, epsilonOf(1e-5)), "f32 [5]");
  expectRefused(machine.run("layer_norm", {m, odd.tensor}, {o}, epsilonOf(1e-5)), "[16]");
  expectRefused(machine.run("gated_activation", {m, m}, {o}, kindOf("swish")), "'swish'");
  expectRefused(machine.run("add", {m}, {o}), "inputs");
  expectRefused(machine.run("select_rows", {m}, {o}), "needs a batch");

  Batch batch;
  batch.tokens.resize(4);
  batch.sequences = {{0, 4, 0, 0, {}}};
  auto rotary = [&](int64_t dim, std::vector<double> frequencies, const Batch *given) {
    Attributes attributes;
    attributes.set("head_dim", dim);
    attributes.set("frequencies", std::move(frequencies));
    return machine.run("rotary_embedding", {m}, {o}, attributes, given);
  };
  EXPECT_TRUE(rotary(4, {1.0, 0.5}, &batch).ok());
  expectRefused(rotary(4, {1.0, 0.5}, nullptr), "needs a batch");
  expectRefused(rotary(4, {1.0}, &batch), "1 frequencies");
  expectRefused(rotary(0, {}, &batch), "head_dim = 0");
  expectRefused(rotary(5, {1.0, 0.5}, &batch), "head_dim = 5");
  expectRefused(rotary(6, {1.0, 0.5, 0.2}, &batch), "head_dim = 6");
  expectRefused(rotary(4, {1.0, HUGE_VAL}, &batch), "not finite");
}

/// With a norm it has the bits of rms_norm and rotary_embedding after each other.
TEST(RowKernels, RotaryEmbeddingNormalisesHeads) {
  Machine machine;
  Batch batch;
  batch.tokens.resize(5);
  batch.sequences = {{0, 5, 3, 3, {{0, 3}}}};
  std::vector<float> x = randomFloats(5 * 24, 1), normed(x.size()), two(x.size()), one(x.size());
  Weight norm = vectorWeight(DType::BF16, 8, 2);
  Attributes epsilon, rotary;
  epsilon.set("epsilon", 1e-5);
  rotary.set("head_dim", int64_t(8));
  rotary.set("frequencies", std::vector<double>{1, 0.3, 0.1, 0.02});
  auto rows = [](std::vector<float> &v) { return floatTensor(v, {5, 24}); };
  ASSERT_TRUE(machine.run("rms_norm", {rows(x), norm.tensor}, {rows(normed)}, epsilon).ok());
  ASSERT_TRUE(machine.run("rotary_embedding", {rows(normed)}, {rows(two)}, rotary, &batch).ok());
  expectRefused(machine.run("rotary_embedding", {rows(x), norm.tensor}, {rows(one)}, rotary, &batch), "epsilon");
  rotary.set("epsilon", 1e-5);
  ASSERT_TRUE(machine.run("rotary_embedding", {rows(x), norm.tensor}, {rows(one)}, rotary, &batch).ok());
  EXPECT_EQ(one, two);
  Weight wrong = vectorWeight(DType::BF16, 12, 2);
  expectRefused(machine.run("rotary_embedding", {rows(x), wrong.tensor}, {rows(one)}, rotary, &batch), "the norm's weight");
}

TEST(RowKernels, NumberOfThreadsDoesNotMatter) {
  Machine one(1), three(3);
  int64_t rows = 300, width = 577;
  std::vector<float> x = randomFloats(rows * width, 1), y = randomFloats(rows * width, 2);
  Weight w = vectorWeight(DType::F32, width, 3);
  auto bothAgree = [&](std::string_view kernel, std::vector<Tensor> inputs,
                       const Attributes &attributes) {
    std::vector<float> a(x.size()), b(x.size());
    ASSERT_TRUE(one.run(kernel, inputs, {floatTensor(a, {rows, width})}, attributes).ok());
    ASSERT_TRUE(three.run(kernel, inputs, {floatTensor(b, {rows, width})}, attributes).ok());
    EXPECT_TRUE(sameBits(a, b)) << kernel;
  };
  Tensor tx = floatTensor(x, {rows, width}), ty = floatTensor(y, {rows, width});
  forEachInstructionSet([&](std::string_view) {
    bothAgree("rms_norm", {tx, w.tensor}, epsilonOf(1e-5));
    bothAgree("layer_norm", {tx, w.tensor}, epsilonOf(1e-5));
    bothAgree("gated_activation", {tx, ty}, kindOf("silu"));
    bothAgree("gated_activation", {tx, ty}, kindOf("gelu"));
  });
}

} // namespace
