// RUN: compressc-opt %s --split-input-file --answer-head --merge-linears --fuse-epilogues | FileCheck %s

// The head is marked, and stays so when its norm goes into it; the layers' linears are not.
// CHECK-LABEL: func.func @head
lm.param @w : tensor<16x8xf32>
lm.param @v : tensor<8x8xf32>
lm.param @n : tensor<8xf32>
func.func @head(%h: tensor<?x8xf32>) -> tensor<?x16xf32> {
  // CHECK: lm.linear %{{.*}}, %{{.*}} :
  %x = lm.block 0 (%y = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %v = lm.load_param @v : tensor<8x8xf32>
    %r = lm.linear %y, %v : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  %n = lm.load_param @n : tensor<8xf32>
  %w = lm.load_param @w : tensor<16x8xf32>
  // CHECK: lm.fused_linear %{{.*}} norm %{{.*}} epsilon 1.000000e-05 weights(%{{.*}}) answers :
  %normed = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %logits = lm.linear %normed, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  return %logits : tensor<?x16xf32>
}

// -----
// Logits that the program reads itself are needed whole, and so is what is no linear.
// CHECK-LABEL: func.func @capped
// CHECK-NOT: answers
lm.param @w : tensor<16x8xf32>
func.func @capped(%h: tensor<?x8xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %x = lm.block 0 (%y = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %r = arith.addf %y, %y : tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  %w = lm.load_param @w : tensor<16x8xf32>
  %logits = lm.linear %x, %w : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %more = arith.mulf %logits, %logits : tensor<?x16xf32>
  return %logits, %more : tensor<?x16xf32>, tensor<?x16xf32>
}
