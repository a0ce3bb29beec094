// Nothing is left to clip: a packed weight, and a key that a norm of each head stands behind.
// RUN: compressc-opt %s --insert-calibration --clip=group-size=32 | FileCheck %s
lm.param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
lm.param @key : tensor<64x64xf16>
lm.param @norm : tensor<16xf16>
// CHECK-LABEL: func.func @f
// CHECK-NOT: compress.clip
func.func @f(%h: tensor<?x64xf32>, %batch: !lm.batch) -> tensor<?x64xf32> {
  %packed = lm.load_param @packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
  %w = compress.dequantize %packed : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16> -> tensor<64x64xf32>
  %wk = lm.load_param @key : tensor<64x64xf16>
  %n = lm.load_param @norm : tensor<16xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %a = lm.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %k = lm.linear %x, %wk : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %kn = lm.rms_norm %k, %n epsilon 1.0e-6 : tensor<?x64xf32>, tensor<16xf16>
    %kr = lm.rotary_embedding %kn, %batch head_dim 16 <theta = 1.0e4> : tensor<?x64xf32>
    %r = arith.addf %a, %kr : tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}
