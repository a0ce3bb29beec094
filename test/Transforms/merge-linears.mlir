// RUN: compressc-opt %s --split-input-file --merge-linears | FileCheck %s

// Weights that are made after the first linear move before it.
// CHECK-LABEL: func.func @merged
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>
lm.param @q : tensor<8x8xf32>
lm.param @k : !compress.packed<4x8, bits = 4, group = 8, symmetric, f16>
lm.param @b : tensor<4xf32>
func.func @merged(%x: tensor<?x8xf32>, %batch: !lm.batch) -> (tensor<?x8xf32>, tensor<?x4xf32>) {
  // CHECK-DAG: %[[WQ:.*]] = lm.load_param @q
  // CHECK-DAG: %[[WK:.*]] = compress.dequantize
  // CHECK-DAG: %[[B:.*]] = lm.load_param @b
  // CHECK: %[[R:.*]]:2 = lm.fused_linear %[[X]] weights(%[[WQ]], %[[WK]]) biases(%[[B]]) {biased = 2 : i64}
  %wq = lm.load_param @q : tensor<8x8xf32>
  %q = lm.linear %x, %wq : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  // CHECK-NEXT: %[[Q:.*]] = lm.rotary_embedding %[[R]]#0
  %r = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
  %p = lm.load_param @k : !compress.packed<4x8, bits = 4, group = 8, symmetric, f16>
  %wk = compress.dequantize %p : !compress.packed<4x8, bits = 4, group = 8, symmetric, f16> -> tensor<4x8xf32>
  %b = lm.load_param @b : tensor<4xf32>
  %k = lm.linear %x, %wk bias %b : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK-NEXT: return %[[Q]], %[[R]]#1
  return %r, %k : tensor<?x8xf32>, tensor<?x4xf32>
}

// -----
// Another input, another layer: nothing to merge.
// CHECK-LABEL: func.func @apart
// CHECK-NOT: fused_linear
lm.param @w : tensor<8x8xf32>
func.func @apart(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lm.load_param @w : tensor<8x8xf32>
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %1 = lm.block 0 (%y = %0) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %v = lm.load_param @w : tensor<8x8xf32>
    %2 = lm.linear %x, %v : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %3 = lm.linear %y, %v : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    %4 = arith.addf %2, %3 : tensor<?x8xf32>
    lm.yield %4 : tensor<?x8xf32>
  }
  return %1 : tensor<?x8xf32>
}
