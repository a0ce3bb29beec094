// Every operation and type is printed as it is read.
// RUN: compressc-opt --verify-roundtrip %s | FileCheck %s

// CHECK: func.func private @types
// CHECK-SAME: !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>
// CHECK-SAME: !compress.packed<8x64, bits = 8, group = 64, symmetric, bf16>
// CHECK-SAME: !compress.packed<1x3, bits = 2, group = 1, asymmetric, f32>
// CHECK-SAME: !compress.packed<1x3, bits = 3, group = 3, symmetric, f32>
// CHECK-SAME: !compress.blocks<8x64, q4_0>, !compress.blocks<8x64, q4_1>, !compress.blocks<8x64, q8_0>
// CHECK-SAME: !compress.blocks<8x64, q5_0>, !compress.blocks<8x64, q5_1>
// CHECK-SAME: !compress.blocks<8x256, q4_k>, !compress.blocks<8x256, q5_k>, !compress.blocks<8x256, q6_k>
// CHECK-SAME: !compress.statistics<64>
func.func private @types(
    !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>,
    !compress.packed<8x64, bits = 8, group = 64, symmetric, bf16>,
    !compress.packed<1x3, bits = 2, group = 1, asymmetric, f32>,
    !compress.packed<1x3, bits = 3, group = 3, symmetric, f32>,
    !compress.blocks<8x64, q4_0>, !compress.blocks<8x64, q4_1>, !compress.blocks<8x64, q8_0>,
    !compress.blocks<8x64, q5_0>, !compress.blocks<8x64, q5_1>,
    !compress.blocks<8x256, q4_k>, !compress.blocks<8x256, q5_k>, !compress.blocks<8x256, q6_k>,
    !compress.statistics<64>)

// CHECK-LABEL: func.func @calibration
func.func @calibration(%x: tensor<?x64xf32>, %s: tensor<64xf32>) {
  // CHECK: %[[STATS:.*]] = compress.observe %[[X:.*]] : tensor<?x64xf32> -> !compress.statistics<64>
  %0 = compress.observe %x : tensor<?x64xf32> -> !compress.statistics<64>
  // CHECK: compress.calibrated %[[X]] with %[[STATS]] : tensor<?x64xf32>, !compress.statistics<64>
  %1 = compress.calibrated %x with %0 : tensor<?x64xf32>, !compress.statistics<64>
  // CHECK: %[[I:.*]] = compress.observe_cosine %[[X]], %[[X]] : tensor<?x64xf32> -> tensor<2xf32>
  %3 = compress.observe_cosine %x, %x : tensor<?x64xf32> -> tensor<2xf32>
  // CHECK: %{{.*}}:2 = compress.choose "prune-layers" 1 of ["layer 0", "layer 1"] by "influence" %[[I]], %[[I]] : (tensor<2xf32>, tensor<2xf32>) -> (i1, i1)
  %4:2 = compress.choose "prune-layers" 1 of ["layer 0", "layer 1"] by "influence" %3, %3 : (tensor<2xf32>, tensor<2xf32>) -> (i1, i1)
  // CHECK: compress.scale_statistics %[[STATS]] by %{{.*}} : !compress.statistics<64>, tensor<64xf32>
  %2 = compress.scale_statistics %0 by %s : !compress.statistics<64>, tensor<64xf32>
  return
}

// CHECK-LABEL: func.func @decoding
func.func @decoding(%p: !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>, %b: !compress.blocks<8x64, q8_0>) {
  // CHECK: compress.dequantize %{{.*}} : !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16> -> tensor<8x64xf32>
  %0 = compress.dequantize %p : !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16> -> tensor<8x64xf32>
  // CHECK: compress.dequantize %{{.*}} : !compress.blocks<8x64, q8_0> -> tensor<8x64xf16>
  %1 = compress.dequantize %b : !compress.blocks<8x64, q8_0> -> tensor<8x64xf16>
  // CHECK: compress.convert %{{.*}} : tensor<8x64xf16> -> tensor<8x64xbf16>
  %2 = compress.convert %1 : tensor<8x64xf16> -> tensor<8x64xbf16>
  // CHECK: compress.transpose %{{.*}} : tensor<8x64xf16> -> tensor<64x8xf16>
  %transposed = compress.transpose %1 : tensor<8x64xf16> -> tensor<64x8xf16>
  // CHECK: compress.unpermute_rows %{{.*}} heads 2 : tensor<8x64xf16>
  %3 = compress.unpermute_rows %1 heads 2 : tensor<8x64xf16>
  return
}

// CHECK-LABEL: func.func @lora_merge
func.func @lora_merge(%w: tensor<8x64xf16>, %a: tensor<4x64xf32>, %b: tensor<8x4xf32>) {
  // CHECK: compress.lora_merge %{{.*}}, %{{.*}}, %{{.*}} scale 2.000000e+00 : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<8x64xf32>, tensor<1xf32>)
  %0:2 = compress.lora_merge %w, %a, %b scale 2.0
    : (tensor<8x64xf16>, tensor<4x64xf32>, tensor<8x4xf32>) -> (tensor<8x64xf32>, tensor<1xf32>)
  return
}

// CHECK-LABEL: func.func @scaling
func.func @scaling(%w: tensor<8x64xf16>, %bias: tensor<8xf16>, %n: tensor<8xf32>, %k: tensor<64xf32>) {
  // CHECK: compress.scale_columns %{{.*}} by %{{.*}} : tensor<8x64xf16>, tensor<64xf32> -> tensor<8x64xf32>
  %0 = compress.scale_columns %w by %k : tensor<8x64xf16>, tensor<64xf32> -> tensor<8x64xf32>
  // CHECK: compress.scale_rows %{{.*}} by %{{.*}} : tensor<8x64xf16>, tensor<8xf32> -> tensor<8x64xf32>
  %1 = compress.scale_rows %w by %n : tensor<8x64xf16>, tensor<8xf32> -> tensor<8x64xf32>
  // CHECK: compress.scale_rows %{{.*}} by inverse %{{.*}} : tensor<8xf16>, tensor<8xf32> -> tensor<8xf32>
  %2 = compress.scale_rows %bias by inverse %n : tensor<8xf16>, tensor<8xf32> -> tensor<8xf32>
  // CHECK: compress.expand_heads %{{.*}} repeat 3 head_dim 4 : tensor<8xf32> -> tensor<24xf32>
  %3 = compress.expand_heads %n repeat 3 head_dim 4 : tensor<8xf32> -> tensor<24xf32>
  return
}

// CHECK-LABEL: func.func @searches
func.func @searches(%w: tensor<8x64xf16>, %v: tensor<4x64xf16>, %s: !compress.statistics<64>) {
  // CHECK: compress.awq_scale %{{.*}}, %{{.*}}, %{{.*}} {bits = 4 : i64, grid = "duo", group = 32 : i64, head_dim = 0 : i64, repeat = 1 : i64, scale_type = f16, symmetric = false} : (!compress.statistics<64>, tensor<8x64xf16>, tensor<4x64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  %0:2 = compress.awq_scale %s, %w, %v {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16, grid = "duo", repeat = 1 : i64, head_dim = 0 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>, tensor<4x64xf16>) -> (tensor<64xf32>, tensor<4xf32>)
  // CHECK: compress.awq_scale {{.*}} -> (tensor<32xf32>, tensor<4xf32>)
  %1:2 = compress.awq_scale %s, %w {bits = 3 : i64, group = 16 : i64, symmetric = true, scale_type = bf16, grid = "plain", repeat = 2 : i64, head_dim = 16 : i64}
      : (!compress.statistics<64>, tensor<8x64xf16>) -> (tensor<32xf32>, tensor<4xf32>)
  // CHECK: compress.clip %{{.*}}, %{{.*}} {bits = 4 : i64, group = 32 : i64, scale_type = f16, symmetric = false} : (tensor<8x64xf16>, !compress.statistics<64>) -> (tensor<8x64xf32>, tensor<2xf32>)
  %2:2 = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, symmetric = false, scale_type = f16}
      : (tensor<8x64xf16>, !compress.statistics<64>) -> (tensor<8x64xf32>, tensor<2xf32>)
  return
}

// CHECK-LABEL: func.func @factors
func.func @factors(%w: tensor<96x64xf16>, %s: !compress.statistics<64>) {
  // CHECK: compress.svd %{{.*}}, %{{.*}} damping 2.500000e-01 : (tensor<96x64xf16>, !compress.statistics<64>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
  %0:3 = compress.svd %w, %s damping 0.25 : (tensor<96x64xf16>, !compress.statistics<64>) -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
  // CHECK: compress.svd %{{.*}} damping 0.000000e+00 : (tensor<96x64xf16>) -> (tensor<96x64xf32>, tensor<64x64xf32>, tensor<4xf32>)
  %1:3 = compress.svd %w damping 0.0 : (tensor<96x64xf16>) -> (tensor<96x64xf32>, tensor<64x64xf32>, tensor<4xf32>)
  return
}

// CHECK-LABEL: func.func @rounding
func.func @rounding(%w: tensor<8x64xf16>, %s: !compress.statistics<64>) {
  // CHECK: %[[CODES:.*]] = compress.quantize %[[W:.*]] : tensor<8x64xf16> -> !compress.packed<8x64, bits = 4, group = 32, symmetric, f16>
  %0 = compress.quantize %w : tensor<8x64xf16> -> !compress.packed<8x64, bits = 4, group = 32, symmetric, f16>
  // CHECK: %[[ERROR:.*]] = compress.output_error %[[W]], %[[CODES]], %{{.*}} : (tensor<8x64xf16>, !compress.packed<8x64, bits = 4, group = 32, symmetric, f16>, !compress.statistics<64>) -> tensor<1xf32>
  %1 = compress.output_error %w, %0, %s : (tensor<8x64xf16>, !compress.packed<8x64, bits = 4, group = 32, symmetric, f16>, !compress.statistics<64>) -> tensor<1xf32>
  // CHECK: compress.remark "quantize" ["a", "b"] ["error"] %[[ERROR]] : tensor<1xf32>
  compress.remark "quantize" ["a", "b"] ["error"] %1 : tensor<1xf32>
  return
}
