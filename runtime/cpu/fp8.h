// Activations in e4m3: 8-bit floats with four bits of exponent and three of mantissa.
#pragma once

#include <cstdint>

namespace compressc {

/// To the nearest, ties to even. The greatest is 448, and what is beyond becomes that; there is no infinity.
uint8_t FloatToE4M3(float value);
float E4M3ToFloat(uint8_t code);

/// Rounds a row, in place: its greatest |x| becomes 448 times its scale, fp32. A row of (almost) nothing becomes 0, what is
/// not finite makes it NaN.
void RoundRowToFp8(float *x, int64_t width);

} // namespace compressc
