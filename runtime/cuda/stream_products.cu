// The prebuilt products of few rows; see stream_products.cuh.
#include "stream_products.cuh"

namespace compressc::cuda {
namespace {

template <typename Format>
void launch(cudaStream_t stream, const StreamedRows &x, const streamed::Products &products, bool gated, void *scratch) {
  if (gated)
    streamed::Launch<Format, streamed::AnyEpilogue, 0, true>(stream, x, products, scratch);
  else
    streamed::Launch<Format, streamed::AnyEpilogue, 0, false>(stream, x, products, scratch);
}

void launch(cudaStream_t stream, const StreamedRows &x, const streamed::Products &products, DType half, bool gated, void *scratch) {
  const Matrix &w = products.each[0].w;
  if (w.dtype == DType::Packed)
    return streamed::WithWords(w, [&](auto words) {
      launch<streamed::FourBits<decltype(words)::value, streamed::AnyScale>>(stream, x, products, gated, scratch);
    });
  if (half == DType::BF16)
    return launch<streamed::Plain<__nv_bfloat16, __nv_bfloat16>>(stream, x, products, gated, scratch);
  if (w.dtype == DType::F16)
    return launch<streamed::Plain<__half, __half>>(stream, x, products, gated, scratch);
  launch<streamed::Plain<__half, __nv_bfloat16>>(stream, x, products, gated, scratch);
}

} // namespace

int WordsOf(const Matrix &w) {
  if (w.dtype == DType::BF16 || w.dtype == DType::F16)
    return w.columns % 32 == 0 && w.rowBytes % 16 == 0 ? 8 : 0;
  if (w.dtype != DType::Packed || w.bits != 4)
    return 0;
  for (int words : {4, 2, 1})
    if (w.group % (words * 32) == 0)
      return words;
  return 0;
}

bool SameForm(const Matrix &a, const Matrix &b) {
  return WordsOf(a) == WordsOf(b) && a.dtype == b.dtype &&
         (a.dtype != DType::Packed || (a.group == b.group && a.scaleType == b.scaleType));
}

bool CanStream(const StreamedProduct &product, DType half) {
  if (product.w.dtype == DType::F16 && half == DType::BF16)
    return false; // bits would be lost
  return WordsOf(product.w) != 0 && (!product.gate.data || SameForm(product.w, product.gate));
}

void StreamProducts(cudaStream_t stream, const StreamedRows &x, const StreamedProduct *products, int count, DType half, void *scratch) {
  for (int begin = 0, end; begin < count; begin = end) {
    // Neighbours of one form go together.
    bool gated = products[begin].gate.data != nullptr;
    streamed::Products part{};
    auto joins = [&](const StreamedProduct &product) { return !gated && !product.gate.data && SameForm(product.w, products[begin].w); };
    for (end = begin; end < count && part.count < streamed::mostMatrices && (end == begin || joins(products[end])); ++end)
      streamed::Add(part, products[end]);
    launch(stream, x, part, half, gated, scratch);
  }
}

} // namespace compressc::cuda
