// RUN: compressc-opt %s --narrow-activations | FileCheck %s

// CHECK-LABEL: func.func @down
func.func @down(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.fused_linear gate silu {{.*}} -> tensor<?x16xbf16>
  // CHECK-NEXT: lm.fused_linear {{.*}} compute bf16 : (tensor<?x16xbf16>, {{.*}}) -> tensor<?x8xf32>
  %0 = lm.fused_linear gate silu %x weights(%w, %w) : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %1 = lm.fused_linear %0 weights(%d) add %x compute bf16 : (tensor<?x16xf32>, tensor<8x16xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<?x8xf32>, %cache: !lm.cache<1 x 8>, %batch: !lm.batch, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.attention {{.*}} -> tensor<?x8xbf16>
  // CHECK-NEXT: lm.linear {{.*}} : (tensor<?x8xbf16>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %0, %next = lm.attention %q, %q, %q, %cache, %batch heads 1 kv_heads 1 scale 1.0 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !lm.cache<1 x 8> -> tensor<?x8xf32>
  %1 = lm.linear %0, %w compute bf16 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @fp8
func.func @fp8(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %d: tensor<8x16xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.fused_linear gate silu {{.*}} -> tensor<?x16xbf16>
  // CHECK-NEXT: lm.linear {{.*}} compute fp8 : (tensor<?x16xbf16>, {{.*}}) -> tensor<?x8xf32>
  %0 = lm.fused_linear gate silu %x weights(%w, %w) compute fp8 : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  %1 = lm.linear %0, %d compute fp8 : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// In fp32, behind a norm, as a residual, returned, and of linears that are not gated: left.
// CHECK-LABEL: func.func @left
// CHECK-NOT: xbf16>
func.func @left(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %n: tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %0 = lm.fused_linear gate silu %x weights(%w, %w) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %1 = lm.linear %0, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %2 = lm.fused_linear gate silu %x weights(%w, %w) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %3 = lm.fused_linear %2 norm %n epsilon 1.0e-5 weights(%w) compute bf16 : (tensor<?x8xf32>, tensor<8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %4 = lm.fused_linear gate silu %x weights(%w, %w) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %5 = lm.fused_linear %3 weights(%w) add %4 compute bf16 : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %6 = lm.fused_linear gate silu %x weights(%w, %w) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %5, %6 : tensor<?x8xf32>, tensor<?x8xf32>
}
