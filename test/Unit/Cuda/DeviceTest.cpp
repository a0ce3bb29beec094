// Every kernel on the GPU against the CPU's, over shapes, types of weights and batches. Skipped without a GPU.
#include "CudaFixture.h"

namespace compressc::test {
namespace {

class CudaTest : public CudaFixture {
protected:
  /// The kernel's outputs [rows, columns], from the CPU and from the device.
  struct Both {
    std::vector<std::vector<float>> cpu, gpu;
  };

  Both run(std::string_view kernel, const std::vector<Tensor> &inputs, const std::vector<std::vector<int64_t>> &shapes,
           const Attributes &attributes = {}, const Batch *batch = nullptr, DType outType = DType::F32) {
    Both both;
    std::vector<Tensor> outputs, deviceInputs, deviceOutputs;
    for (const std::vector<int64_t> &shape : shapes) {
      both.cpu.emplace_back(size_t(shape[0] * shape[1]), 0.0f);
      both.gpu.emplace_back(size_t(shape[0] * shape[1]), 0.0f);
    }
    for (size_t i = 0; i < shapes.size(); ++i) {
      outputs.push_back(floatTensor(both.cpu[i], shapes[i])); // bf16 lies in the first half
      outputs.back().dtype = outType;
      deviceOutputs.push_back(outputs.back());
      deviceOutputs.back().data = allocate(outputs.back().bytes());
    }
    for (const Tensor &input : inputs)
      deviceInputs.push_back(input.dtype == DType::I32 ? input : upload(input));
    std::vector<Tensor> cpuInputs = inputs;
    Attributes cpuAttributes = attributes;
    std::vector<float> x;
    if (half == DType::F16) { // the CPU then computes in fp32: fp16 is nearer to it than to bf16
      if (kernel == "linear")
        cpuAttributes.set("compute", std::string("f32"));
      for (Tensor &output : outputs)
        output.dtype = DType::F32;
      if (kernel == "linear" && inputs[0].dtype == DType::BF16) {
        const uint16_t *bits = inputs[0].as<uint16_t>();
        std::vector<uint16_t> narrow;
        std::transform(bits, bits + inputs[0].elements(), std::back_inserter(x), BFloat16ToFloat);
        std::transform(x.begin(), x.end(), std::back_inserter(narrow), FloatToHalf);
        Tensor rows = inputs[0];
        rows.data = narrow.data();
        deviceInputs[0] = upload(rows);
        cpuInputs[0] = floatTensor(x, inputs[0].shape);
      }
    }
    machine.context.device = nullptr;
    ok(machine.run(kernel, cpuInputs, outputs, cpuAttributes, batch, cpuCaches));
    machine.context.device = device.get();
    Batch none;
    device->beginBatch(batch ? *batch : none, nullptr);
    ok(machine.run(kernel, deviceInputs, deviceOutputs, attributes, batch, gpuCaches));
    ok(device->finishBatch());
    for (size_t i = 0; i < shapes.size(); ++i) {
      ok(device->download(both.gpu[i].data(), deviceOutputs[i].data, deviceOutputs[i].bytes()));
      if (outType == DType::F32)
        continue;
      widen(both.gpu[i], half == DType::F16 ? HalfToFloat : BFloat16ToFloat);
      if (half == DType::F16)
        clamp(both.cpu[i]);
      else
        widen(both.cpu[i], BFloat16ToFloat);
    }
    return both;
  }

  /// To what fp16 holds.
  static void clamp(std::vector<float> &values) {
    for (float &value : values)
      value = std::clamp(value, -65504.0f, 65504.0f);
  }
  /// Numbers of 16 bits lie in the first half.
  static void widen(std::vector<float> &values, float (*toFloat)(uint16_t)) {
    std::vector<uint16_t> bits(values.size());
    std::memcpy(bits.data(), values.data(), bits.size() * 2);
    std::transform(bits.begin(), bits.end(), values.begin(), toFloat);
  }

  void *allocate(int64_t bytes) { return kept.emplace_back(device->allocate(bytes, "a test").value()).get(); }
  Tensor upload(const Tensor &tensor, bool rowsOnly = false) {
    OwnedTensor copy = device->upload(tensor, "a test", machine.pool, rowsOnly).value();
    kept.push_back(copy.memory);
    return copy.tensor;
  }

  /// Differences are at most `tolerance` of the largest value.
  static void expectNear(const Both &both, double tolerance) {
    for (size_t i = 0; i < both.cpu.size(); ++i) {
      double largest = 1e-20, worst = 0;
      for (float value : both.cpu[i])
        largest = std::max(largest, std::abs(double(value)));
      for (size_t j = 0; j < both.cpu[i].size(); ++j) {
        double difference = std::abs(double(both.cpu[i][j]) - double(both.gpu[i][j]));
        worst = std::max(worst, std::isnan(difference) ? INFINITY : difference);
      }
      EXPECT_LE(worst / largest, tolerance) << "output " << i;
    }
  }

  std::vector<CacheView> cpuCaches, gpuCaches;
  std::vector<std::shared_ptr<void>> kept; // device memory of this test
};

using CudaHalfTest = InBothHalves<CudaTest>;
INSTANTIATE_TEST_SUITE_P(, CudaHalfTest, ::testing::Values(DType::BF16, DType::F16), HalfName);

Batch oneSequence(int32_t rows, int32_t context = 0) {
  Batch batch;
  batch.tokens.resize(size_t(rows));
  Sequence sequence{0, rows, context, context, {}};
  if (context)
    sequence.context.push_back({0, context});
  batch.sequences.push_back(sequence);
  return batch;
}

TEST_F(CudaTest, EmbeddingReadsEveryType) {
  for (const WeightKind &kind : weightKinds(256)) {
    SCOPED_TRACE(kind.name);
    Weight table = kind.make(40, 256, 3);
    Batch batch = oneSequence(9);
    batch.tokens = {0, 39, 7, 7, 12, 33, 1, 2, 38};
    Tensor tokens;
    tokens.dtype = DType::I32;
    tokens.shape = {9};
    tokens.data = batch.tokens.data();
    expectNear(run("embedding", {tokens, table.tensor}, {{9, 256}}, {}, &batch), 1e-6);
    Attributes scaled;
    scaled.set("scale", 25.5);
    expectNear(run("embedding", {tokens, table.tensor}, {{9, 256}}, scaled, &batch), 1e-6);
  }
}

TEST_P(CudaHalfTest, LinearOfEveryType) {
  for (int64_t columns : {256, 320, 35})
    for (const WeightKind &kind : weightKinds(columns))
      for (int64_t rows : {1, 3, 16, 17, 70})
        for (const char *compute : {"f32", "bf16"}) {
          if (inF16() && compute[0] == 'f')
            continue;
          SCOPED_TRACE(kind.name + " " + std::to_string(rows) + " x " + std::to_string(columns) + " " + compute);
          Weight w = kind.make(48, columns, 5);
          std::vector<float> x = randomFloats(rows * columns, 6);
          Attributes attributes;
          attributes.set("compute", std::string(compute));
          // Few rows are computed in fp32 on the GPU, whatever is asked.
          expectNear(run("linear", {floatTensor(x, {rows, columns}), w.tensor}, {{rows, 48}}, attributes),
                     compute[0] == 'f' ? 2e-5 : inF16() ? 1e-3 : 1e-2);
        }
}

/// Up to 64 rows in 16 bits: several products, a residual, a gate, rows of weights that fill no tile, and a depth of many chunks.
TEST_P(CudaHalfTest, StreamedProducts) {
  int64_t columns = 100;
  double tolerance = inF16() ? 1e-3 : 1e-2; // that of the CPU, whose x is bf16
  for (int64_t depth : {576, 2304}) { // x fits beside the sums in shared memory, or does not
    for (const WeightKind &kind : weightKinds(depth)) {
      if (kind.name != "bf16" && !(inF16() && kind.name == "f16") && kind.name.substr(0, 2) != "w4")
        continue;
      Weight a = kind.make(columns, depth, 1), b = kind.make(columns, depth, 2), c = kind.make(40, depth, 3);
      Weight bias = vectorWeight(DType::F32, columns, 4);
      for (int64_t rows : {1, 8, 9, 13, 16, 17, 39, 64}) {
        if (rows == 39 && depth > 576)
          continue;
        SCOPED_TRACE(kind.name + " " + std::to_string(rows));
        std::vector<float> x = randomFloats(rows * depth, 5), residual = randomFloats(rows * columns, 6);
        Tensor xs = floatTensor(x, {rows, depth});
        Attributes several, added, gated;
        for (Attributes *attributes : {&several, &added, &gated})
          attributes->set("compute", std::string("bf16"));
        several.set("weights", int64_t(3));
        several.set("biases", int64_t(2));
        expectNear(run("linear", {xs, a.tensor, b.tensor, c.tensor, bias.tensor}, {{rows, columns}, {rows, columns}, {rows, 40}}, several), tolerance);
        added.set("epilogue", std::string("add"));
        expectNear(run("linear", {xs, a.tensor, bias.tensor, floatTensor(residual, {rows, columns})}, {{rows, columns}}, added), tolerance);
        gated.set("weights", int64_t(2));
        gated.set("biases", int64_t(1));
        gated.set("epilogue", std::string("silu_mul"));
        expectNear(run("linear", {xs, a.tensor, b.tensor, bias.tensor}, {{rows, columns}}, gated), tolerance);
        NarrowRows narrow(x, {rows, depth});
        expectNear(run("linear", {narrow.tensor, a.tensor, b.tensor, bias.tensor}, {{rows, columns}}, gated, nullptr, DType::BF16), 2 * tolerance);
      }
    }
  }
}

/// By 4-bit weights of many rows, in tiles that blocks share, and of a depth that fills no step.
TEST_P(CudaHalfTest, BatchProducts) {
  int64_t columns = 584;
  double tolerance = inF16() ? 1e-3 : 1e-2;
  for (int64_t depth : {416, 1152}) {
    for (const WeightKind &kind : weightKinds(depth)) {
      if (kind.name.substr(0, 2) != "w4")
        continue;
      Weight a = kind.make(columns, depth, 1), b = kind.make(columns, depth, 2);
      Weight bias = vectorWeight(DType::F32, columns, 4);
      for (int64_t rows : {5, 16, 24, 32, 33, 48, 63}) {
        if (depth > 416 && rows != 16 && rows != 33)
          continue;
        SCOPED_TRACE(kind.name + " " + std::to_string(rows) + " x " + std::to_string(depth));
        std::vector<float> x = randomFloats(rows * depth, 5), residual = randomFloats(rows * columns, 6);
        Attributes added, gated;
        added.set("compute", std::string("bf16"));
        added.set("epilogue", std::string("add"));
        Tensor xs = floatTensor(x, {rows, depth}), residuals = floatTensor(residual, {rows, columns});
        Both once = run("linear", {xs, a.tensor, bias.tensor, residuals}, {{rows, columns}}, added);
        expectNear(once, tolerance);
        // Whichever block is the last one, the sums are the same.
        if (rows == 16)
          EXPECT_EQ(run("linear", {xs, a.tensor, bias.tensor, residuals}, {{rows, columns}}, added).gpu, once.gpu);
        if (depth > 416)
          continue;
        gated.set("compute", std::string("bf16"));
        gated.set("weights", int64_t(2));
        gated.set("biases", int64_t(1));
        gated.set("epilogue", std::string("silu_mul"));
        expectNear(run("linear", {xs, a.tensor, b.tensor, bias.tensor}, {{rows, columns}}, gated), tolerance);
      }
    }
  }
}

/// By weights that clusters of 4 blocks, of 2, and single blocks fill this GPU with, in tiles of 64 rows and of 48; of a depth
/// that blocks and warps have unequal parts of, and x in fp32 and in 16 bits. Where there are no clusters, other kernels do it.
TEST_P(CudaHalfTest, ClusterProducts) {
#ifdef COMPRESSC_NVML_STANDIN
  constexpr int64_t multiprocessors = 4; // that are emulated
#else
  constexpr int64_t multiprocessors = 132; // of an H200
#endif
  double tolerance = inF16() ? 1e-3 : 1e-2;
  for (auto [depth, columns] : {std::pair(4224, multiprocessors / 4 * 64 - 24), {2176, multiprocessors / 2 * 64 - 24},
                                {1152, multiprocessors * 64 - 24}, {1152, multiprocessors * 48 - 24}}) {
    for (const WeightKind &kind : weightKinds(depth)) {
      if (kind.name.substr(0, 2) != "w4")
        continue;
      Weight w = kind.make(columns, depth, 1), gated = kind.make(columns / 2, depth, 1), gate = kind.make(columns / 2, depth, 2);
      Weight bias = vectorWeight(DType::F32, columns, 4), gatedBias = vectorWeight(DType::F32, columns / 2, 4);
      for (int64_t rows : {5, 16}) {
        SCOPED_TRACE(kind.name + " " + std::to_string(rows) + " x " + std::to_string(depth) + " x " + std::to_string(columns));
        std::vector<float> x = randomFloats(rows * depth, 5), residual = randomFloats(rows * columns, 6);
        NarrowRows narrow(x, {rows, depth});
        Attributes added, gates;
        added.set("compute", std::string("bf16"));
        added.set("epilogue", std::string("add"));
        Tensor residuals = floatTensor(residual, {rows, columns});
        expectNear(run("linear", {floatTensor(x, {rows, depth}), w.tensor, bias.tensor, residuals}, {{rows, columns}}, added), tolerance);
        expectNear(run("linear", {narrow.tensor, w.tensor, bias.tensor, residuals}, {{rows, columns}}, added), tolerance);
        gates.set("compute", std::string("bf16"));
        gates.set("weights", int64_t(2));
        gates.set("biases", int64_t(1));
        gates.set("epilogue", std::string("silu_mul"));
        expectNear(run("linear", {narrow.tensor, gated.tensor, gate.tensor, gatedBias.tensor}, {{rows, columns / 2}}, gates), tolerance);
      }
    }
  }
}

/// A table that stays on the host, in a run that is repeated: started twice, then recorded, then replayed.
TEST_F(CudaTest, RecordedRunsReadTheNewBatch) {
  Weight table = weightKinds(256)[2].make(40, 256, 3), norm = vectorWeight(DType::F32, 256, 4);
  Tensor rows = upload(table.tensor, /*rowsOnly=*/true);
  EXPECT_EQ(rows.data, table.tensor.data);
  Tensor weight = upload(norm.tensor);
  auto *x = static_cast<float *>(allocate(3 * 256 * 4));
  int program = 0, replays = 0;
  for (int32_t step = 0; step < 6; ++step) {
    Batch batch = oneSequence(3);
    batch.tokens = {step, step + 20, 39 - step};
    Machine cpu;
    std::vector<float> expected(3 * 256), actual(3 * 256);
    Tensor tokens;
    tokens.dtype = DType::I32;
    tokens.shape = {3};
    tokens.data = batch.tokens.data();
    Tensor on = floatTensor(actual, {3, 256});
    on.data = x;
    Attributes epsilon;
    epsilon.set("epsilon", 1e-5);
    machine.context.device = device.get();
    if (device->beginBatch(batch, &program)) {
      ++replays;
    } else {
      ok(machine.run("embedding", {tokens, rows}, {on}, {}, &batch));
      ok(machine.run("rms_norm", {on, weight}, {on}, epsilon, &batch));
    }
    ok(device->finishBatch());
    ok(device->download(actual.data(), x, 3 * 256 * 4));
    ok(cpu.run("embedding", {tokens, table.tensor}, {floatTensor(expected, {3, 256})}, {}, &batch));
    ok(cpu.run("rms_norm", {floatTensor(expected, {3, 256}), norm.tensor}, {floatTensor(expected, {3, 256})}, epsilon, &batch));
    expectNear({{expected}, {actual}}, 1e-5);
  }
  EXPECT_GE(replays, 3);
}

TEST_F(CudaTest, ScoresOfRows) {
  for (int64_t width : {7, 1024, 49152}) {
    SCOPED_TRACE(width);
    std::vector<float> logits = randomFloats(5 * width, 9);
    for (float &v : logits)
      v *= 30;
    logits[size_t(width)] = -INFINITY;
    logits[size_t(4 * width + 3)] = NAN;
    std::vector<int32_t> rows = {3, 1, 0, 4}, columns = {0, 5, 6, 1, 2, 2, 0, 4};
    Tensor on = upload(floatTensor(logits, {5, width}));
    // Both tickets are open at once; the second keeps its results when the first is read.
    int first = device->scoreRows(on.as<float>(), width, rows, columns, true).value();
    int second = device->scoreRows(on.as<float>(), width, {&rows[1], 1}, {&columns[2], 1}, false).value();
    DeviceScores scores = device->awaitScores(first).value();
    for (size_t i = 0; i < rows.size(); ++i) {
      const float *row = logits.data() + rows[i] * width;
      double sum = 0;
      for (int64_t j = 0; j < width; ++j)
        sum += std::exp(double(row[j]));
      if (rows[i] == 4)
        EXPECT_TRUE(std::isnan(scores.rows[i].logSumExp()));
      else
        EXPECT_NEAR(scores.rows[i].logSumExp(), std::log(sum), 2e-6);
      EXPECT_EQ(scores.logits[2 * i], row[columns[2 * i]]);
      EXPECT_EQ(scores.logits[2 * i + 1], row[columns[2 * i + 1]]);
    }
    EXPECT_EQ(device->awaitScores(second).value().logits[0], logits[size_t(width + 6)]);
  }
}

TEST_P(CudaHalfTest, LinearFused) {
  int64_t depth = 128;
  Weight gate = weightKinds(depth)[5].make(96, depth, 1), up = weightKinds(depth)[2].make(96, depth, 2);
  Weight norm = vectorWeight(DType::BF16, depth, 3), bias = vectorWeight(DType::F16, 96, 4);
  for (int64_t rows : {2, 50}) {
    SCOPED_TRACE(rows);
    std::vector<float> x = randomFloats(rows * depth, 7), residual = randomFloats(rows * 96, 8);
    Tensor xs = floatTensor(x, {rows, depth}), added = floatTensor(residual, {rows, 96});
    for (const char *kind : {"silu_mul", "gelu_mul", "gelu_tanh_mul", "relu_mul"}) {
      Attributes gated;
      gated.set("weights", int64_t(2));
      gated.set("biases", int64_t(3));
      gated.set("prologue", std::string("rms_norm"));
      gated.set("epsilon", 1e-5);
      gated.set("epilogue", std::string(kind));
      expectNear(run("linear", {xs, norm.tensor, gate.tensor, up.tensor, bias.tensor, bias.tensor}, {{rows, 96}}, gated), 5e-5);
    }
    Attributes narrow;
    narrow.set("weights", int64_t(2));
    narrow.set("epilogue", std::string("silu_mul"));
    narrow.set("compute", std::string("bf16"));
    NarrowRows narrowX(x, {rows, depth});
    expectNear(run("linear", {narrowX.tensor, gate.tensor, up.tensor}, {{rows, 96}}, narrow, nullptr, DType::BF16), inF16() ? 1e-3 : 1e-2);
    Attributes add;
    add.set("epilogue", std::string("add"));
    expectNear(run("linear", {xs, up.tensor, bias.tensor, added}, {{rows, 96}}, add), 2e-5);
    expectNear(run("linear", {xs, up.tensor, added}, {{rows, 96}}, add), 2e-5);
    Attributes several;
    several.set("weights", int64_t(2));
    several.set("biases", int64_t(2));
    expectNear(run("linear", {xs, gate.tensor, up.tensor, bias.tensor}, {{rows, 96}, {rows, 96}}, several), 2e-5);
    Attributes answers;
    answers.set("answers", int64_t(1));
    Batch batch = oneSequence(int32_t(rows));
    batch.answers = {90, 3, 4, 71};
    expectNear(run("linear", {xs, gate.tensor, bias.tensor}, {{rows, 96}}, answers, &batch), 2e-5);
  }
}

TEST_F(CudaTest, RowKernels) {
  for (int64_t width : {64, 640, 1000}) {
    SCOPED_TRACE(width);
    int64_t rows = 37;
    std::vector<float> x = randomFloats(rows * width, 1), y = randomFloats(rows * width, 2);
    Tensor xs = floatTensor(x, {rows, width}), ys = floatTensor(y, {rows, width});
    Weight weight = vectorWeight(DType::F16, width, 3), bias = vectorWeight(DType::F32, width, 4);
    Attributes norm;
    norm.set("epsilon", 1e-6);
    expectNear(run("rms_norm", {xs, weight.tensor}, {{rows, width}}, norm), 1e-5);
    expectNear(run("layer_norm", {xs, weight.tensor, bias.tensor}, {{rows, width}}, norm), 1e-5);
    expectNear(run("layer_norm", {xs, weight.tensor}, {{rows, width}}, norm), 1e-5);
    if (width % 16 == 0) {
      Weight head = vectorWeight(DType::BF16, 16, 5);
      expectNear(run("rms_norm", {xs, head.tensor}, {{rows, width}}, norm), 1e-5);
    }
    expectNear(run("add", {xs, ys}, {{rows, width}}), 0);
    expectNear(run("mul", {xs, ys}, {{rows, width}}), 0);
    for (const char *kind : {"silu", "gelu", "gelu_tanh", "relu"}) {
      Attributes gated;
      gated.set("kind", std::string(kind));
      expectNear(run("gated_activation", {xs, ys}, {{rows, width}}, gated), 1e-5);
    }
    Batch batch = oneSequence(int32_t(rows), 20);
    batch.selectedRows = {0, 5, 6, 36};
    expectNear(run("select_rows", {xs}, {{4, width}}, {}, &batch), 0);
  }
}

TEST_F(CudaTest, RotaryEmbedding) {
  for (int64_t dim : {8, 64, 128}) {
    std::vector<double> frequencies;
    for (int64_t i = 0; i < dim / 2; ++i)
      frequencies.push_back(std::pow(10000.0, -2.0 * double(i) / double(dim)));
    Attributes attributes;
    attributes.set("head_dim", dim);
    attributes.set("frequencies", frequencies);
    attributes.set("attention_factor", 1.25);
    Batch batch = oneSequence(30, 2000);
    batch.selectedRows = {3, 4, 29};
    std::vector<float> x = randomFloats(30 * dim * 3, 1);
    expectNear(run("rotary_embedding", {floatTensor(x, {30, dim * 3})}, {{30, dim * 3}}, attributes, &batch), 1e-4);
    attributes.set("selected", int64_t(1));
    expectNear(run("rotary_embedding", {floatTensor(x, {3, dim * 3})}, {{3, dim * 3}}, attributes, &batch), 1e-4);
    attributes.set("epsilon", 1e-5);
    Weight norm = vectorWeight(DType::BF16, dim, 2);
    expectNear(run("rotary_embedding", {floatTensor(x, {3, dim * 3}), norm.tensor}, {{3, dim * 3}}, attributes, &batch), 1e-4);
  }
}

/// A prefix of 150 that three sequences share, one of them with a child in the same batch, and a decode step.
std::vector<Batch> batches() {
  Batch trie;
  trie.tokens.resize(70 + 1 + 130 + 9);
  trie.sequences = {{0, 70, 150, 400, {{0, 150}}},
                    {70, 1, 150, 500, {{0, 150}}},
                    {71, 130, 220, 600, {{0, 150}, {400, 70}}}, // the first one's child
                    {201, 9, 33, 800, {{17, 33}}}};
  trie.selectedRows = {0, 1, 2, 69, 70, 100, 101, 102, 103, 200, 209};
  Batch step;
  step.tokens.resize(3);
  step.sequences = {{0, 1, 150, 910, {{0, 150}}}, {1, 1, 50, 911, {{100, 50}}}, {2, 1, 0, 912, {}}};
  step.selectedRows = {0, 2};
  Batch prefix = oneSequence(150);
  prefix.selectedRows = {148, 149};
  return {prefix, trie, step};
}

TEST_P(CudaHalfTest, Attention) {
  struct Shape {
    int64_t heads, groups, dim, window;
  };
  for (DType type : {DType::F32, DType::BF16})
    for (Shape shape : {Shape{4, 2, 64, 0}, {8, 2, 128, 0}, {3, 3, 128, 40}, {4, 1, 64, 100}, {2, 1, 24, 0}, {2, 2, 256, 0}})
      for (bool selected : {false, true}) {
        if (inF16() && (type == DType::F32 || shape.dim > 128))
          continue;
        SCOPED_TRACE(std::string(DTypeName(type)) + " " + std::to_string(shape.heads) + "/" + std::to_string(shape.groups) + " heads of " +
                     std::to_string(shape.dim) + ", window " + std::to_string(shape.window) + (selected ? ", selected rows" : ""));
        int64_t slots = 1000, width = shape.groups * shape.dim, queryWidth = shape.heads * shape.dim;
        std::vector<float> keys(size_t(slots * width)), values(keys.size());
        CacheView cpu{keys.data(), values.data(), slots, shape.groups, shape.dim}, gpu = cpu;
        gpu.dtype = type;
        int64_t bytes = slots * width * int64_t(DTypeSize(gpu.dtype));
        gpu.keys = static_cast<float *>(allocate(bytes));
        gpu.values = static_cast<float *>(allocate(bytes));
        cpuCaches = {cpu}, gpuCaches = {gpu};
        for (const Batch &batch : batches()) {
          if (selected && batch.selectedRows.empty())
            continue;
          int64_t rows = batch.rows(), queries = selected ? int64_t(batch.selectedRows.size()) : rows;
          std::vector<float> q = randomFloats(queries * queryWidth, 1), k = randomFloats(rows * width, 2),
                             v = randomFloats(rows * width, 3);
          Attributes attributes;
          attributes.set("num_heads", shape.heads);
          attributes.set("num_kv_heads", shape.groups);
          attributes.set("scale", 3.0 / std::sqrt(double(shape.dim)));
          attributes.set("sliding_window", shape.window);
          attributes.set("selected", int64_t(selected));
          expectNear(run("attention", {floatTensor(q, {queries, queryWidth}), floatTensor(k, {rows, width}), floatTensor(v, {rows, width})},
                         {{queries, queryWidth}}, attributes, &batch, gpu.dtype),
                     type == DType::F32 ? 2e-5 : inF16() ? 2e-3 : 1.5e-2);
        }
        cpuCaches.clear(), gpuCaches.clear();
      }
}

/// Tiles of queries, ragged ones too, behind prefixes in several places; what a sequence gets does not depend on the others.
TEST_P(CudaHalfTest, AttentionOfTiles) {
  struct Shape {
    int64_t heads, groups, dim, window;
  };
  Batch batch, alone;
  std::vector<SlotRange> prefix = {{900, 100}, {0, 190}, {500, 27}};
  batch.tokens.resize(74 + 33 + 1 + 66);
  batch.sequences = {{0, 74, 317, 300, prefix}, {74, 33, 317, 400, prefix}, {107, 1, 50, 450, {{500, 50}}}, {108, 66, 0, 600, {}}};
  alone.tokens.resize(74);
  alone.sequences = {{0, 74, 317, 300, prefix}};
  int64_t slots = 1000;
  auto narrow = inF16() ? FloatToHalf : FloatToBFloat16;
  auto widen = inF16() ? HalfToFloat : BFloat16ToFloat;
  for (Shape shape : {Shape{2, 2, 128, 0}, {2, 2, 64, 70}, {2, 1, 128, 64}, {3, 1, 64, 0},
                      {8, 2, 128, 0}, {4, 1, 64, 200}, {7, 1, 128, 90}, {7, 1, 64, 0}})
    for (DType outType : {DType::F32, DType::BF16}) {
      if (inF16() && (outType == DType::F32) != (shape.dim == 64))
        continue; // enough of them
      SCOPED_TRACE(std::to_string(shape.heads) + "/" + std::to_string(shape.groups) + " heads of " + std::to_string(shape.dim) +
                   ", window " + std::to_string(shape.window) + ", to " + std::string(DTypeName(outType)));
      int64_t width = shape.groups * shape.dim, queryWidth = shape.heads * shape.dim, rows = batch.rows();
      std::vector<float> keys = randomFloats(slots * width, 4), values = randomFloats(slots * width, 5);
      CacheView cpu{keys.data(), values.data(), slots, shape.groups, shape.dim}, gpu = cpu;
      gpu.dtype = DType::BF16;
      auto sent = [&](std::vector<float> &cache) {
        std::vector<uint16_t> bits(cache.size());
        std::transform(cache.begin(), cache.end(), bits.begin(), narrow);
        std::transform(bits.begin(), bits.end(), cache.begin(), widen);
        void *there = allocate(int64_t(bits.size() * 2));
        ok(device->send(there, bits.data(), int64_t(bits.size() * 2)));
        return static_cast<float *>(there);
      };
      gpu.keys = sent(keys), gpu.values = sent(values);
      cpuCaches = {cpu}, gpuCaches = {gpu};
      std::vector<float> q = randomFloats(rows * queryWidth, 1), k = randomFloats(rows * width, 2), v = randomFloats(rows * width, 3);
      Attributes attributes;
      attributes.set("num_heads", shape.heads);
      attributes.set("num_kv_heads", shape.groups);
      attributes.set("scale", 3.0 / std::sqrt(double(shape.dim)));
      attributes.set("sliding_window", shape.window);
      attributes.set("selected", int64_t(0));
      auto attend = [&](const Batch &batch) {
        int64_t rows = batch.rows();
        return run("attention", {floatTensor(q, {rows, queryWidth}), floatTensor(k, {rows, width}), floatTensor(v, {rows, width})},
                   {{rows, queryWidth}}, attributes, &batch, outType);
      };
      Both together = attend(batch);
      expectNear(together, inF16() ? 2e-3 : 1.5e-2);
      Both single = attend(alone);
      auto count = ptrdiff_t(74 * queryWidth);
      EXPECT_TRUE(std::equal(single.gpu[0].begin(), single.gpu[0].begin() + count, together.gpu[0].begin()));
    }
  cpuCaches.clear(), gpuCaches.clear();
}

/// Queries and keys that the attention rotates give the bits of those that were rotated before it, in the cache too.
TEST_P(CudaHalfTest, AttentionRotates) {
  struct Shape {
    int64_t heads, groups, dim;
  };
  for (DType type : {DType::F32, DType::BF16})
    for (Shape shape : {Shape{3, 1, 64}, {2, 1, 128}, {2, 1, 24}})
      for (auto [selected, normed] : {std::pair(false, false), {true, true}, {false, true}}) {
        if (inF16() && type == DType::F32)
          continue;
        SCOPED_TRACE(std::string(DTypeName(type)) + ", heads of " + std::to_string(shape.dim) + (selected ? ", selected rows" : "") +
                     (normed ? ", norms" : ""));
        int64_t slots = 1000, width = shape.groups * shape.dim, queryWidth = shape.heads * shape.dim;
        std::vector<float> keys(size_t(slots * width)), values(keys.size());
        CacheView cpu{keys.data(), values.data(), slots, shape.groups, shape.dim}, apart = cpu, together = cpu;
        int64_t bytes = slots * width * int64_t(DTypeSize(type));
        for (CacheView *cache : {&apart, &together}) {
          cache->dtype = type;
          cache->keys = static_cast<float *>(allocate(bytes)), cache->values = static_cast<float *>(allocate(bytes));
        }
        auto contents = [&](const float *part) {
          std::vector<uint8_t> copy(static_cast<size_t>(bytes));
          ok(device->download(copy.data(), part, bytes));
          return copy;
        };
        std::vector<double> frequencies;
        for (int64_t i = 0; i < shape.dim / 2; ++i)
          frequencies.push_back(std::pow(10000.0, -2.0 * double(i) / double(shape.dim)));
        Weight queryNorm = vectorWeight(DType::BF16, shape.dim, 5), keyNorm = vectorWeight(DType::F16, shape.dim, 6);
        for (const Batch &batch : batches()) {
          int64_t rows = batch.rows(), queries = selected ? int64_t(batch.selectedRows.size()) : rows;
          std::vector<float> q = randomFloats(queries * queryWidth, 1), k = randomFloats(rows * width, 2),
                             v = randomFloats(rows * width, 3);
          Attributes rotation, attention;
          rotation.set("head_dim", shape.dim);
          attention.set("num_heads", shape.heads);
          attention.set("num_kv_heads", shape.groups);
          attention.set("scale", 3.0 / std::sqrt(double(shape.dim)));
          attention.set("selected", int64_t(selected));
          Attributes rotating = attention;
          for (Attributes *each : {&rotation, &rotating}) {
            each->set("frequencies", frequencies);
            each->set("attention_factor", 1.25);
            each->set("epsilon", 1e-5);
          }
          auto rotated = [&](std::vector<float> &x, int64_t count, int64_t columns, const Weight &norm, bool some) {
            rotation.set("selected", int64_t(some));
            std::vector<Tensor> inputs = {floatTensor(x, {count, columns})};
            if (normed)
              inputs.push_back(norm.tensor);
            return run("rotary_embedding", inputs, {{count, columns}}, rotation, &batch).gpu[0];
          };
          cpuCaches.clear(), gpuCaches.clear();
          std::vector<float> rotatedQ = rotated(q, queries, queryWidth, queryNorm, selected);
          std::vector<float> rotatedK = rotated(k, rows, width, keyNorm, false);
          cpuCaches = {cpu}, gpuCaches = {apart};
          std::vector<Tensor> inputs = {floatTensor(rotatedQ, {queries, queryWidth}), floatTensor(rotatedK, {rows, width}),
                                        floatTensor(v, {rows, width})};
          std::vector<std::vector<float>> expected = run("attention", inputs, {{queries, queryWidth}}, attention, &batch).gpu;
          inputs[0] = floatTensor(q, {queries, queryWidth}), inputs[1] = floatTensor(k, {rows, width});
          if (normed)
            inputs.insert(inputs.end(), {queryNorm.tensor, keyNorm.tensor});
          gpuCaches = {together};
          Both both = run("attention", inputs, {{queries, queryWidth}}, rotating, &batch);
          EXPECT_EQ(both.gpu, expected);
          EXPECT_EQ(contents(together.keys), contents(apart.keys));
          EXPECT_EQ(contents(together.values), contents(apart.values));
          expectNear(both, type == DType::F32 ? 1e-4 : 1.5e-2);
        }
        cpuCaches.clear(), gpuCaches.clear();
      }
}

class CudaF16Test : public CudaTest {
protected:
  void SetUp() override {
    half = DType::F16;
    CudaTest::SetUp();
  }
};

/// What fp16 can't hold becomes the nearest that it can, in activations, weights, results and caches.
TEST_F(CudaF16Test, Saturates) {
  int64_t depth = 256, width = 48;
  Weight weight = plainWeight(DType::BF16, width, depth, 1), up = plainWeight(DType::BF16, width, depth, 2);
  std::vector<float> wide(size_t(width * depth));
  auto *bits = static_cast<uint16_t *>(weight.tensor.data);
  bits[5] = FloatToBFloat16(1e6f), bits[300] = FloatToBFloat16(-1e30f);
  std::transform(bits, bits + wide.size(), wide.begin(), BFloat16ToFloat);
  clamp(wide);
  Attributes attributes, gated;
  for (Attributes *each : {&attributes, &gated})
    each->set("compute", std::string("bf16"));
  gated.set("weights", int64_t(2));
  gated.set("epilogue", std::string("silu_mul"));
  for (int64_t rows : {3, 40}) {
    SCOPED_TRACE(rows);
    std::vector<float> x = randomFloats(rows * depth, 3);
    for (size_t i = 0; i < x.size(); i += 7)
      x[i] *= 1e6f;
    std::vector<float> near = x;
    clamp(near);
    Both both = run("linear", {floatTensor(x, {rows, depth}), weight.tensor}, {{rows, width}}, attributes);
    both.cpu = run("linear", {floatTensor(near, {rows, depth}), floatTensor(wide, {width, depth})}, {{rows, width}}, attributes).cpu;
    expectNear(both, 1e-3);
    std::vector<float> large = randomFloats(rows * depth, 4);
    for (float &value : large)
      value *= 3e4f;
    NarrowRows narrow(large, {rows, depth});
    both = run("linear", {narrow.tensor, up.tensor, up.tensor}, {{rows, width}}, gated, nullptr, DType::BF16);
    EXPECT_EQ(*std::max_element(both.gpu[0].begin(), both.gpu[0].end()), 65504.0f);
    expectNear(both, 1e-3);
  }
  CacheView cpu{nullptr, nullptr, 200, 2, 64}, gpu = cpu;
  std::vector<float> keys(200 * 128), values(keys.size());
  cpu.keys = keys.data(), cpu.values = values.data();
  gpu.dtype = DType::BF16;
  gpu.keys = static_cast<float *>(allocate(200 * 128 * 2)), gpu.values = static_cast<float *>(allocate(200 * 128 * 2));
  cpuCaches = {cpu}, gpuCaches = {gpu};
  std::vector<float> q = randomFloats(150 * 256, 5), k = randomFloats(150 * 128, 6), v = randomFloats(150 * 128, 7);
  for (size_t i = 0; i < v.size(); i += 3)
    v[i] *= 1e6f;
  std::vector<float> near = v;
  clamp(near);
  attributes = {};
  for (auto [name, value] : {std::pair("num_heads", 4), {"num_kv_heads", 2}, {"sliding_window", 0}, {"selected", 0}})
    attributes.set(name, int64_t(value));
  attributes.set("scale", 0.1);
  Batch batch = oneSequence(150);
  auto attend = [&](std::vector<float> &v) {
    return run("attention", {floatTensor(q, {150, 256}), floatTensor(k, {150, 128}), floatTensor(v, {150, 128})}, {{150, 256}}, attributes, &batch, DType::BF16);
  };
  Both both = attend(v);
  both.cpu = attend(near).cpu;
  expectNear(both, 2e-3);
}

TEST_F(CudaTest, TooMuchMemoryIsAnError) {
  StatusOr<std::shared_ptr<void>> memory = device->allocate(int64_t(1) << 50, "a test");
  expectRefused(memory.status(), "a test needs 1073741824 MiB of GPU memory");
}

} // namespace
} // namespace compressc::test
