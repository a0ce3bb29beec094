// Where scaling would change what the model computes, it does nothing.
// RUN: compressc-opt %s --split-input-file --insert-calibration --awq-scale=group-size=32 | FileCheck %s

// The norm is read by something else than linears too.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %l = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %r = arith.addf %m, %l : tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// The norm is the layer's result too.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %l = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %m : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// A norm of each head has one weight for all heads.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
lm.param @head : tensor<16xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %head = lm.load_param @head : tensor<16xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %head epsilon 1.0e-5 : tensor<?x64xf32>, tensor<16xf16>
    %r = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// Hidden states are no producer.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %r = lm.linear %x, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// A sum is not divided by dividing one operand.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = arith.addf %x, %x : tensor<?x64xf32>
    %r = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// The rows of a packed weight are not divided, nor its columns multiplied.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
lm.param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %packed = lm.load_param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
  %q = compress.dequantize %packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16> -> tensor<64x64xf32>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %wide = lm.linear %x, %q : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %r = lm.linear %wide, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// One of the linears that share the input is packed.
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
lm.param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %packed = lm.load_param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
  %q = compress.dequantize %packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16> -> tensor<64x64xf32>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %l = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %p = lm.linear %m, %q : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %r = arith.addf %l, %p : tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// `up` is read by something else too; the group that reads the norm is scaled.
// CHECK-LABEL: func.func @f
// CHECK-COUNT-1: compress.awq_scale
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %up = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %g = lm.gated_activation silu %x, %up : tensor<?x64xf32>
    %down = lm.linear %g, %b : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %r = arith.addf %down, %up : tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// The value is the query too.
// CHECK-LABEL: func.func @f
// CHECK-COUNT-1: compress.awq_scale
// CHECK-NOT: compress.awq_scale
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>, %batch: !lm.batch) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %v = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %cache = lm.cache : !lm.cache<4 x 16>
    %o, %next = lm.attention %v, %x, %v, %cache, %batch heads 4 kv_heads 4 scale 0.25
        : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !lm.cache<4 x 16> -> tensor<?x64xf32>
    %r = lm.linear %o, %b : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}
