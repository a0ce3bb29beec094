// RUN: compressc-opt %s --split-input-file --fuse-epilogues | FileCheck %s

// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>, %[[WG:.*]]: tensor<16x8xf32>, %[[WU:.*]]: tensor<16x8xf32>, %[[WD:.*]]: tensor<8x16xf32>, %[[N:.*]]: tensor<8xf32>
func.func @layer(%x: tensor<?x8xf32>, %wg: tensor<16x8xf32>, %wu: tensor<16x8xf32>, %wd: tensor<8x16xf32>, %n: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[A:.*]] = lm.fused_linear gate silu %[[X]] norm %[[N]] epsilon 1.000000e-05 weights(%[[WG]], %[[WU]])
  // CHECK-NEXT: %[[R:.*]] = lm.fused_linear %[[A]] weights(%[[WD]]) add %[[X]]
  // CHECK-NEXT: return %[[R]]
  %norm = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %0:2 = lm.fused_linear %norm weights(%wg, %wu) : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  %1 = lm.gated_activation silu %0#0, %0#1 : tensor<?x16xf32>
  %2 = lm.linear %1, %wd : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  %3 = arith.addf %x, %2 : tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}

// -----
// Gate and up are told apart by who reads them how; a bias goes with its weight.
// CHECK-LABEL: func.func @swapped
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>, %[[WU:.*]]: tensor<16x8xf32>, %[[WG:.*]]: tensor<16x8xf32>, %[[B:.*]]: tensor<16xf32>
func.func @swapped(%x: tensor<?x8xf32>, %wu: tensor<16x8xf32>, %wg: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<?x16xf32> {
  // CHECK-NEXT: lm.fused_linear gate gelu_tanh %[[X]] weights(%[[WG]], %[[WU]]) biases(%[[B]]) {biased = 2 : i64}
  %0:2 = lm.fused_linear %x weights(%wu, %wg) biases(%b) {biased = 1 : i64} : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  %1 = lm.gated_activation gelu_tanh %0#1, %0#0 : tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}

// -----
// The bias is added before the residual, as it was.
// CHECK-LABEL: func.func @bias
func.func @bias(%x: tensor<?x8xf32>, %h: tensor<?x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: lm.fused_linear %{{.*}} weights(%{{.*}}) biases(%{{.*}}) add %{{.*}} {biased = 1 : i64}
  %0 = lm.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %1 = arith.addf %0, %h : tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----
// A norm of each head goes into the rotation; a norm of something else, or one that others read, does not.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>, %[[B:.*]]: !lm.batch, %[[N:.*]]: tensor<4xf32>
func.func @heads(%x: tensor<?x8xf32>, %batch: !lm.batch, %n: tensor<4xf32>, %w: tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK-NEXT: %[[A:.*]] = lm.rotary_embedding %[[X]], %[[B]] norm %[[N]] epsilon {{.*}} head_dim 4 <theta = 1.000000e+04>
  // CHECK-NEXT: %[[ROW:.*]] = lm.rms_norm
  // CHECK-NEXT: %[[C:.*]] = lm.rotary_embedding %[[ROW]], %[[B]] head_dim 4
  // CHECK-NEXT: return %[[A]], %[[ROW]], %[[C]]
  %heads = lm.rms_norm %x, %n epsilon 1.0e-6 : tensor<?x8xf32>, tensor<4xf32>
  %0 = lm.rotary_embedding %heads, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
  %row = lm.rms_norm %x, %w epsilon 1.0e-6 : tensor<?x8xf32>, tensor<8xf32>
  %1 = lm.rotary_embedding %row, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
  return %0, %row, %1 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// -----
// Values that others read too, and norms of each head, are left.
// CHECK-LABEL: func.func @left
// CHECK-NOT: fused_linear
func.func @left(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %n: tensor<8xf32>, %m: tensor<4xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %norm = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %0 = lm.linear %norm, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %1 = arith.addf %0, %norm : tensor<?x8xf32>
  %heads = lm.rms_norm %x, %m epsilon 1.0e-5 : tensor<?x8xf32>, tensor<4xf32>
  %2 = lm.linear %heads, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %0, %1, %2 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
