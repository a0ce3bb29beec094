// Weights of every type as fp32, eight columns of a row at a time: what all kernels over weights read with.
#pragma once

#include "kernels.h"
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace compressc::cuda {

template <typename T> __device__ __forceinline__ T LoadUnaligned(const uint8_t *at) {
  T value;
  if constexpr (sizeof(T) == 2) {
    value = T(at[0]) | T(at[1]) << 8;
  } else {
    value = 0;
    for (unsigned i = 0; i < sizeof(T); ++i)
      value |= T(at[i]) << (8 * i);
  }
  return value;
}

__device__ __forceinline__ float HalfBits(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }

__device__ __forceinline__ float PlainAt(const void *data, DType dtype, int64_t i) {
  if (dtype == DType::F16)
    return __half2float(static_cast<const __half *>(data)[i]);
  if (dtype == DType::BF16)
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[i]);
  return static_cast<const float *>(data)[i];
}

/// A scale's bits: nothing waits for them before ScaleOf.
__device__ __forceinline__ uint32_t ScaleBitsAt(const void *scales, DType type, int at) {
  return type == DType::F32 ? static_cast<const uint32_t *>(scales)[at] : uint32_t(static_cast<const uint16_t *>(scales)[at]);
}
__device__ __forceinline__ float ScaleOf(uint32_t bits, DType type) {
  return type == DType::F32 ? __uint_as_float(bits) : type == DType::F16 ? HalfBits(uint16_t(bits)) : __uint_as_float(bits << 16);
}

__device__ __forceinline__ float ZeroAt(const Matrix &w, int bits, int64_t row, int64_t group, int64_t groups) {
  if (!w.zeros)
    return float(1 << (bits - 1));
  int64_t bit = row * bits;
  const uint32_t *word = w.zeros + bit / 32 * groups + group;
  int shift = int(bit % 32);
  uint64_t pair = word[0];
  if (shift + bits > 32)
    pair |= uint64_t(word[groups]) << 32;
  return float(uint32_t(pair >> shift) & ((1u << bits) - 1));
}

/// Reads columns [column, column + 8) of a row; `column` is a multiple of 8. Columns that do not exist are 0.
/// One specialisation for each type; packed weights for each number of bits.
template <DType dtype, int bits> struct Loader {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]);
};

template <int bits> struct Loader<DType::Packed, bits> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    int64_t at = column / 8 * bits;
    const uint8_t *data = w.data + row * w.rowBytes + at;
    uint64_t word = 0;
    if (at + bits <= w.rowBytes) {
      if constexpr (bits == 8)
        word = *reinterpret_cast<const uint32_t *>(data) | uint64_t(reinterpret_cast<const uint32_t *>(data)[1]) << 32;
      else if constexpr (bits == 4)
        word = *reinterpret_cast<const uint32_t *>(data);
      else if constexpr (bits == 2)
        word = *reinterpret_cast<const uint16_t *>(data);
      else
        word = uint64_t(data[0]) | uint64_t(data[1]) << 8 | uint64_t(data[2]) << 16;
    } else {
      for (int i = 0; at + i < w.rowBytes && i < bits; ++i)
        word |= uint64_t(data[i]) << (8 * i);
    }
    constexpr uint32_t mask = (1u << bits) - 1;
    // In 32 bits: a division of 64 takes longer than the rest.
    int groups = int(w.columns) / w.group;
    if (w.group % 8 == 0) {
      int group = int(column) / w.group;
      float scale = PlainAt(w.scales, w.scaleType, row * groups + group);
      float zero = ZeroAt(w, bits, row, group, groups);
#pragma unroll
      for (int i = 0; i < 8; ++i)
        v[i] = (float(uint32_t(word >> (i * bits)) & mask) - zero) * scale;
      return;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      v[i] = 0;
      if (column + i < w.columns) {
        int group = (int(column) + i) / w.group;
        v[i] = (float(uint32_t(word >> (i * bits)) & mask) - ZeroAt(w, bits, row, group, groups)) *
               PlainAt(w.scales, w.scaleType, row * groups + group);
      }
    }
  }
};

template <DType dtype> __device__ __forceinline__ void LoadPlain(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
  const uint8_t *data = w.data + row * w.rowBytes;
#pragma unroll
  for (int i = 0; i < 8; ++i)
    v[i] = column + i < w.columns ? PlainAt(data, dtype, column + i) : 0.0f;
}
template <> struct Loader<DType::F32, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    LoadPlain<DType::F32>(w, row, column, v);
  }
};
template <DType dtype> __device__ __forceinline__ void LoadPairs(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
  if (w.columns % 8)
    return LoadPlain<dtype>(w, row, column, v);
  uint4 raw = *reinterpret_cast<const uint4 *>(w.data + row * w.rowBytes + column * 2);
  uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (dtype == DType::F16) {
      v[2 * i] = HalfBits(uint16_t(words[i]));
      v[2 * i + 1] = HalfBits(uint16_t(words[i] >> 16));
    } else {
      v[2 * i] = __uint_as_float(words[i] << 16);
      v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
}
template <> struct Loader<DType::F16, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    LoadPairs<DType::F16>(w, row, column, v);
  }
};
template <> struct Loader<DType::BF16, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    LoadPairs<DType::BF16>(w, row, column, v);
  }
};

// GGUF's blocks of 32: the first half of the codes in the low nibbles.
template <int header, int blockBytes, bool five>
__device__ __forceinline__ void LoadNibbles(const uint8_t *block, int at, float (&v)[8]) {
  uint32_t high = five ? LoadUnaligned<uint32_t>(block + header) : 0;
  const uint8_t *codes = block + header + (five ? 4 : 0);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    int j = at + i;
    uint32_t code = j < 16 ? codes[j] & 15 : codes[j - 16] >> 4;
    if (five)
      code |= (high >> j & 1) << 4;
    v[i] = float(code);
  }
}
#define COMPRESSC_NIBBLE_LOADER(TYPE, HEADER, BYTES, FIVE, VALUE)                                                     \
  template <> struct Loader<DType::TYPE, 0> {                                                                          \
    static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {         \
      const uint8_t *block = w.data + row * w.rowBytes + column / 32 * BYTES;                                          \
      float d = HalfBits(LoadUnaligned<uint16_t>(block));                                                              \
      [[maybe_unused]] float m = HEADER == 4 ? HalfBits(LoadUnaligned<uint16_t>(block + 2)) : 0.0f;                    \
      LoadNibbles<HEADER, BYTES, FIVE>(block, int(column % 32), v);                                                    \
      for (float &c : v)                                                                                               \
        c = VALUE;                                                                                                     \
    }                                                                                                                  \
  };
COMPRESSC_NIBBLE_LOADER(Q4_0, 2, 18, false, d *(c - 8.0f))
COMPRESSC_NIBBLE_LOADER(Q4_1, 4, 20, false, __fadd_rn(__fmul_rn(d, c), m))
COMPRESSC_NIBBLE_LOADER(Q5_0, 2, 22, true, d *(c - 16.0f))
COMPRESSC_NIBBLE_LOADER(Q5_1, 4, 24, true, __fadd_rn(__fmul_rn(d, c), m))
#undef COMPRESSC_NIBBLE_LOADER

template <> struct Loader<DType::Q8_0, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    const uint8_t *block = w.data + row * w.rowBytes + column / 32 * 34;
    float d = HalfBits(LoadUnaligned<uint16_t>(block));
#pragma unroll
    for (int i = 0; i < 8; ++i)
      v[i] = d * float(int8_t(block[2 + column % 32 + i]));
  }
};

// GGUF's blocks of 256 in eight parts of 32; the layouts are told in the CPU's expand.cpp.
template <bool five> __device__ __forceinline__ void LoadQ45K(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
  const uint8_t *block = w.data + row * w.rowBytes + column / 256 * (five ? 176 : 144);
  int part = int(column / 32 % 8), first = int(column % 32);
  const uint8_t *factors = block + 4, *low = block + (five ? 48 : 16) + part / 2 * 32;
  int scale, offset;
  if (part < 4) {
    scale = factors[part] & 63;
    offset = factors[part + 4] & 63;
  } else {
    scale = (factors[part + 4] & 15) | factors[part - 4] >> 6 << 4;
    offset = factors[part + 4] >> 4 | factors[part] >> 6 << 4;
  }
  float d = HalfBits(LoadUnaligned<uint16_t>(block)) * float(scale);
  float m = HalfBits(LoadUnaligned<uint16_t>(block + 2)) * float(offset);
  int shift = part % 2 * 4;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    int j = first + i;
    int code = (low[j] >> shift & 15) | (five ? (block[16 + j] >> part & 1) << 4 : 0);
    v[i] = __fsub_rn(__fmul_rn(d, float(code)), m);
  }
}
template <> struct Loader<DType::Q4_K, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    LoadQ45K<false>(w, row, column, v);
  }
};
template <> struct Loader<DType::Q5_K, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    LoadQ45K<true>(w, row, column, v);
  }
};
template <> struct Loader<DType::Q6_K, 0> {
  static __device__ __forceinline__ void load(const Matrix &w, int64_t row, int64_t column, float (&v)[8]) {
    const uint8_t *block = w.data + row * w.rowBytes + column / 256 * 210;
    int part = int(column / 32 % 8), half = part / 4, quarter = part % 4, first = int(column % 32);
    const uint8_t *low = block + 64 * half + quarter % 2 * 32, *high = block + 128 + 32 * half;
    float d = HalfBits(LoadUnaligned<uint16_t>(block + 208));
    int shift = quarter / 2 * 4;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      int j = first + i;
      int code = ((low[j] >> shift & 15) | (high[j] >> (2 * quarter) & 3) << 4) - 32;
      v[i] = d * float(int8_t(block[192 + 2 * part + j / 16])) * float(code);
    }
  }
};

/// Calls f(Loader) with the loader of this weight.
template <typename F> void WithLoader(const Matrix &w, F f) {
  switch (w.dtype) {
  case DType::Packed:
    switch (w.bits) {
    case 2: return f(Loader<DType::Packed, 2>{});
    case 3: return f(Loader<DType::Packed, 3>{});
    case 4: return f(Loader<DType::Packed, 4>{});
    default: return f(Loader<DType::Packed, 8>{});
    }
  case DType::F16: return f(Loader<DType::F16, 0>{});
  case DType::BF16: return f(Loader<DType::BF16, 0>{});
  case DType::Q4_0: return f(Loader<DType::Q4_0, 0>{});
  case DType::Q4_1: return f(Loader<DType::Q4_1, 0>{});
  case DType::Q5_0: return f(Loader<DType::Q5_0, 0>{});
  case DType::Q5_1: return f(Loader<DType::Q5_1, 0>{});
  case DType::Q8_0: return f(Loader<DType::Q8_0, 0>{});
  case DType::Q4_K: return f(Loader<DType::Q4_K, 0>{});
  case DType::Q5_K: return f(Loader<DType::Q5_K, 0>{});
  case DType::Q6_K: return f(Loader<DType::Q6_K, 0>{});
  default: return f(Loader<DType::F32, 0>{});
  }
}

} // namespace compressc::cuda
