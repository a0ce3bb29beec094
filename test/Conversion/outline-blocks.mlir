// RUN: compressc-opt %s --outline-blocks | FileCheck %s

// Layers 0 and 1 differ in weights and caches only; layer 2 has another constant, layer 3 a weight of another type.
// CHECK: exec.function @layer {
// CHECK-NEXT: exec.parameter @norm.weight : tensor<8xf16>
// CHECK-NEXT: exec.parameter @cache heads 1 dim 8
// CHECK-NEXT: exec.call "rms_norm" [@b0, @norm.weight] -> [@b1] {epsilon = 1.000000e-05 : f64}
// CHECK-NEXT: exec.call "attention" [@b1, @b1, @b1, @cache] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.000000e+00 : f64}
// CHECK-NEXT: }
// CHECK-NEXT: exec.entry @p inputs [] outputs [@b0] {
// CHECK-NEXT: exec.call "embedding" [@tokens, @table] -> [@b0] {}
// CHECK-NEXT: exec.invoke @layer [@layers.0.norm.weight, @c0] layer 0
// CHECK-NEXT: exec.invoke @layer [@layers.1.norm.weight, @c1] layer 1
// CHECK-NEXT: exec.call "rms_norm" [@b0, @layers.2.norm.weight] -> [@b1] {epsilon = 2.000000e-05 : f64} layer 2
// CHECK-NEXT: exec.call "attention" [@b1, @b1, @b1, @c2] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.000000e+00 : f64} layer 2
// CHECK-NEXT: exec.call "rms_norm" [@b0, @layers.3.norm.weight] -> [@b1] {epsilon = 1.000000e-05 : f64} layer 3
// CHECK-NEXT: exec.call "attention" [@b1, @b1, @b1, @c3] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.000000e+00 : f64} layer 3
// CHECK-NEXT: }
exec.program @forward max_tokens 8 max_selected 8 arena 512 {
  exec.tokens @tokens
  exec.weight @table "table" : tensor<16x8xf16>
  exec.weight @layers.0.norm.weight "layers.0.norm.weight" : tensor<8xf16>
  exec.weight @layers.1.norm.weight "layers.1.norm.weight" : tensor<8xf16>
  exec.weight @layers.2.norm.weight "layers.2.norm.weight" : tensor<8xf16>
  exec.weight @layers.3.norm.weight "layers.3.norm.weight" : tensor<8xf32>
  exec.cache @c0 heads 1 dim 8
  exec.cache @c1 heads 1 dim 8
  exec.cache @c2 heads 1 dim 8
  exec.cache @c3 heads 1 dim 8
  exec.buffer @b0 temporary tokens offset 0 : tensor<?x8xf32>
  exec.buffer @b1 temporary tokens offset 256 : tensor<?x8xf32>
  exec.entry @p inputs [] outputs [@b0] {
    exec.call "embedding" [@tokens, @table] -> [@b0] {}
    exec.call "rms_norm" [@b0, @layers.0.norm.weight] -> [@b1] {epsilon = 1.0e-05 : f64} layer 0
    exec.call "attention" [@b1, @b1, @b1, @c0] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.0 : f64} layer 0
    exec.call "rms_norm" [@b0, @layers.1.norm.weight] -> [@b1] {epsilon = 1.0e-05 : f64} layer 1
    exec.call "attention" [@b1, @b1, @b1, @c1] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.0 : f64} layer 1
    exec.call "rms_norm" [@b0, @layers.2.norm.weight] -> [@b1] {epsilon = 2.0e-05 : f64} layer 2
    exec.call "attention" [@b1, @b1, @b1, @c2] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.0 : f64} layer 2
    exec.call "rms_norm" [@b0, @layers.3.norm.weight] -> [@b1] {epsilon = 1.0e-05 : f64} layer 3
    exec.call "attention" [@b1, @b1, @b1, @c3] -> [@b0] {num_heads = 1 : i64, num_kv_heads = 1 : i64, scale = 1.0 : f64} layer 3
  }
}
