// RUN: compressc-opt --verify-diagnostics --split-input-file %s

// expected-error@+1 {{can't quantise to 5 bits: 2, 3, 4 or 8}}
func.func private @bits(!compress.packed<8x64, bits = 5, group = 32, asymmetric, f16>)

// -----
// expected-error@+1 {{group size 48 does not divide 64 columns; use a divisor such as 64}}
func.func private @group(!compress.packed<8x64, bits = 4, group = 48, asymmetric, f16>)

// -----
// expected-error@+1 {{group size 0 does not divide 576 columns; use a divisor such as 64}}
func.func private @no_group(!compress.packed<8x576, bits = 4, group = 0, asymmetric, f16>)

// -----
// expected-error@+1 {{scales are f16, bf16 or f32, not 'f64'}}
func.func private @scale_type(!compress.packed<8x64, bits = 4, group = 32, asymmetric, f64>)

// -----
// expected-error@+1 {{a packed weight needs rows and columns}}
func.func private @empty(!compress.packed<0x64, bits = 4, group = 32, asymmetric, f16>)

// -----
// expected-error@+1 {{expected symmetric or asymmetric}}
func.func private @symmetry(!compress.packed<8x64, bits = 4, group = 32, affine, f16>)

// -----
// expected-error@+1 {{expected ROWSxCOLUMNS}}
func.func private @rank(!compress.packed<64, bits = 4, group = 32, asymmetric, f16>)

// -----
// expected-error@+1 {{expected ROWSxCOLUMNS}}
func.func private @blocks_rank(!compress.blocks<2x8x64, q4_0>)

// -----
// expected-error@+1 {{unknown block format 'q2_k': q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k or q6_k}}
func.func private @format(!compress.blocks<8x256, q2_k>)

// -----
// expected-error@+1 {{q4_0 blocks need rows, and columns in multiples of 32, not 8x48}}
func.func private @blocks_columns(!compress.blocks<8x48, q4_0>)

// -----
// expected-error@+1 {{q4_0 blocks need rows, and columns in multiples of 32, not 0x64}}
func.func private @blocks_rows(!compress.blocks<0x64, q4_0>)

// -----
// expected-error@+1 {{q6_k blocks need rows, and columns in multiples of 256, not 8x64}}
func.func private @blocks_of_256(!compress.blocks<8x64, q6_k>)

// -----
// expected-error@+1 {{statistics need at least one column}}
func.func private @statistics(!compress.statistics<0>)
