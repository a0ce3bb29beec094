// What emitted programs are made of. `compressc --emit=cpp` prints a model's schedule as calls of these
// functions, with every size, offset and constant in place. They run the kernels of the interpreter on
// operands that were checked when the program was emitted, so the results have the same bits.
//
// Needs the standard library only. A program is linked with the runtime's object; its weights are bound by
// name when a session starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace compressc::program {

/// One run of an entry point: the batch, the arena, the bound weights, the threads. The first error ends it:
/// what follows does nothing.
struct Run;

/// Which rows of the batch a value has.
enum class Rows : uint8_t { Tokens, Selected };

enum class Type : uint8_t { F32, BF16 };

/// An intermediate value: [rows, columns], beginning at this byte of the arena.
struct Value {
  int64_t columns;
  int64_t offset;
  Rows rows;
  Type type;
};
constexpr Value tokens(int64_t columns, int64_t offset, Type type = Type::F32) {
  return {columns, offset, Rows::Tokens, type};
}
constexpr Value selected(int64_t columns, int64_t offset, Type type = Type::F32) {
  return {columns, offset, Rows::Selected, type};
}

/// Places in the schedule's lists of weights and caches.
using Weight = int;
using Cache = int;
constexpr Weight none = -1;

enum class Activation : uint8_t { None, Silu, Gelu, GeluTanh, Relu };
/// What linears are computed in; see the runtime's `linear` kernel.
enum class Compute : uint8_t { F32, BF16, Int8, Fp8 };

/// out[r] = table[token of row r].
void embedding(Run &run, Weight table, Value out, float scale = 1);
/// The rows whose logits are asked for.
void selectRows(Run &run, Value x, Value out);
void add(Run &run, Value a, Value b, Value out);
void mul(Run &run, Value a, Value b, Value out);
void gatedActivation(Run &run, Activation kind, Value gate, Value up, Value out);
/// Normalises each run of as many columns as the weight has.
void rmsNorm(Run &run, Value x, Weight weight, double epsilon, Value out);
void layerNorm(Run &run, Value x, Weight weight, Weight bias, double epsilon, Value out);

struct LinearOptions {
  Weight norm = none; // x is normalised with it first (rms_norm)
  double epsilon = 0;
  std::initializer_list<Weight> biases = {}; // none where a weight has no bias; empty: no biases
  const Value *add = nullptr;                // added to the result
  Activation gate = Activation::None;        // else two weights, one result: gate(x W0^T) * (x W1^T)
  Compute compute = Compute::F32;
  bool answers = false; // only the columns that the batch names as answers, if it names any
};
/// outs[i] = x weights[i]^T.
void linear(Run &run, Value x, std::initializer_list<Weight> weights, std::initializer_list<Value> outs,
            const LinearOptions &options = {});

struct RotaryOptions {
  int64_t headDim;
  const float *frequencies; // [headDim / 2]
  double factor = 1;        // of sine and cosine
  Weight norm = none;       // each head is normalised with it first (rms_norm)
  double epsilon = 0;
};
void rotaryEmbedding(Run &run, Value x, Value out, const RotaryOptions &options);

struct AttentionOptions {
  int64_t heads;
  int64_t kvHeads;
  double scale;
  int64_t window = 0; // 0: unlimited
  const float *frequencies = nullptr; // [head dimension / 2]: query and key are rotated first (rotaryEmbedding)
  double factor = 1;                  // of sine and cosine
  Weight queryNorm = none;            // with keyNorm: each head is normalised before that
  Weight keyNorm = none;
  double epsilon = 0;
};
/// Causal attention; keys and values of all rows go to the cache.
void attention(Run &run, Value query, Value key, Value value, Cache cache, Value out,
               const AttentionOptions &options);

struct Entry {
  const char *name;
  void (*run)(Run &);
};

/// What an emitted source defines, as `compressc_program`.
struct Program {
  const char *schedule; // digest of the schedule that it was emitted from (ScheduleDigest)
  const Entry *entries;
  size_t entryCount;
};

} // namespace compressc::program

extern "C" const compressc::program::Program compressc_program;
