// A two-layer model with grouped heads, written down twice: as a schedule, and as slow loops in
// double over one prompt at a time, without a cache.
#pragma once

#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/session.h"
#include <cmath>
#include <cstring>
#include <map>
#include <random>

namespace compressc {

/// One weight: what the checkpoint stores and the values that it stands for.
struct ToyWeight {
  WeightDecl decl;
  std::vector<float> values;
  /// Name in the checkpoint -> entry and bytes; one, or the parts of a packed tensor.
  std::map<std::string, std::pair<SafetensorsWriter::Entry, std::string>> stored;
  Tensor view() const;
};

class ToyModel {
public:
  static constexpr int64_t vocabulary = 50, width = 64, heads = 4, kvHeads = 2, headDim = 16;
  static constexpr int64_t feedForward = 96, layers = 2;
  static constexpr float epsilon = 1e-5f;

  /// `packed`: the linears are 4-bit, group 32, asymmetric, except a symmetric one.
  explicit ToyModel(bool packed, int64_t maxTokens = 16, int64_t maxSelected = 4);

  Schedule schedule;
  std::vector<ToyWeight> weights; // as schedule.weights

  WeightResolver resolver() const {
    return [this](const WeightDecl &decl) -> StatusOr<Tensor> {
      for (const ToyWeight &weight : weights)
        if (weight.decl.key == decl.key)
          return weight.view();
      return Invalid("no weight of this name");
    };
  }
  Status writeCheckpoint(const std::string &path) const;

  /// Logits [tokens, vocabulary].
  std::vector<double> reference(const std::vector<int32_t> &tokens) const;

private:
  using Matrix = std::vector<std::vector<double>>;
  Operand addWeight(const std::string &key, DType dtype, std::vector<int64_t> shape);
  Operand addPacked(const std::string &key, int64_t rows, int64_t columns, bool symmetric);
  Operand addLinear(const std::string &key, int64_t rows, int64_t columns);
  Operand addBuffer(Rows rows, int64_t columns);
  const std::vector<float> &valuesOf(const std::string &key) const;
  Matrix linear(const Matrix &x, const std::string &key) const;
  Matrix norm(const Matrix &x, const std::string &key) const;
  void rotate(Matrix &x) const;
  Matrix attend(const Matrix &q, const Matrix &k, const Matrix &v) const;

  bool packed;
  std::mt19937 random{17};
  float uniform() { return float(int32_t(random() % 2001) - 1000) / 1000; }
};

inline std::vector<double> toyFrequencies() {
  std::vector<double> frequencies;
  for (int i = 0; i < ToyModel::headDim / 2; ++i)
    frequencies.push_back(float(std::pow(100.0, -2.0 * i / ToyModel::headDim)));
  return frequencies;
}

inline Tensor ToyWeight::view() const {
  auto data = [&](const std::string &name) -> void * {
    auto it = stored.find(name);
    return it == stored.end() ? nullptr : const_cast<char *>(it->second.second.data());
  };
  Tensor tensor;
  tensor.dtype = decl.dtype;
  tensor.shape = decl.shape;
  tensor.packed = decl.packed;
  bool isPacked = decl.dtype == DType::Packed;
  tensor.data = data(isPacked ? decl.key + ".weight_packed" : decl.key);
  tensor.scales = data(decl.key + ".weight_scale");
  tensor.zeros = data(decl.key + ".weight_zero_point");
  return tensor;
}

inline Operand ToyModel::addWeight(const std::string &key, DType dtype,
                                   std::vector<int64_t> shape) {
  ToyWeight weight;
  weight.decl = {key, dtype, shape, {}};
  int64_t count = 1;
  for (int64_t dimension : shape)
    count *= dimension;
  std::string bytes(size_t(count) * DTypeSize(dtype), '\0');
  for (int64_t i = 0; i < count; ++i) {
    // Norms around one, matrices small enough that two layers stay in range.
    float value = shape.size() == 1 ? 1 + uniform() / 4 : uniform() / 4;
    value = RoundToDType(value, dtype);
    weight.values.push_back(value);
    uint16_t half = dtype == DType::F16 ? FloatToHalf(value) : FloatToBFloat16(value);
    const void *from = dtype == DType::F32 ? static_cast<void *>(&value) : &half;
    std::memcpy(&bytes[size_t(i) * DTypeSize(dtype)], from, DTypeSize(dtype));
  }
  weight.stored[key] = {{key, std::string(SafetensorsName(dtype)), shape, int64_t(bytes.size())},
                        bytes};
  weights.push_back(std::move(weight));
  schedule.weights.push_back(weights.back().decl);
  return {Operand::Kind::Weight, int32_t(weights.size()) - 1};
}

inline Operand ToyModel::addPacked(const std::string &key, int64_t rows, int64_t columns,
                                   bool symmetric) {
  constexpr int64_t bits = 4, group = 32, perWord = 32 / bits;
  ToyWeight weight;
  weight.decl = {key, DType::Packed, {rows, columns}, {bits, group, symmetric, DType::F16}};
  weight.values.resize(rows * columns);
  int64_t words = columns / perWord, groups = columns / group,
          zeroWords = (rows + perWord - 1) / perWord;
  std::vector<uint32_t> codes(rows * words), zeros(zeroWords * groups);
  std::vector<uint16_t> scales(rows * groups);
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t g = 0; g < groups; ++g) {
      float scale = RoundToDType(0.02f + std::abs(uniform()) / 20, DType::F16);
      uint32_t zero = symmetric ? 8 : 4 + random() % 8;
      scales[n * groups + g] = FloatToHalf(scale);
      zeros[n / perWord * groups + g] |= zero << (n % perWord * bits);
      for (int64_t k = g * group; k < (g + 1) * group; ++k) {
        uint32_t code = random() % 16;
        codes[n * words + k / perWord] |= code << (k % perWord * bits);
        weight.values[n * columns + k] = scale * (float(code) - float(zero));
      }
    }
  auto store = [&](const std::string &part, const char *dtype, std::vector<int64_t> shape,
                   const void *data, size_t bytes) {
    std::string name = key + "." + part;
    weight.stored[name] = {{name, dtype, std::move(shape), int64_t(bytes)},
                           std::string(static_cast<const char *>(data), bytes)};
  };
  store("weight_packed", "I32", {rows, words}, codes.data(), codes.size() * 4);
  store("weight_scale", "F16", {rows, groups}, scales.data(), scales.size() * 2);
  if (!symmetric)
    store("weight_zero_point", "I32", {zeroWords, groups}, zeros.data(), zeros.size() * 4);
  weights.push_back(std::move(weight));
  schedule.weights.push_back(weights.back().decl);
  return {Operand::Kind::Weight, int32_t(weights.size()) - 1};
}

inline Operand ToyModel::addLinear(const std::string &key, int64_t rows, int64_t columns) {
  if (packed)
    return addPacked(key, rows, columns, /*symmetric=*/key == "layers.0.up");
  constexpr DType types[] = {DType::F32, DType::F16, DType::BF16};
  return addWeight(key, types[weights.size() % 3], {rows, columns});
}

inline Operand ToyModel::addBuffer(Rows rows, int64_t columns) {
  BufferDecl buffer;
  buffer.rows = rows;
  buffer.shape = {columns};
  buffer.offset = schedule.arenaBytes;
  int64_t most = rows == Rows::Tokens ? schedule.maxTokens : schedule.maxSelected;
  schedule.arenaBytes += (most * columns * 4 + 63) / 64 * 64;
  schedule.buffers.push_back(buffer);
  return {Operand::Kind::Buffer, int32_t(schedule.buffers.size()) - 1};
}

inline ToyModel::ToyModel(bool packed, int64_t maxTokens, int64_t maxSelected) : packed(packed) {
  schedule.maxTokens = maxTokens;
  schedule.maxSelected = maxSelected;
  EntryPoint forward;
  forward.name = "forward";
  auto call =
      [&](const char *kernel, std::vector<Operand> inputs, Operand output,
          std::initializer_list<std::pair<const char *, Attributes::Value>> attributes = {}) {
        Call made{kernel, std::move(inputs), {output}, {}};
        for (const auto &[name, value] : attributes)
          made.attributes.set(name, value);
        forward.calls.push_back(std::move(made));
      };
  Operand tokens{Operand::Kind::Tokens, 0};
  Operand x = addBuffer(Rows::Tokens, width), y = addBuffer(Rows::Tokens, width);
  Operand q = addBuffer(Rows::Tokens, width), mixed = addBuffer(Rows::Tokens, width);
  Operand k = addBuffer(Rows::Tokens, kvHeads * headDim);
  Operand v = addBuffer(Rows::Tokens, kvHeads * headDim);
  Operand gate = addBuffer(Rows::Tokens, feedForward), up = addBuffer(Rows::Tokens, feedForward);
  Operand chosen = addBuffer(Rows::Selected, width), logits = addBuffer(Rows::Selected, vocabulary);

  std::vector<double> frequencies = toyFrequencies();
  Attributes::Value eps = double(epsilon);
  auto rotate = [&](Operand operand) {
    call("rotary_embedding", {operand}, operand,
         {{"head_dim", headDim}, {"frequencies", frequencies}});
  };
  call("embedding", {tokens, addWeight("embed", DType::F16, {vocabulary, width})}, x);
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::string prefix = "layers." + std::to_string(layer) + ".";
    schedule.caches.push_back({kvHeads, headDim});
    Operand cache{Operand::Kind::Cache, int32_t(layer)};
    call("rms_norm", {x, addWeight(prefix + "norm1", DType::F32, {width})}, y, {{"epsilon", eps}});
    call("linear", {y, addLinear(prefix + "q", width, width)}, q);
    call("linear", {y, addLinear(prefix + "k", kvHeads * headDim, width)}, k);
    call("linear", {y, addLinear(prefix + "v", kvHeads * headDim, width)}, v);
    rotate(q);
    rotate(k);
    call("attention", {q, k, v, cache}, mixed,
         {{"num_heads", heads},
          {"num_kv_heads", kvHeads},
          {"scale", 1 / std::sqrt(double(headDim))},
          {"sliding_window", int64_t(0)}});
    call("linear", {mixed, addLinear(prefix + "o", width, width), x}, y,
         {{"epilogue", std::string("add")}, {"name", prefix + "o"}});
    call("rms_norm", {y, addWeight(prefix + "norm2", DType::BF16, {width})}, x, {{"epsilon", eps}});
    call("linear", {x, addLinear(prefix + "gate", feedForward, width)}, gate);
    call("linear", {x, addLinear(prefix + "up", feedForward, width)}, up);
    call("gated_activation", {gate, up}, gate, {{"kind", std::string("silu")}});
    call("linear", {gate, addLinear(prefix + "down", width, feedForward)}, mixed);
    call("add", {y, mixed}, x);
  }
  call("select_rows", {x}, chosen);
  call("rms_norm", {chosen, addWeight("norm", DType::F16, {width})}, chosen, {{"epsilon", eps}});
  call("linear", {chosen, {Operand::Kind::Weight, 0}}, logits);
  forward.outputs = {logits.index};
  schedule.entries.push_back(std::move(forward));
}

inline Status ToyModel::writeCheckpoint(const std::string &path) const {
  std::vector<SafetensorsWriter::Entry> plan;
  for (const ToyWeight &weight : weights)
    for (const auto &[name, part] : weight.stored)
      plan.push_back(part.first);
  COMPRESSC_ASSIGN_OR_RETURN(auto writer, SafetensorsWriter::Create(path, plan));
  for (const ToyWeight &weight : weights)
    for (const auto &[name, part] : weight.stored)
      COMPRESSC_RETURN_IF_ERROR(writer->write(name, part.second.data(), part.first.bytes));
  return writer->finish();
}

// ---- The reference ------------------------------------------------------------------------------

inline const std::vector<float> &ToyModel::valuesOf(const std::string &key) const {
  for (const ToyWeight &weight : weights)
    if (weight.decl.key == key)
      return weight.values;
  std::abort();
}

inline ToyModel::Matrix ToyModel::linear(const Matrix &x, const std::string &key) const {
  const std::vector<float> &w = valuesOf(key);
  size_t columns = x[0].size(), rows = w.size() / columns;
  Matrix y(x.size(), std::vector<double>(rows));
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t n = 0; n < rows; ++n)
      for (size_t k = 0; k < columns; ++k)
        y[t][n] += x[t][k] * w[n * columns + k];
  return y;
}

inline ToyModel::Matrix ToyModel::norm(const Matrix &x, const std::string &key) const {
  const std::vector<float> &w = valuesOf(key);
  Matrix y = x;
  for (std::vector<double> &row : y) {
    double squares = 0;
    for (double value : row)
      squares += value * value;
    double scale = 1 / std::sqrt(squares / double(row.size()) + double(epsilon));
    for (size_t i = 0; i < row.size(); ++i)
      row[i] *= scale * w[i];
  }
  return y;
}

inline void ToyModel::rotate(Matrix &x) const {
  std::vector<double> frequencies = toyFrequencies();
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t head = 0; head < x[t].size(); head += headDim)
      for (size_t i = 0; i < headDim / 2; ++i) {
        double angle = double(t) * frequencies[i];
        double a = x[t][head + i], b = x[t][head + i + headDim / 2];
        x[t][head + i] = a * std::cos(angle) - b * std::sin(angle);
        x[t][head + i + headDim / 2] = b * std::cos(angle) + a * std::sin(angle);
      }
}

inline ToyModel::Matrix ToyModel::attend(const Matrix &q, const Matrix &k, const Matrix &v) const {
  Matrix y(q.size(), std::vector<double>(width));
  for (size_t t = 0; t < q.size(); ++t)
    for (size_t h = 0; h < heads; ++h) {
      size_t own = h * headDim, shared = h / (heads / kvHeads) * headDim;
      std::vector<double> weight(t + 1);
      double sum = 0;
      for (size_t s = 0; s <= t; ++s) {
        double dot = 0;
        for (size_t i = 0; i < headDim; ++i)
          dot += q[t][own + i] * k[s][shared + i];
        sum += weight[s] = std::exp(dot / std::sqrt(double(headDim)));
      }
      for (size_t s = 0; s <= t; ++s)
        for (size_t i = 0; i < headDim; ++i)
          y[t][own + i] += weight[s] / sum * v[s][shared + i];
    }
  return y;
}

inline std::vector<double> ToyModel::reference(const std::vector<int32_t> &tokens) const {
  auto add = [](Matrix a, const Matrix &b) {
    for (size_t t = 0; t < a.size(); ++t)
      for (size_t i = 0; i < a[t].size(); ++i)
        a[t][i] += b[t][i];
    return a;
  };
  const std::vector<float> &embed = valuesOf("embed");
  Matrix x;
  for (int32_t token : tokens)
    x.emplace_back(embed.begin() + token * width, embed.begin() + (token + 1) * width);
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::string prefix = "layers." + std::to_string(layer) + ".";
    Matrix y = norm(x, prefix + "norm1");
    Matrix q = linear(y, prefix + "q"), k = linear(y, prefix + "k"), v = linear(y, prefix + "v");
    rotate(q);
    rotate(k);
    x = add(linear(attend(q, k, v), prefix + "o"), x);
    y = norm(x, prefix + "norm2");
    Matrix gate = linear(y, prefix + "gate"), up = linear(y, prefix + "up");
    for (size_t t = 0; t < gate.size(); ++t)
      for (size_t i = 0; i < gate[t].size(); ++i)
        gate[t][i] = gate[t][i] / (1 + std::exp(-gate[t][i])) * up[t][i];
    x = add(linear(gate, prefix + "down"), x);
  }
  std::vector<double> logits;
  for (const std::vector<double> &row : linear(norm(x, "norm"), "embed"))
    logits.insert(logits.end(), row.begin(), row.end());
  return logits;
}

} // namespace compressc
