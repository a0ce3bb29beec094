// The CPU's eight tile registers: 16 rows of 64 bytes each.
#pragma once

#include "../simd.h"

namespace compressc::COMPRESSC_ISA {

constexpr int64_t tileSide = 16;
constexpr int64_t tileFloats = tileSide * tileSide;

/// Gives this thread its tile registers, all of one shape: the last dimension of A, the first of B, is `depthBytes`.
/// A is tiles 4 and 5, B 6 and 7, and sums are 0 to 3.
class Tiles {
public:
  explicit Tiles(int depthBytes = 64) {
    struct {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t rowBytes[16] = {};
      uint8_t rows[16] = {};
    } shape;
    static_assert(sizeof shape == 64);
    for (int i = 0; i < 8; ++i) {
      shape.rowBytes[i] = uint16_t(i == 4 || i == 5 ? depthBytes : 64);
      shape.rows[i] = uint8_t(i >= 6 ? depthBytes / 4 : 16);
    }
    _tile_loadconfig(&shape);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles &) = delete;
  Tiles &operator=(const Tiles &) = delete;
};

/// What was stored before is there when tiles are loaded: GCC's intrinsics don't say that they read memory.
COMPRESSC_INLINE void finishStores() { __asm__ volatile("" ::: "memory"); }

} // namespace compressc::COMPRESSC_ISA
