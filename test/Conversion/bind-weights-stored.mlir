// RUN: compressc-opt %s --bind-weights | FileCheck %s

module attributes {lm.checkpoint_type = bf16} {
// CHECK: lm.param @w.original key "blk.0.w" : !compress.blocks<32x32, q8_0>
lm.param @w key "blk.0.w" : !compress.blocks<32x32, q8_0>
// A packed parameter stays as it is.
// CHECK: lm.param @packed : !compress.packed<32x32, bits = 4, group = 32, asymmetric, f16>
lm.param @packed : !compress.packed<32x32, bits = 4, group = 32, asymmetric, f16>
// A decoded weight is stored in the checkpoint's type, once for both readers.
// CHECK: lm.param @w : tensor<32x32xbf16>
// CHECK-NOT: lm.param
// CHECK-LABEL: func.func @f
// CHECK-COUNT-2: lm.load_param @w : tensor<32x32xbf16>
// CHECK: %[[P:.*]] = lm.load_param @packed
// CHECK-NEXT: %[[V:.*]] = compress.dequantize %[[P]]
// CHECK-NEXT: lm.linear %{{.*}}, %[[V]]
func.func @f(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %stored = lm.load_param @w : !compress.blocks<32x32, q8_0>
  %w = compress.dequantize %stored : !compress.blocks<32x32, q8_0> -> tensor<32x32xf32>
  %0 = lm.linear %x, %w : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %1 = lm.linear %0, %w : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %p = lm.load_param @packed : !compress.packed<32x32, bits = 4, group = 32, asymmetric, f16>
  %v = compress.dequantize %p : !compress.packed<32x32, bits = 4, group = 32, asymmetric, f16> -> tensor<32x32xf32>
  %2 = lm.linear %1, %v : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}
}
