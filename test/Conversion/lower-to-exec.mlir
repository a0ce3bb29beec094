// RUN: compressc-opt %s --lower-to-exec="max-tokens=64 max-selected=8" | FileCheck %s

// CHECK-NOT: lm.param
lm.param @table key "token_embd.weight" : tensor<96x16xf16>
lm.param @norm.weight : tensor<16xf16>
lm.param @up.weight : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16>
lm.param @unread : tensor<16xf16>

// CHECK: exec.program @forward max_tokens 64 max_selected 8 arena 18432 {
func.func @forward(%tokens: tensor<?xi32>, %batch: !lm.batch) -> tensor<?x96xf32> {
  // CHECK-NEXT: exec.tokens @tokens
  // CHECK-DAG: exec.weight @table "token_embd.weight" : tensor<96x16xf16>
  // CHECK-DAG: exec.weight @norm.weight "norm.weight" : tensor<16xf16>
  // A packed weight is named by its module.
  // CHECK-DAG: exec.weight @up.weight "up" : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16>
  // CHECK-DAG: exec.cache @c0 heads 1 dim 8
  // CHECK-DAG: exec.buffer @b0 temporary tokens offset 0 : tensor<?x16xf32>
  // CHECK-NOT: @unread
  // CHECK: exec.entry @forward inputs [] outputs [@[[LOGITS:.*]]] {
  %t = lm.load_param @table : tensor<96x16xf16>
  // CHECK-NEXT: exec.call "embedding" [@tokens, @table] -> [@b0] {}
  %h0 = lm.embedding %tokens, %t : (tensor<?xi32>, tensor<96x16xf16>) -> tensor<?x16xf32>
  %h1 = lm.block 0 (%x = %h0) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
    %n = lm.load_param @norm.weight : tensor<16xf16>
    // CHECK-NEXT: exec.call "rms_norm" [@b0, @norm.weight] -> [@b1] {epsilon = 1.000000e-05 : f64} layer 0
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf16>
    %packed = lm.load_param @up.weight : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16>
    // The kernel reads the codes in place.
    %w = compress.dequantize %packed : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16> -> tensor<16x16xf32>
    // CHECK-NEXT: exec.call "linear" [@b1, @up.weight] -> [@b2] {} layer 0
    %q = lm.linear %m, %w : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
    // Kernels see the batch in their context.
    // CHECK-NEXT: exec.call "rotary_embedding" [@b2] -> [@b2] {frequencies = [1.000000e+00, {{.*}}], head_dim = 8 : i64} layer 0
    %r = lm.rotary_embedding %q, %batch head_dim 8 <theta = 1.0e4> : tensor<?x16xf32>
    %k = lm.load_param @key : tensor<8x16xf16>
    // CHECK-NEXT: exec.call "linear" [@b1, @key] -> [@b4] {} layer 0
    %kv = lm.linear %m, %k : (tensor<?x16xf32>, tensor<8x16xf16>) -> tensor<?x8xf32>
    %cache = lm.cache : !lm.cache<1 x 8>
    // CHECK-NEXT: exec.call "attention" [@b2, @b4, @b4, @c0] -> [@b5] {num_heads = 2 : i64, num_kv_heads = 1 : i64, scale = 2.500000e-01 : f64} layer 0
    %o, %next = lm.attention %r, %kv, %kv, %cache, %batch heads 2 kv_heads 1 scale 0.25
        : tensor<?x16xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !lm.cache<1 x 8> -> tensor<?x16xf32>
    // What nothing reads later is written over.
    // CHECK-NEXT: exec.call "gated_activation" [@b5, @b1] -> [@b5] {kind = "silu"} layer 0
    %g = lm.gated_activation silu %o, %m : tensor<?x16xf32>
    // CHECK-NEXT: exec.call "mul" [@b5, @b1] -> [@b5] {} layer 0
    %p = arith.mulf %g, %m : tensor<?x16xf32>
    // Layers are flattened.
    // CHECK-NEXT: exec.call "add" [@b0, @b5] -> [@b0] {} layer 0
    %sum = arith.addf %x, %p : tensor<?x16xf32>
    lm.yield %sum : tensor<?x16xf32>
  }
  // CHECK-NEXT: exec.call "select_rows" [@b0] -> [@b9] {}
  %s = lm.select_rows %h1, %batch : tensor<?x16xf32> -> tensor<?x16xf32>
  // CHECK-NEXT: exec.call "linear" [@b9, @table] -> [@[[LOGITS]]] {compute = "bf16"}
  %logits = lm.linear %s, %t compute bf16 : (tensor<?x16xf32>, tensor<96x16xf16>) -> tensor<?x96xf32>
  return %logits : tensor<?x96xf32>
}
lm.param @key : tensor<8x16xf16>

// What an attention rotates itself: one list of frequencies for query and key, norms behind the cache.
// CHECK: exec.program @rotating
// CHECK: exec.call "attention" [@in0, @in1, @in1, @c0, @in2, @in3] -> [@b0] {attention_factor = 1.140000e+00 : f64, epsilon = 9.99{{.*}}E-7 : f64,
// CHECK-SAME: frequencies = [1.000000e+00, {{.*}}], num_heads = 2 : i64, num_kv_heads = 1 : i64, scale = 2.500000e-01 : f64}
func.func @rotating(%q: tensor<?x16xf32>, %kv: tensor<?x8xf32>, %batch: !lm.batch, %qn: tensor<8xf32>, %kn: tensor<8xf32>) -> tensor<?x16xf32> {
  %cache = lm.cache : !lm.cache<1 x 8>
  %o, %next = lm.attention %q, %kv, %kv, %cache, %batch heads 2 kv_heads 1 scale 0.25
      rope <theta = 1.0e4, yarn, factor = 4.0, beta_fast = 32.0, beta_slow = 1.0, attention_factor = 1.14, original_context = 64>
      norms(%qn, %kn) epsilon 1.0e-6
      : tensor<?x16xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !lm.cache<1 x 8>, tensor<8xf32>, tensor<8xf32> -> tensor<?x16xf32>
  return %o : tensor<?x16xf32>
}
// CHECK-NOT: func.func
