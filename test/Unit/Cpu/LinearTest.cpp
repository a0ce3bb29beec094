// The linear kernel: each fused form against the calls it stands for, bit for bit.
#include "ModelSupport.h"
#include <numeric>

using namespace compressc;
using namespace compressc::test;

namespace {

/// One call of the kernel with its operands.
struct Form {
  std::vector<WeightKind> kinds; // one for each weight
  std::vector<int64_t> columns;  // N of each
  int64_t biases = 0;
  std::string prologue, epilogue;
  std::string compute = "f32";
};

struct Operands {
  Operands(const Form &form, int64_t T, int64_t K)
      : T(T), K(K), x(randomFloats(T * K, 1)), norm(vectorWeight(DType::BF16, K, 2)) {
    for (size_t i = 0; i < form.kinds.size(); ++i) {
      weights.push_back(form.kinds[i].make(form.columns[i], K, 10 + i));
      biases.push_back(vectorWeight(DType::F16, form.columns[i], 20 + i));
    }
    residual = randomFloats(T * form.columns[0], 3);
  }
  int64_t T, K;
  std::vector<float> x, residual;
  Weight norm;
  std::vector<Weight> weights, biases;
};

bool isGated(const Form &form) { return form.epilogue.size() > 4; }

Attributes computeOf(const Form &form) {
  Attributes attributes;
  if (form.compute != "f32")
    attributes.set("compute", form.compute);
  return attributes;
}

/// The outputs of one fused call for rows [first, first + rows).
std::vector<std::vector<float>> fused(Machine &machine, const Form &form, Operands &o,
                                      int64_t first, int64_t rows) {
  Attributes attributes = computeOf(form);
  attributes.set("weights", int64_t(form.kinds.size()));
  attributes.set("biases", form.biases);
  if (!form.prologue.empty())
    attributes.set("prologue", form.prologue);
  if (!form.epilogue.empty())
    attributes.set("epilogue", form.epilogue);
  attributes.set("epsilon", 1e-5);
  Tensor x = floatTensor(o.x, {rows, o.K});
  x.data = o.x.data() + first * o.K;
  std::vector<Tensor> inputs = {x};
  if (!form.prologue.empty())
    inputs.push_back(o.norm.tensor);
  for (Weight &w : o.weights)
    inputs.push_back(w.tensor);
  for (size_t i = 0; i < o.biases.size(); ++i)
    if (form.biases >> i & 1)
      inputs.push_back(o.biases[i].tensor);
  if (form.epilogue == "add") {
    inputs.push_back(floatTensor(o.residual, {rows, form.columns[0]}));
    inputs.back().data = o.residual.data() + first * form.columns[0];
  }
  std::vector<std::vector<float>> outs;
  for (int64_t N : form.columns)
    outs.emplace_back(size_t(rows * N));
  if (isGated(form))
    outs.resize(1);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < outs.size(); ++i)
    outputs.push_back(floatTensor(outs[i], {rows, form.columns[i]}));
  Status status = machine.run("linear", inputs, outputs, attributes);
  EXPECT_TRUE(status.ok()) << status;
  return outs;
}

/// The same by one kernel call for each step.
std::vector<std::vector<float>> unfused(Machine &machine, const Form &form, Operands &o) {
  std::vector<float> x = o.x;
  if (!form.prologue.empty()) {
    Attributes attributes;
    attributes.set("epsilon", 1e-5);
    EXPECT_TRUE(machine
                    .run("rms_norm", {floatTensor(o.x, {o.T, o.K}), o.norm.tensor},
                         {floatTensor(x, {o.T, o.K})}, attributes)
                    .ok());
  }
  std::vector<std::vector<float>> outs;
  for (size_t i = 0; i < o.weights.size(); ++i) {
    outs.emplace_back(size_t(o.T * form.columns[i]));
    std::vector<Tensor> inputs = {floatTensor(x, {o.T, o.K}), o.weights[i].tensor};
    if (form.biases >> i & 1)
      inputs.push_back(o.biases[i].tensor);
    EXPECT_TRUE(machine
                    .run("linear", inputs, {floatTensor(outs[i], {o.T, form.columns[i]})},
                         computeOf(form))
                    .ok());
  }
  Tensor first = floatTensor(outs[0], {o.T, form.columns[0]});
  if (form.epilogue == "add") {
    EXPECT_TRUE(machine.run("add", {first, floatTensor(o.residual, first.shape)}, {first}).ok());
  } else if (isGated(form)) {
    Attributes attributes;
    attributes.set("kind", form.epilogue.substr(0, form.epilogue.size() - 4));
    Tensor up = floatTensor(outs[1], first.shape);
    EXPECT_TRUE(machine.run("gated_activation", {first, up}, {first}, attributes).ok());
    outs.resize(1);
  }
  return outs;
}

/// Whole, and cut into batches that take other paths.
void expectFusedIsUnfused(Machine &machine, const Form &form, int64_t T, int64_t K) {
  Operands o(form, T, K);
  std::vector<std::vector<float>> expected = unfused(machine, form, o),
                                  whole = fused(machine, form, o, 0, T);
  ASSERT_EQ(whole.size(), expected.size());
  for (size_t i = 0; i < whole.size(); ++i)
    EXPECT_TRUE(sameBits(whole[i], expected[i])) << form.epilogue << " output " << i;
  for (int64_t first = 0, rows = 1; first < T; first += rows, rows = rows * 2 + 1) {
    rows = std::min(rows, T - first);
    auto part = fused(machine, form, o, first, rows);
    for (size_t i = 0; i < part.size(); ++i) {
      int64_t N = form.columns[i];
      std::vector<float> same(expected[i].begin() + first * N,
                              expected[i].begin() + (first + rows) * N);
      EXPECT_TRUE(sameBits(part[i], same)) << form.epilogue << " rows " << first;
    }
  }
}

TEST(Linear, FusedFormsHaveTheBitsOfTheirParts) {
  Machine one(1), two(2);
  WeightKind half{"f16", DType::F16, {}}, w4{"w4", DType::Packed, {4, 32, false, DType::F16}},
      w8{"w8", DType::Packed, {8, 64, true, DType::F32}}, q4{"q4_1", DType::Q4_1, {}};
  std::vector<Form> forms = {
      {{w4}, {37}, 0, "rms_norm", "", "f32"},
      {{half}, {64}, 1, "", "add", "f32"},
      {{w4}, {33}, 1, "rms_norm", "add", "f32"},
      {{w4, half, w8}, {96, 33, 32}, 0b101, "rms_norm", "", "f32"},
      {{half, q4}, {5, 70}, 0b10, "", "", "f32"},
  };
  for (std::string kind : {"silu", "gelu", "gelu_tanh", "relu"})
    forms.push_back({{w4, q4}, {101, 101}, 0b11, "rms_norm", kind + "_mul", "f32"});
  forms.push_back({{half, half}, {300, 300}, 0b01, "", "silu_mul", "f32"});
  forEachInstructionSet([&](std::string_view) {
    for (const Form &form : forms) {
      expectFusedIsUnfused(one, form, 33, 320);
      expectFusedIsUnfused(two, form, 21, 64);
    }
    expectFusedIsUnfused(two, forms.back(), 600, 64);
  });
}

/// Activations as `compute=int8` rounds them: 8 bits with a scale for each row and group of columns.
std::vector<double> roundedToInt8(const std::vector<float> &x, int64_t group) {
  std::vector<double> rounded;
  for (size_t begin = 0; begin < x.size(); begin += size_t(group)) {
    float most = 0;
    for (size_t i = begin; i < begin + size_t(group); ++i)
      most = std::max(most, std::abs(x[i]));
    float inverse = most > 0 ? 127.0f / most : 0.0f;
    for (size_t i = begin; i < begin + size_t(group); ++i)
      rounded.push_back(double(most / 127.0f) * std::nearbyintf(x[i] * inverse));
  }
  return rounded;
}

/// The group of columns that the README promises int8 for, or 0 where the product stays in fp32.
int64_t int8Group(const WeightKind &kind) {
  if (kind.dtype == DType::Packed)
    return kind.packed.group % 16 ? 0 : kind.packed.group;
  bool blocks =
      kind.dtype == DType::Q4_0 || kind.dtype == DType::Q4_1 || kind.dtype == DType::Q8_0;
  return blocks ? 32 : 0;
}

TEST(LinearInt8, MatchesTheReferenceAndEveryInstructionSetAgrees) {
  Machine machine;
  for (int64_t K : {32, 48, 80, 320, 640, 2304})
    for (const WeightKind &kind : weightKinds(K)) {
      SCOPED_TRACE(kind.name + " K=" + std::to_string(K));
      int64_t T = K < 2000 ? 40 : 5, N = 37, group = int8Group(kind);
      Form form{{kind}, {N}, 1, "", "add", "int8"};
      Operands o(form, T, K);
      if (T > 4) // one row without a scale, and one with a large range
        for (int64_t k = 0; k < K; ++k) {
          o.x[size_t(3 * K + k)] = 0;
          o.x[size_t(4 * K + k)] *= k % 7 ? 1e-3f : 1e3f;
        }
      std::vector<double> x(o.x.begin(), o.x.end());
      if (group)
        x = roundedToInt8(o.x, group);
      std::vector<float> before;
      forEachInstructionSet([&](std::string_view name) {
        std::vector<float> out = fused(machine, form, o, 0, T)[0];
        if (group && !before.empty()) {
          EXPECT_TRUE(sameBits(out, before));
        }
        before = out;
        for (int64_t t = 0; t < T; ++t)
          for (int64_t n = 0; n < N; ++n) {
            double sum = o.biases[0].values[size_t(n)] + double(o.residual[size_t(t * N + n)]);
            double size = 1;
            for (int64_t k = 0; k < K; ++k) {
              double term = x[size_t(t * K + k)] * o.weights[0].values[size_t(n * K + k)];
              sum += term;
              // The codes and the zero point are summed apart.
              size += std::abs(term) + std::abs(x[size_t(t * K + k)]);
            }
            ASSERT_NEAR(out[size_t(t * N + n)], sum, 1e-6 * size) << t << ", " << n;
          }
      });
    }
}

TEST(LinearInt8, FusedFormsHaveTheBitsOfTheirParts) {
  Machine one(1), two(2);
  for (int64_t K : {64, 640})
    for (const WeightKind &kind : weightKinds(K))
      forEachInstructionSet([&](std::string_view) {
        SCOPED_TRACE(kind.name);
        expectFusedIsUnfused(one, {{kind}, {70}, 1, "rms_norm", "add", "int8"}, 35, K);
      });
  // Several formats of activations, and weights that stay in fp32, in one call.
  WeightKind half{"f16", DType::F16, {}}, w4{"w4", DType::Packed, {4, 32, false, DType::F16}},
      w2{"w2", DType::Packed, {2, 32, false, DType::F16}}, q4{"q4_1", DType::Q4_1, {}};
  forEachInstructionSet([&](std::string_view) {
    expectFusedIsUnfused(two, {{w4, half, w2, q4}, {96, 33, 32, 5}, 0b101, "rms_norm", "", "int8"},
                         33, 320);
    expectFusedIsUnfused(two, {{w4, q4}, {101, 101}, 0b11, "rms_norm", "silu_mul", "int8"}, 33,
                         320);
    expectFusedIsUnfused(one, {{w4, half}, {300, 300}, 0, "", "gelu_mul", "int8"}, 530, 64);
  });
}

double roundedToBFloat16(double value) { return RoundToDType(float(value), DType::BF16); }

TEST(LinearBFloat16, MatchesTheReferenceAndFusedFormsHaveTheBitsOfTheirParts) {
  Machine one(1), two(2);
  for (int64_t K : {1, 35, 64, 320, 1600})
    for (const WeightKind &kind : weightKinds(K)) {
      SCOPED_TRACE(kind.name + " K=" + std::to_string(K));
      int64_t T = K < 1000 ? 19 : 9, N = 37;
      Form form{{kind}, {N}, 1, "", "add", "bf16"};
      Operands o(form, T, K);
      std::vector<double> expected, sizes;
      for (int64_t t = 0; t < T; ++t)
        for (int64_t n = 0; n < N; ++n) {
          double sum = o.biases[0].values[size_t(n)] + double(o.residual[size_t(t * N + n)]);
          double size = 1;
          for (int64_t k = 0; k < K; ++k) {
            double term = roundedToBFloat16(o.x[size_t(t * K + k)]) *
                          roundedToBFloat16(o.weights[0].values[size_t(n * K + k)]);
            sum += term;
            size += std::abs(term);
          }
          expected.push_back(sum);
          // Q4_1 rounds its product and its sum before: a tie may fall to the other side.
          sizes.push_back(kind.dtype == DType::Q4_1 ? 1e-3 * size : 2e-6 * size);
        }
      forEachInstructionSet([&](std::string_view) {
        expectFusedIsUnfused(one, {{kind}, {N}, 1, "rms_norm", "add", "bf16"}, T, K);
        std::vector<float> out = fused(two, form, o, 0, T)[0];
        for (size_t i = 0; i < out.size(); ++i)
          ASSERT_NEAR(out[i], expected[i], sizes[i]) << i;
      });
    }
}

TEST(LinearBFloat16, RowsHaveTheSameBitsInEveryBatchAndOnEveryNumberOfThreads) {
  Machine one(1), three(3);
  for (int64_t K : {35, 64, 1600})
    for (const WeightKind &kind : weightKinds(K)) {
      SCOPED_TRACE(kind.name + " K=" + std::to_string(K));
      Form form{{kind}, {70}, 1, "", "add", "bf16"};
      Operands o(form, 45, K);
      forEachInstructionSet([&](std::string_view) {
        std::vector<float> whole = fused(one, form, o, 0, 45)[0];
        for (auto [first, rows] : {std::pair<int64_t, int64_t>{0, 1}, {7, 2}, {10, 16}, {20, 17}, {44, 1}, {3, 37}}) {
          std::vector<float> expected(whole.begin() + first * 70, whole.begin() + (first + rows) * 70);
          EXPECT_TRUE(sameBits(expected, fused(three, form, o, first, rows)[0])) << first << ", " << rows;
        }
      });
    }
}

/// Rounded where it is stored or where it is read: the same bits.
TEST(LinearBFloat16, NarrowRowsHaveTheBitsOfWideOnes) {
  Machine machine(2);
  int64_t rows = 37, depth = 96, columns = 80;
  std::vector<float> x = randomFloats(rows * depth, 1), wide(size_t(rows * columns)), last(wide.size()), again(wide.size());
  Weight gate = weightKinds(depth)[2].make(columns, depth, 1), up = weightKinds(depth)[5].make(columns, depth, 2);
  Weight down = weightKinds(columns)[2].make(columns, columns, 3);
  Attributes gated, plain;
  gated.set("weights", int64_t(2));
  gated.set("epilogue", std::string("silu_mul"));
  for (Attributes *attributes : {&gated, &plain})
    attributes->set("compute", std::string("bf16"));
  NarrowRows narrow(wide, {rows, columns}), narrowX(x, {rows, depth});
  Tensor wideTensor = floatTensor(wide, {rows, columns});
  ASSERT_TRUE(machine.run("linear", {floatTensor(x, {rows, depth}), gate.tensor, up.tensor}, {wideTensor}, gated).ok());
  ASSERT_TRUE(machine.run("linear", {narrowX.tensor, gate.tensor, up.tensor}, {narrow.tensor}, gated).ok());
  EXPECT_EQ(narrow.bits, NarrowRows(wide, {rows, columns}).bits);
  ASSERT_TRUE(machine.run("linear", {wideTensor, down.tensor}, {floatTensor(last, {rows, columns})}, plain).ok());
  ASSERT_TRUE(machine.run("linear", {narrow.tensor, down.tensor}, {floatTensor(again, {rows, columns})}, plain).ok());
  EXPECT_EQ(last, again);
  expectRefused(machine.run("linear", {wideTensor, down.tensor}, {narrow.tensor}, plain), "the output is bf16");
  plain.set("compute", std::string("f32"));
  expectRefused(machine.run("linear", {narrow.tensor, down.tensor}, {wideTensor}, plain), "x is bf16");
}

/// As `compute=fp8` rounds a row of activations: to bf16, then to e4m3 with a scale for the row.
std::vector<double> roundedToFp8(const std::vector<float> &x, int64_t begin, int64_t count) {
  std::vector<double> rounded;
  std::vector<float> narrow;
  float most = 0;
  for (int64_t i = 0; i < count; ++i) {
    narrow.push_back(float(roundedToBFloat16(x[size_t(begin + i)])));
    most = std::max(most, std::abs(narrow.back()));
  }
  float scale = most > 0 ? most / 448.0f : 1.0f;
  for (float value : narrow) {
    double scaled = value * (1.0f / scale), step = std::exp2(std::max(-9.0, std::floor(std::log2(std::abs(scaled))) - 3));
    rounded.push_back(std::nearbyint(scaled / step) * step * scale);
  }
  return rounded;
}

TEST(LinearFp8, MatchesTheReferenceAndFusedFormsHaveTheBitsOfTheirParts) {
  Machine one(1), two(2);
  for (int64_t K : {35, 128, 320, 640})
    for (const WeightKind &kind : weightKinds(K)) {
      SCOPED_TRACE(kind.name + " K=" + std::to_string(K));
      int64_t T = 19, N = 37;
      Form form{{kind}, {N}, 1, "", "add", "fp8"};
      Operands o(form, T, K);
      for (int64_t k = 0; k < K; ++k) // one row without a scale, and one with a large range
        o.x[size_t(3 * K + k)] = 0, o.x[size_t(4 * K + k)] *= k % 7 ? 1e-3f : 1e3f;
      expectFusedIsUnfused(two, {{kind}, {N}, 1, "rms_norm", "add", "fp8"}, T, K);
      std::vector<float> out = fused(one, form, o, 0, T)[0];
      for (int64_t t = 0; t < T; ++t) {
        std::vector<double> x = roundedToFp8(o.x, t * K, K);
        for (int64_t n = 0; n < N; ++n) {
          double sum = o.biases[0].values[size_t(n)] + double(o.residual[size_t(t * N + n)]), size = 1;
          for (int64_t k = 0; k < K; ++k) {
            double term = x[size_t(k)] * o.weights[0].values[size_t(n * K + k)];
            sum += term, size += std::abs(term);
          }
          ASSERT_NEAR(out[size_t(t * N + n)], sum, 2e-6 * size) << t << ", " << n;
        }
      }
    }
}

TEST(LinearFp8, NarrowRowsHaveTheBitsOfWideOnes) {
  Machine machine(2);
  int64_t rows = 9, depth = 256, columns = 40;
  std::vector<float> x = randomFloats(rows * depth, 1), wide(size_t(rows * columns)), narrow(wide.size());
  Weight w = packedWeight({4, 128, false, DType::F16}, columns, depth, 2);
  NarrowRows narrowX(x, {rows, depth});
  Attributes fp8;
  fp8.set("compute", std::string("fp8"));
  ASSERT_TRUE(machine.run("linear", {floatTensor(x, {rows, depth}), w.tensor}, {floatTensor(wide, {rows, columns})}, fp8).ok());
  ASSERT_TRUE(machine.run("linear", {narrowX.tensor, w.tensor}, {floatTensor(narrow, {rows, columns})}, fp8).ok());
  EXPECT_TRUE(sameBits(wide, narrow));
}

TEST(LinearBFloat16, WhatIsNotFiniteStaysSo) {
  Machine machine;
  Form form{{{"f32", DType::F32, {}}}, {4}, 0, "", "", "bf16"};
  Operands o(form, 3, 64);
  uint32_t payload = 0x7fffffff; // rounding must not carry it into the sign
  std::memcpy(&o.x[5], &payload, 4);
  o.x[64 + 40] = INFINITY;
  forEachInstructionSet([&](std::string_view) {
    std::vector<float> out = fused(machine, form, o, 0, 3)[0];
    for (size_t i = 0; i < 12; ++i)
      EXPECT_EQ(std::isfinite(out[i]), i >= 8) << i;
  });
}

TEST(LinearInt8, WhatIsNotFiniteStaysSo) {
  Machine machine;
  Form form{{{"w4", DType::Packed, {4, 32, false, DType::F16}}}, {4}, 0, "", "", "int8"};
  Operands o(form, 3, 64);
  o.x[5] = NAN;
  o.x[64 + 40] = -INFINITY;
  forEachInstructionSet([&](std::string_view) {
    std::vector<float> out = fused(machine, form, o, 0, 3)[0];
    for (size_t i = 0; i < 12; ++i)
      EXPECT_EQ(std::isnan(out[i]), i < 8) << i;
  });
}

TEST(Linear, NoRowsAreNoWork) {
  Machine machine;
  Form form{{{"f16", DType::F16, {}}}, {4}, 0, "rms_norm", "", "f32"};
  Operands o(form, 0, 32);
  EXPECT_TRUE(fused(machine, form, o, 0, 0)[0].empty());
}

TEST(Linear, AddsBiasAndResidual) {
  Machine machine;
  int64_t T = 7, N = 19, K = 70;
  Weight w = plainWeight(DType::BF16, N, K, 1), bias = vectorWeight(DType::F16, N, 2);
  std::vector<float> x = randomFloats(T * K, 3), residual = randomFloats(T * N, 4),
                     out(residual.size());
  Tensor in = floatTensor(x, {T, K}), r = floatTensor(residual, {T, N}),
         o = floatTensor(out, {T, N});
  Attributes add;
  add.set("epilogue", std::string("add"));
  for (bool withBias : {false, true})
    for (bool withResidual : {false, true}) {
      std::vector<Tensor> inputs = {in, w.tensor};
      if (withBias)
        inputs.push_back(bias.tensor);
      if (withResidual)
        inputs.push_back(r);
      ASSERT_TRUE(machine.run("linear", inputs, {o}, withResidual ? add : Attributes()).ok());
      for (int64_t t = 0; t < T; ++t)
        for (int64_t n = 0; n < N; ++n) {
          double sum = (withBias ? bias.values[size_t(n)] : 0) +
                       (withResidual ? residual[size_t(t * N + n)] : 0);
          for (int64_t k = 0; k < K; ++k)
            sum += double(x[size_t(t * K + k)]) * w.values[size_t(n * K + k)];
          ASSERT_NEAR(out[size_t(t * N + n)], sum, 1e-5);
        }
    }
  Attributes other;
  other.set("epilogue", std::string("mul"));
  expectRefused(machine.run("linear", {in, w.tensor}, {o}, other), "epilogue 'mul'");
  expectRefused(machine.run("linear", {in}, {o}), "inputs");
  expectRefused(machine.run("linear", {in, w.tensor}, {o}, add), "inputs");
  expectRefused(machine.run("linear", {floatTensor(x, {T, K - 1}), w.tensor}, {o}), "[any, 70]");
  expectRefused(machine.run("linear", {in, w.tensor}, {floatTensor(out, {T - 1, N})}),
                "the output");
  expectRefused(machine.run("linear", {in, w.tensor, in}, {o}), "the bias");
  expectRefused(machine.run("linear", {in, w.tensor}, {floatTensor(x, {T, N})}), "overlap");
}

TEST(Linear, RefusesFusedFormsThatDoNotFit) {
  Machine machine;
  int64_t T = 3, N = 8, K = 32;
  Weight w = plainWeight(DType::F16, N, K, 1), wide = plainWeight(DType::F16, N, 2 * K, 1),
         norm = vectorWeight(DType::F32, K, 2), bias = vectorWeight(DType::F32, N, 3);
  std::vector<float> x = randomFloats(T * K, 1), first(size_t(T * N)), second(first);
  Tensor in = floatTensor(x, {T, K}), a = floatTensor(first, {T, N}),
         b = floatTensor(second, {T, N});
  auto refused = [&](std::vector<std::pair<std::string, Attributes::Value>> values,
                     std::vector<Tensor> inputs, std::vector<Tensor> outputs,
                     std::string_view part) {
    Attributes attributes;
    for (auto &[name, value] : values)
      attributes.set(name, value);
    SCOPED_TRACE(std::string(part));
    expectRefused(machine.run("linear", inputs, outputs, attributes), part);
  };
  int64_t two = 2;
  refused({{"weights", int64_t(0)}}, {in, w.tensor}, {a}, "weights = 0; it must be 1 to 32");
  refused({{"weights", int64_t(33)}}, {in, w.tensor}, {a}, "weights = 33");
  refused({{"weights", two}}, {in, w.tensor}, {a, b}, "it takes 3 inputs, 2 outputs");
  refused({{"weights", two}}, {in, w.tensor, w.tensor}, {a}, "2 outputs");
  refused({{"weights", two}}, {in, w.tensor, wide.tensor}, {a, b},
          "weight 1 is [8, 64]; weight 0 is [8, 32]");
  refused({{"weights", two}}, {in, w.tensor, w.tensor}, {a, a}, "outputs 0 and 1 overlap");
  refused({{"weights", two}, {"biases", int64_t(4)}}, {in, w.tensor, w.tensor}, {a, b},
          "biases = 4; it is a bit for each of 2 weights");
  refused({{"biases", int64_t(1)}}, {in, w.tensor}, {a}, "it takes 3 inputs");
  refused({{"weights", two}, {"biases", two}}, {in, w.tensor, w.tensor, norm.tensor}, {a, b},
          "bias 1");
  refused({{"weights", two}, {"epilogue", "add"}}, {in, w.tensor, w.tensor, a}, {a, b},
          "the epilogue 'add' takes one weight, not 2");
  refused({{"epilogue", "silu_mul"}}, {in, w.tensor}, {a}, "takes two weights, gate and up, not 1");
  refused({{"epilogue", "tanh_mul"}}, {in, w.tensor}, {a}, "choose add, silu_mul");
  refused({{"compute", "int4"}}, {in, w.tensor}, {a}, "compute = 'int4' is unknown");
  refused({{"prologue", "layer_norm"}}, {in, w.tensor}, {a}, "only \"rms_norm\" is");
  refused({{"prologue", "rms_norm"}}, {in, norm.tensor, w.tensor}, {a}, "epsilon");
  refused({{"prologue", "rms_norm"}, {"epsilon", -1.0}}, {in, norm.tensor, w.tensor}, {a},
          "epsilon = -1");
  refused({{"prologue", "rms_norm"}, {"epsilon", 1e-5}}, {in, bias.tensor, w.tensor}, {a},
          "the norm's weight is f32 [8]; it must be f32, f16 or bf16 [32]");
  Tensor shifted = a;
  std::vector<float> longer(size_t(T * N + 1));
  a.data = longer.data(), shifted.data = longer.data() + 1;
  refused({{"epilogue", "add"}}, {in, w.tensor, shifted}, {a}, "the residual overlaps the output");
}

} // namespace
