// RUN: compressc-opt --verify-diagnostics --split-input-file %s

func.func @observe(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{makes statistics of 64 elements, not 32}}
  %0 = compress.observe %x : tensor<?x64xf32> -> !compress.statistics<32>
  return
}

// -----
func.func @observe_cosine(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{makes 2 elements, not 1}}
  %0 = compress.observe_cosine %x, %x : tensor<?x64xf32> -> tensor<1xf32>
  return
}

// -----
func.func @choose_flags(%s: tensor<1xf32>) {
  // expected-error@+1 {{has 2 candidates, but 1 scores and 2 flags}}
  %0:2 = compress.choose "p" 1 of ["a", "b"] by "error" %s : (tensor<1xf32>) -> (i1, i1)
  return
}

// -----
func.func @choose_none(%s: tensor<1xf32>) {
  // expected-error@+1 {{can't pick 0 of 1 candidates}}
  %0 = compress.choose "p" 0 of ["a"] by "error" %s : (tensor<1xf32>) -> (i1)
  return
}

// -----
func.func @choose_many(%s: tensor<1xf32>) {
  // expected-error@+1 {{can't pick 2 of 1 candidates}}
  %0 = compress.choose "p" 2 of ["a"] by "error" %s : (tensor<1xf32>) -> (i1)
  return
}

// -----
func.func @choose_empty(%s: tensor<0xf32>) {
  // expected-error@+1 {{needs scores of one element or more}}
  %0 = compress.choose "p" 1 of ["a"] by "error" %s : (tensor<0xf32>) -> (i1)
  return
}

// -----
func.func @calibrated(%x: tensor<?x64xf32>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs statistics of 64 elements, not 32}}
  %0 = compress.calibrated %x with %s : tensor<?x64xf32>, !compress.statistics<32>
  return
}

// -----
func.func @scale_statistics(%s: !compress.statistics<64>, %by: tensor<32xf32>) {
  // expected-error@+1 {{needs a scale of 64 elements, not 32}}
  %0 = compress.scale_statistics %s by %by : !compress.statistics<64>, tensor<32xf32>
  return
}

// -----
func.func @dequantize(%b: !compress.blocks<8x64, q4_0>) {
  // expected-error@+1 {{changes the shape from '!compress.blocks<8x64, q4_0>' to 'tensor<64x8xf16>'}}
  %0 = compress.dequantize %b : !compress.blocks<8x64, q4_0> -> tensor<64x8xf16>
  return
}

// -----
func.func @convert(%w: tensor<8xf32>) {
  // expected-error@+1 {{changes the shape from 'tensor<8xf32>' to 'tensor<4xf16>'}}
  %0 = compress.convert %w : tensor<8xf32> -> tensor<4xf16>
  return
}

// -----
func.func @transpose_vector(%w: tensor<64xf16>) {
  // expected-error @+1 {{needs matrices, not 'tensor<64xf16>' and 'tensor<64xf16>'}}
  %0 = compress.transpose %w : tensor<64xf16> -> tensor<64xf16>
  return
}

// -----

func.func @transpose_shape(%w: tensor<6x64xf16>) {
  // expected-error @+1 {{turns 'tensor<6x64xf16>' into 'tensor<6x64xf16>'}}
  %0 = compress.transpose %w : tensor<6x64xf16> -> tensor<6x64xf16>
  return
}

// -----

func.func @unpermute_odd(%w: tensor<6x64xf16>) {
  // expected-error@+1 {{can't split 6 rows in 2 heads of even size}}
  %0 = compress.unpermute_rows %w heads 2 : tensor<6x64xf16>
  return
}

// -----
func.func @unpermute_no_heads(%w: tensor<6x64xf16>) {
  // expected-error@+1 {{can't split 6 rows in 0 heads of even size}}
  %0 = compress.unpermute_rows %w heads 0 : tensor<6x64xf16>
  return
}

// -----
func.func @unpermute_scalar(%w: tensor<f16>) {
  // expected-error@+1 {{needs a vector or a matrix, not 'tensor<f16>'}}
  %0 = compress.unpermute_rows %w heads 1 : tensor<f16>
  return
}

// -----
func.func @scale_columns_rank(%w: tensor<64xf16>, %s: tensor<64xf32>) {
  // expected-error@+1 {{needs a weight of rank 2}}
  %0 = compress.scale_columns %w by %s : tensor<64xf16>, tensor<64xf32> -> tensor<64xf32>
  return
}

// -----
func.func @scale_columns_shape(%w: tensor<8x64xf16>, %s: tensor<64xf32>) {
  // expected-error@+1 {{changes the shape from 'tensor<8x64xf16>' to 'tensor<8x32xf32>'}}
  %0 = compress.scale_columns %w by %s : tensor<8x64xf16>, tensor<64xf32> -> tensor<8x32xf32>
  return
}

// -----
func.func @scale_columns_scale(%w: tensor<8x64xf16>, %s: tensor<8xf32>) {
  // expected-error@+1 {{needs a scale of 64 elements, not 8}}
  %0 = compress.scale_columns %w by %s : tensor<8x64xf16>, tensor<8xf32> -> tensor<8x64xf32>
  return
}

// -----
func.func @scale_rows_shape(%w: tensor<8xf16>, %s: tensor<8xf32>) {
  // expected-error@+1 {{changes the shape from 'tensor<8xf16>' to 'tensor<8x1xf32>'}}
  %0 = compress.scale_rows %w by %s : tensor<8xf16>, tensor<8xf32> -> tensor<8x1xf32>
  return
}

// -----
func.func @scale_rows_scale(%w: tensor<8x64xf16>, %s: tensor<64xf32>) {
  // expected-error@+1 {{needs a scale of 8 elements, not 64}}
  %0 = compress.scale_rows %w by %s : tensor<8x64xf16>, tensor<64xf32> -> tensor<8x64xf32>
  return
}

// -----
func.func @scale_rows_scalar(%w: tensor<f16>, %s: tensor<1xf32>) {
  // expected-error@+1 {{needs a vector or a matrix, not 'tensor<f16>'}}
  %0 = compress.scale_rows %w by %s : tensor<f16>, tensor<1xf32> -> tensor<f32>
  return
}

// -----
func.func @lora_merge_rank(%w: tensor<8x64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x3xf32>) {
  // expected-error@+1 {{can't add the product of 'tensor<8x3xf32>' and 'tensor<4x64xf32>' to 'tensor<8x64xf16>'}}
  %0:2 = compress.lora_merge %w, %a, %b scale 2.0
    : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x3xf32>) -> (tensor<8x64xf32>, tensor<1xf32>)
  return
}

// -----
func.func @lora_merge_vector(%w: tensor<64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x4xf32>) {
  // expected-error@+1 {{can't add the product of 'tensor<8x4xf32>' and 'tensor<4x64xf32>' to 'tensor<64xf16>'}}
  %0:2 = compress.lora_merge %w, %a, %b scale 2.0
    : (tensor<64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<64xf32>, tensor<1xf32>)
  return
}

// -----
func.func @lora_merge_scale(%w: tensor<8x64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x4xf32>) {
  // expected-error@+1 {{needs a finite scale}}
  %0:2 = compress.lora_merge %w, %a, %b scale 0x7FF0000000000000
    : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<8x64xf32>, tensor<1xf32>)
  return
}

// -----
func.func @lora_merge_result(%w: tensor<8x64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x4xf32>) {
  // expected-error@+1 {{changes the shape from 'tensor<8x64xf16>' to 'tensor<8x32xf32>'}}
  %0:2 = compress.lora_merge %w, %a, %b scale 2.0
    : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<8x32xf32>, tensor<1xf32>)
  return
}

// -----
func.func @lora_merge_change(%w: tensor<8x64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x4xf32>) {
  // expected-error@+1 {{makes a change of 1 elements, not 2}}
  %0:2 = compress.lora_merge %w, %a, %b scale 2.0
    : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<8x64xf32>, tensor<2xf32>)
  return
}

// -----
func.func @expand_heads_dim(%s: tensor<8xf32>) {
  // expected-error@+1 {{heads of 3 columns don't divide 8}}
  %0 = compress.expand_heads %s repeat 2 head_dim 3 : tensor<8xf32> -> tensor<16xf32>
  return
}

// -----
func.func @expand_heads_repeat(%s: tensor<8xf32>) {
  // expected-error@+1 {{can't repeat a head -1 times}}
  %0 = compress.expand_heads %s repeat -1 head_dim 4 : tensor<8xf32> -> tensor<8xf32>
  return
}

// -----
func.func @expand_heads_result(%s: tensor<8xf32>) {
  // expected-error@+1 {{makes 16 elements, not 24}}
  %0 = compress.expand_heads %s repeat 2 head_dim 4 : tensor<8xf32> -> tensor<24xf32>
  return
}

// -----
func.func @quantize(%w: tensor<8x64xf16>) {
  // expected-error@+1 {{changes the shape from 'tensor<8x64xf16>' to '!compress.packed<8x32, bits = 4, group = 32, symmetric, f16>'}}
  %0 = compress.quantize %w : tensor<8x64xf16> -> !compress.packed<8x32, bits = 4, group = 32, symmetric, f16>
  return
}

// -----
func.func @output_error_width(%w: tensor<8x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs statistics of 64 elements, not 32}}
  %0 = compress.output_error %w, %w, %s : (tensor<8x64xf16>, tensor<8x64xf16>, !compress.statistics<32>) -> tensor<1xf32>
  return
}

// -----
func.func @output_error_shape(%w: tensor<8x64xf16>, %a: tensor<4x64xf16>, %s: !compress.statistics<64>) {
  // expected-error@+1 {{changes the shape from 'tensor<8x64xf16>' to 'tensor<4x64xf16>'}}
  %0 = compress.output_error %w, %a, %s : (tensor<8x64xf16>, tensor<4x64xf16>, !compress.statistics<64>) -> tensor<1xf32>
  return
}

// -----
func.func @output_error_result(%w: tensor<8x64xf16>, %s: !compress.statistics<64>) {
  // expected-error@+1 {{makes 1 elements, not 2}}
  %0 = compress.output_error %w, %w, %s : (tensor<8x64xf16>, tensor<8x64xf16>, !compress.statistics<64>) -> tensor<2xf32>
  return
}

// -----
func.func @remark(%c: tensor<4xf32>) {
  // expected-error@+1 {{names 2 elements, not 4}}
  compress.remark "awq-scale" ["w"] ["kind", "ratio"] %c : tensor<4xf32>
  return
}

// -----
func.func @svd_vector(%w: tensor<64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs weights of rank 2, not 'tensor<64xf16>'}}
  %0:3 = compress.svd %w damping 0.0 : (tensor<64xf16>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @svd_statistics(%w: tensor<96x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs statistics of 64 elements, not 32}}
  %0:3 = compress.svd %w, %s damping 0.0 : (tensor<96x64xf16>, !compress.statistics<32>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @svd_shape(%w: tensor<96x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{can't write 'tensor<96x64xf16>' as 'tensor<96x8xf32>' times 'tensor<9x64xf32>'}}
  %0:3 = compress.svd %w damping 0.0 : (tensor<96x64xf16>) -> (tensor<96x8xf32>, tensor<9x64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @svd_rank(%w: tensor<96x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{has rank 65; a weight of 96x64 has 1 to 64}}
  %0:3 = compress.svd %w damping 0.0 : (tensor<96x64xf16>) -> (tensor<96x65xf32>, tensor<65x64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @svd_damping(%w: tensor<96x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{needs a damping from 0 to 1, not 2.000000e+00}}
  %0:3 = compress.svd %w damping 2.0 : (tensor<96x64xf16>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
  return
}

// -----
func.func @svd_choice(%w: tensor<96x64xf16>, %s: !compress.statistics<32>) {
  // expected-error@+1 {{makes a choice of 4 elements, not 3}}
  %0:3 = compress.svd %w damping 0.0 : (tensor<96x64xf16>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<3xf32>)
  return
}
