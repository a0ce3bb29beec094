// A schedule prints as the table that it is.
// RUN: compressc-opt --verify-roundtrip %s | FileCheck %s

// CHECK: exec.program @forward max_tokens 512 max_selected 16 arena 8192 {
exec.program @forward max_tokens 512 max_selected 16 arena 8192 {
  // CHECK-NEXT: exec.weight @w0 "model.norm.weight" : tensor<64xf16>
  exec.weight @w0 "model.norm.weight" : tensor<64xf16>
  // CHECK-NEXT: exec.weight @w1 "model.layers.0.up" : !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>
  exec.weight @w1 "model.layers.0.up" : !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>
  // CHECK-NEXT: exec.weight @w2 "model.norm.weight" plus 1.000000e+00 stored tensor<64xbf16> : tensor<64xf32>
  exec.weight @w2 "model.norm.weight" plus 1.0 stored tensor<64xbf16> : tensor<64xf32>
  // CHECK-NEXT: exec.tokens @tokens
  exec.tokens @tokens
  // CHECK-NEXT: exec.cache @c0 heads 3 dim 64
  exec.cache @c0 heads 3 dim 64
  // CHECK-NEXT: exec.buffer @in0 input tokens : tensor<?x64xf32>
  exec.buffer @in0 input tokens : tensor<?x64xf32>
  // CHECK-NEXT: exec.buffer @b0 temporary tokens offset 4096 : tensor<?x64xf32>
  exec.buffer @b0 temporary tokens offset 4096 : tensor<?x64xf32>
  // CHECK-NEXT: exec.buffer @b1 temporary selected offset 0 : tensor<?x64xf32>
  exec.buffer @b1 temporary selected offset 0 : tensor<?x64xf32>
  // CHECK-NEXT: exec.buffer @s0 state fixed offset 64 : !compress.statistics<64>
  exec.buffer @s0 state fixed offset 64 : !compress.statistics<64>
  // CHECK-NEXT: exec.function @layer {
  exec.function @layer {
    // CHECK-NEXT: exec.parameter @norm.weight : tensor<64xf16>
    exec.parameter @norm.weight : tensor<64xf16>
    // CHECK-NEXT: exec.parameter @cache heads 3 dim 64
    exec.parameter @cache heads 3 dim 64
    // CHECK-NEXT: exec.call "rms_norm" [@b0, @norm.weight] -> [@b0] {epsilon = 1.000000e-05 : f64}
    exec.call "rms_norm" [@b0, @norm.weight] -> [@b0] {epsilon = 1.0e-05 : f64}
  }
  // CHECK: exec.entry @score inputs [@in0] outputs [@b1, @w0] {
  exec.entry @score inputs [@in0] outputs [@b1, @w0] {
    // CHECK-NEXT: exec.call "embedding" [@tokens, @w1] -> [@b0] {}
    exec.call "embedding" [@tokens, @w1] -> [@b0] {}
    // CHECK-NEXT: exec.invoke @layer [@w0, @c0] layer 3
    exec.invoke @layer [@w0, @c0] layer 3
    // CHECK-NEXT: exec.call "rms_norm" [@b0, @w0] -> [@b1] {epsilon = 1.000000e-05 : f64} layer 4
    exec.call "rms_norm" [@b0, @w0] -> [@b1] {epsilon = 1.0e-05 : f64} layer 4
    // CHECK-NEXT: exec.call "observe" [@b0] -> [@s0] {}
    exec.call "observe" [@b0] -> [@s0] {}
  }
}

// CHECK: exec.program @empty max_tokens 0 max_selected 0 arena 0 {
exec.program @empty max_tokens 0 max_selected 0 arena 0 {
}
