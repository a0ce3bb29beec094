// RUN: compressc-opt --verify-diagnostics --split-input-file %s

func.func @no_weights(%s: !compress.statistics<64>) {
  // expected-error@+1 {{needs at least one weight}}
  %0:2 = compress.awq_scale %s, {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @weight_rank(%s: !compress.statistics<64>, %w: tensor<64xf16>) {
  // expected-error@+1 {{needs weights of rank 2, not 'tensor<64xf16>'}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @weight_columns(%s: !compress.statistics<64>, %w: tensor<8x32xf16>) {
  // expected-error@+1 {{needs statistics of 32 elements, not 64}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<8x32xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @bits(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{can't quantise to 16 bits: 2, 3, 4 or 8}}
  %0:2 = compress.awq_scale %s, %w {bits = 16 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @grid(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{unknown grid 'fine': all, duo or plain}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "fine", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @repeat(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{heads of 12 columns repeated 2 times don't divide 64}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 2 : i64, head_dim = 12 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<32xf32>, tensor<4xf32>)
  return
}

// -----
func.func @huge_repeat(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{heads of 4294967296 columns repeated 4294967296 times don't divide 64}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 4294967296 : i64, head_dim = 4294967296 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<32xf32>, tensor<4xf32>)
  return
}

// -----
func.func @scale(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{makes a scale of 32 elements, not 64}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 2 : i64, head_dim = 16 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @choice(%s: !compress.statistics<64>, %w: tensor<8x64xf16>) {
  // expected-error@+1 {{makes a choice of 4 elements, not 3}}
  %0:2 = compress.awq_scale %s, %w {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "all", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<64xf32>, tensor<3xf32>)
  return
}

// -----
func.func @clip_columns(%w: tensor<8x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs statistics of 64 elements, not 32}}
  %0:2 = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16}
      : (tensor<8x64xf16>, !compress.statistics<32>) -> (tensor<8x64xf32>, tensor<2xf32>)
  return
}

// -----
func.func @clip_shape(%w: tensor<8x64xf16>, %s: !compress.statistics<64>) {
  // expected-error@+1 {{changes the shape from 'tensor<8x64xf16>' to 'tensor<4x64xf32>'}}
  %0:2 = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16}
      : (tensor<8x64xf16>, !compress.statistics<64>) -> (tensor<4x64xf32>, tensor<2xf32>)
  return
}

// -----
func.func @clip_group(%w: tensor<8x64xf16>, %s: !compress.statistics<64>) {
  // expected-error@+1 {{group size 128 does not divide 64 columns; use a divisor such as 64}}
  %0:2 = compress.clip %w, %s {bits = 4 : i64, group = 128 : i64, symmetric = false, scale_type = f16}
      : (tensor<8x64xf16>, !compress.statistics<64>) -> (tensor<8x64xf32>, tensor<2xf32>)
  return
}

// -----
func.func @clip_choice(%w: tensor<8x64xf16>, %s: !compress.statistics<64>) {
  // expected-error@+1 {{makes a choice of 2 elements, not 4}}
  %0:2 = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16}
      : (tensor<8x64xf16>, !compress.statistics<64>) -> (tensor<8x64xf32>, tensor<4xf32>)
  return
}
