// What emitted CUDA programs are made of. `compressc --emit=cuda` prints a model's schedule as calls of these
// functions; shapes, offsets and formats of weights are template arguments, so that every kernel is compiled for the
// model. They run the arithmetic of the interpreter's kernels: the results have the same bits.
#pragma once

#include "program_run.h"
#include "rows.cuh"
#include "stream_products.cuh"

namespace compressc::cuda::program {

using cuda::Activate;

/// Intermediate values of the device's 16-bit type.
struct Half {};

/// [rows of the batch, columns], beginning at this byte of the arena.
template <int columns_, typename Element, bool selected_> struct Value {
  static constexpr int columns = columns_;
  static constexpr bool selected = selected_;
  static constexpr DType type = std::is_same_v<Element, Half> ? DType::BF16 : DType::F32;
  int64_t offset;

  void *in(const Run &run) const { return run.arena + offset; }
  float *floats(const Run &run) const {
    static_assert(type == DType::F32);
    return static_cast<float *>(in(run));
  }
  static int64_t rows(const Run &run) { return selected ? run.selected : run.tokens; }
  constexpr operator Operand() const { return {Operand::Kind::Value, -1, offset, columns, selected, type}; }
};
/// A row for each token, or for each row whose logits are asked for.
template <int columns, typename Element = float> using Tokens = Value<columns, Element, false>;
template <int columns, typename Element = float> using Selected = Value<columns, Element, true>;

/// Formats of weights: the type of elements (or of GGUF blocks), or codes with scales for each group of columns.
template <DType type> struct Plain {};
template <int bits, int group, DType scales, bool zeros> struct Packed {};

/// Places in the schedule's lists of weights and caches.
template <int rows_, int columns_, typename Format_> struct Weight {
  static constexpr int rows = rows_, columns = columns_;
  using Format = Format_;
  int place;
  constexpr operator Operand() const { return {Operand::Kind::Weight, place, 0, 0, false, DType::F32}; }
};
template <int size> struct Vector {
  int place;
  const float *in(const Run &run) const { return run.vectors[place]; }
  constexpr operator Operand() const { return {Operand::Kind::Weight, place, 0, 0, false, DType::F32}; }
};
struct Cache {
  int place;
};

/// x after rms_norm, computed inside the products that read it.
template <typename X> struct Normed {
  X x;
  Vector<X::columns> weight;
  float epsilon;
};
template <typename X> constexpr Normed<X> normed(X x, Vector<X::columns> weight, float epsilon) { return {x, weight, epsilon}; }

/// Where something could be, and is not.
struct Nothing {};

/// What is done with queries and keys before an attention: half-split pairs are rotated, with norms each head is
/// normalised before that (rms_norm).
template <int dim_, typename Norm> struct Rotated {
  static constexpr int dim = dim_;
  const float *frequencies; // on the host
  float factor;
  Norm query, key;
  float epsilon;
};
template <int pairs> constexpr Rotated<2 * pairs, Nothing> rotated(const float (&frequencies)[pairs], float factor) {
  return {frequencies, factor, {}, {}, 0};
}
template <int pairs>
constexpr Rotated<2 * pairs, Vector<2 * pairs>> rotated(const float (&frequencies)[pairs], float factor, Vector<2 * pairs> query,
                                                        Vector<2 * pairs> key, float epsilon) {
  return {frequencies, factor, query, key, epsilon};
}

/// What is added to a product: a vector, a value, both or neither.
template <typename Bias, typename Residual> struct Added {
  Bias bias;
  Residual residual;
};

/// out = x w^T + what is added.
template <typename Out, typename W, typename Added> struct Product {
  Out out;
  W w;
  Added added;
};
template <typename Out, typename W, typename Added = Added<Nothing, Nothing>>
constexpr Product<Out, W, Added> into(Out out, W w, Added added = {}) {
  return {out, w, added};
}
template <int columns> constexpr Added<Vector<columns>, Nothing> plus(Vector<columns> bias) { return {bias, {}}; }
template <int columns, typename E, bool s> constexpr Added<Nothing, Value<columns, E, s>> plus(Value<columns, E, s> value) {
  return {{}, value};
}
template <int columns, typename E, bool s>
constexpr Added<Vector<columns>, Value<columns, E, s>> plus(Vector<columns> bias, Value<columns, E, s> value) {
  return {bias, value};
}

/// out = activation(x gate^T + its bias) * (x w^T + its bias); the functor says how.
template <typename Functor, typename Out, typename Gate, typename W, typename GateBias, typename WBias> struct GatedProduct {
  Out out;
  Gate gate;
  W w;
  GateBias gateBias;
  WBias bias;
};
template <typename Functor, typename Out, typename Gate, typename W, typename GateBias = Nothing, typename WBias = Nothing>
constexpr GatedProduct<Functor, Out, Gate, W, GateBias, WBias> gated(Out out, Gate gate, W w, GateBias gateBias = {}, WBias bias = {}) {
  return {out, gate, w, gateBias, bias};
}

/// Programs for GPUs that all have bf16 leave fp16 to the device.
template <typename Half> constexpr bool IsCompiled() {
#ifdef COMPRESSC_FP16
  return true;
#else
  return std::is_same_v<Half, __nv_bfloat16>;
#endif
}

namespace detail {

inline const float *floatsOf(const Run &, Nothing) { return nullptr; }
template <int n> const float *floatsOf(const Run &run, Vector<n> vector) { return vector.in(run); }
template <int n, typename E, bool s> const float *floatsOf(const Run &run, Value<n, E, s> value) { return value.floats(run); }

template <typename Out, typename W, typename Added> LinearProduct productOf(const Run &run, const Product<Out, W, Added> &p) {
  LinearProduct product;
  product.w = &run.weights[p.w.place];
  product.bias = floatsOf(run, p.added.bias);
  product.residual = floatsOf(run, p.added.residual);
  product.out = {p.out.in(run), Out::type};
  return product;
}
template <typename Functor, typename Out, typename Gate, typename W, typename GateBias, typename WBias>
LinearProduct productOf(const Run &run, const GatedProduct<Functor, Out, Gate, W, GateBias, WBias> &p) {
  LinearProduct product;
  product.w = &run.weights[p.w.place];
  product.bias = floatsOf(run, p.bias);
  product.gate = &run.weights[p.gate.place];
  product.gateBias = floatsOf(run, p.gateBias);
  product.activation = Functor::kind;
  product.out = {p.out.in(run), Out::type};
  return product;
}

template <typename X> struct Source {
  using Rows = X;
  static const X &rows(const X &x) { return x; }
  static const float *norm(const Run &, const X &) { return nullptr; }
  static float epsilon(const X &) { return 0; }
};
template <typename X> struct Source<Normed<X>> {
  using Rows = X;
  static const X &rows(const Normed<X> &x) { return x.x; }
  static const float *norm(const Run &run, const Normed<X> &x) { return x.weight.in(run); }
  static float epsilon(const Normed<X> &x) { return x.epsilon; }
};

// ---- products of few rows, compiled for their shapes ----

template <DType type> struct Scale;
template <> struct Scale<DType::F32> { using type = float; };
template <> struct Scale<DType::F16> { using type = __half; };
template <> struct Scale<DType::BF16> { using type = __nv_bfloat16; };

/// How the kernel reads weights of a format; void: it does not.
template <typename Half, int columns, typename Format> struct Reader {
  using type = void;
};
template <typename Half, int columns, int group, DType scales, bool zeros> struct Reader<Half, columns, Packed<4, group, scales, zeros>> {
  static constexpr int words = group % 128 == 0 ? 4 : group % 64 == 0 ? 2 : 1;
  using type = std::conditional_t<group % 32 == 0,
                                  streamed::FourBits<words, typename Scale<scales>::type, group>, void>;
};
template <typename Half, int columns> struct Reader<Half, columns, Plain<DType::BF16>> {
  using type = std::conditional_t<columns % 32 == 0, streamed::Plain<Half, __nv_bfloat16>, void>;
};
template <int columns> struct Reader<__half, columns, Plain<DType::F16>> {
  using type = std::conditional_t<columns % 32 == 0, streamed::Plain<__half, __half>, void>;
};
template <typename Half, typename W> using ReaderOf = typename Reader<Half, W::columns, typename W::Format>::type;

/// What follows the sums: each part is compiled in, or is not there.
template <bool bias, bool residual, typename Element> struct AddEpilogue {
  template <bool>
  static __device__ __forceinline__ void finish(const StreamedProduct &product, int64_t column, int64_t at, float sum, float) {
    if (bias)
      sum += product.bias[column];
    if (residual)
      sum += product.residual[at];
    Put(static_cast<Element *>(product.out) + at, sum);
  }
};
template <bool gateBias, bool bias, typename Functor, typename Element> struct GateEpilogue {
  template <bool>
  static __device__ __forceinline__ void finish(const StreamedProduct &product, int64_t column, int64_t at, float sum, float gate) {
    if (bias)
      sum += product.bias[column];
    if (gateBias)
      gate += product.gateBias[column];
    Put(static_cast<Element *>(product.out) + at, Functor{}(gate, sum));
  }
};

template <typename T> constexpr bool isThere = !std::is_same_v<T, Nothing>;
template <typename Half, typename Out> using ElementOf = std::conditional_t<Out::type == DType::F32, float, Half>;

/// A product as the kernel is compiled for it; products of one launch share it.
template <typename Half, typename P> struct Form;
template <typename Half, typename Out, typename W, typename Bias, typename Residual>
struct Form<Half, Product<Out, W, Added<Bias, Residual>>> {
  static_assert(Out::columns == W::rows);
  static constexpr bool gated = false;
  using Format = ReaderOf<Half, W>;
  using Epilogue = AddEpilogue<isThere<Bias>, isThere<Residual>, ElementOf<Half, Out>>;
};
template <typename Half, typename Functor, typename Out, typename Gate, typename W, typename GateBias, typename WBias>
struct Form<Half, GatedProduct<Functor, Out, Gate, W, GateBias, WBias>> {
  static_assert(Out::columns == W::rows && W::rows == Gate::rows);
  static constexpr bool gated = true;
  using Format = std::conditional_t<std::is_same_v<ReaderOf<Half, W>, ReaderOf<Half, Gate>>, ReaderOf<Half, W>, void>;
  using Epilogue = GateEpilogue<isThere<GateBias>, isThere<WBias>, Functor, ElementOf<Half, Out>>;
};
template <typename Half, typename First, typename... Rest> struct Forms {
  using Of = Form<Half, First>;
  static constexpr bool streams = !std::is_void_v<typename Of::Format> && sizeof...(Rest) < streamed::mostMatrices &&
                                  ((!Of::gated && std::is_same_v<typename Of::Format, typename Form<Half, Rest>::Format> &&
                                    std::is_same_v<typename Of::Epilogue, typename Form<Half, Rest>::Epilogue>)&&...);
};

template <typename Out, typename W, typename Added> const Matrix *gateOf(const Run &, const Product<Out, W, Added> &) {
  return nullptr;
}
template <typename Functor, typename Out, typename Gate, typename W, typename GateBias, typename WBias>
const Matrix *gateOf(const Run &run, const GatedProduct<Functor, Out, Gate, W, GateBias, WBias> &p) {
  return &run.matrices[p.gate.place];
}

template <int depth, typename Half, typename... Products>
void stream(Run &run, const StreamedRows &x, const LinearOperands &call, const Products &...parts) {
  using Of = typename Forms<Half, Products...>::Of;
  streamed::Products products{};
  const Matrix *const matrices[] = {&run.matrices[parts.w.place]...}, *const gates[] = {gateOf(run, parts)...};
  for (int i = 0; i < call.count; ++i) {
    const LinearProduct &from = call.products[i];
    streamed::Add(products, {*matrices[i], gates[i] ? *gates[i] : Matrix{}, from.activation, from.bias, from.gateBias,
                             from.residual, from.out.data, from.out.type});
  }
  if (void *scratch = run.device.rowScratch(int64_t(StreamScratchBytes(x.rows, depth))))
    streamed::Launch<typename Of::Format, typename Of::Epilogue, depth, Of::gated>(run.stream, x, products, scratch);
}

} // namespace detail

/// Runs a kernel of the device's table.
inline void call(Run &run, const char *kernel, std::initializer_list<Operand> inputs, std::initializer_list<Operand> outputs,
                 std::initializer_list<Constant> constants = {}) {
  run.device.call(kernel, inputs, outputs, constants);
}

/// Each run of as many columns as the weight has by itself.
template <typename X, int size, typename Out> void rmsNorm(Run &run, X x, Vector<size> weight, float epsilon, Out out) {
  static_assert(X::columns % size == 0);
  rows::RmsNorm<size>(run.stream, x.floats(run), X::rows(run) * (X::columns / size), weight.in(run), size, epsilon, out.floats(run));
}

/// Few rows by weights that the kernel reads are a kernel of this program; the rest is the device's.
template <Compute compute, bool answers = false, typename X, typename... Products> void linear(Run &run, X x, Products... products) {
  using Source = detail::Source<X>;
  using Rows = typename Source::Rows;
  static_assert(sizeof...(products) <= mostProducts);
  int64_t rows = Rows::rows(run);
  if (rows == 0)
    return;
  const LinearProduct list[] = {detail::productOf(run, products)...};
  LinearOperands call;
  call.x = {Source::rows(x).in(run), Rows::type};
  call.rows = rows, call.depth = Rows::columns;
  call.norm = Source::norm(run, x), call.epsilon = Source::epsilon(x);
  call.compute = compute;
  call.products = list, call.count = int(sizeof...(products));
  if constexpr (compute != Compute::F32 && !answers) { // few rows in fp8 are bf16's
    bool streams = false;
    WithHalf(run.half, [&](auto half) {
      using Half = decltype(half);
      if constexpr (detail::Forms<Half, Products...>::streams && IsCompiled<Half>())
        if (rows <= detail::Forms<Half, Products...>::Of::Format::mostRows) {
          DType type = Rows::type == DType::F32 ? DType::F32 : run.half;
          detail::stream<Rows::columns, Half>(run, {call.x.data, type, int(rows), call.norm, call.epsilon}, call, products...);
          streams = true;
        }
    });
    if (streams)
      return;
  }
  run.device.linear(call, answers);
}

/// Half-split pairs, heads of `dim` columns; with a norm each head is normalised first (rms_norm).
template <int dim, typename X, typename Out>
void rotaryEmbedding(Run &run, X x, Out out, const float (&frequencies)[dim / 2], float factor, const float *norm = nullptr,
                     float epsilon = 0) {
  if (const float *sent = run.device.frequencies(frequencies, dim / 2))
    rows::RotaryEmbedding<dim, X::columns>(run.stream, x.floats(run), X::rows(run), X::columns,
                                           {dim, sent, factor, X::selected ? run.selectedPositions : run.positions, norm, epsilon},
                                           out.floats(run));
}

/// Causal attention; keys and values of all rows go to the cache. `window`: 0 for none. With `rotated`, query and key are
/// rotated first.
template <int heads, int groups, int window = 0, typename Q, typename K, typename V, typename Out, typename R = Nothing>
void attention(Run &run, Q query, K key, V value, Cache cache, Out out, float scale, R rotation = {}) {
  static_assert(Q::columns % heads == 0 && heads % groups == 0);
  AttentionOperands call;
  call.query = query.floats(run), call.key = key.floats(run), call.value = value.floats(run);
  call.out = {out.in(run), Out::type};
  call.cache = run.caches[cache.place];
  call.queries = heads, call.groups = groups, call.dim = Q::columns / heads;
  call.window = window, call.scale = scale, call.selected = Q::selected;
  if constexpr (detail::isThere<R>) {
    static_assert(Q::columns / heads == R::dim);
    call.rotation = {call.dim,      rotation.frequencies, rotation.factor, call.selected, detail::floatsOf(run, rotation.query),
                     rotation.epsilon};
    call.keyNorm = detail::floatsOf(run, rotation.key);
  }
  run.device.attention(call);
}

} // namespace compressc::cuda::program
