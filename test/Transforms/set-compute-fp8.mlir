// RUN: compressc-opt %s --set-compute="compute=bf16 activations=fp8" 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK --input-file=%t
// REMARK: remark: set-compute: 2 of 4 quantised linears compute in fp8, those of at most 4 bits in groups of a multiple of 128; the others in bf16

!four = !compress.packed<16x256, bits = 4, group = 128, asymmetric, f16>
!long = !compress.packed<16x256, bits = 2, group = 256, symmetric, f16>
!short = !compress.packed<16x256, bits = 4, group = 64, asymmetric, f16>
!eight = !compress.packed<16x256, bits = 8, group = 128, symmetric, f16>

lm.param @four : !four
lm.param @long : !long
lm.param @short : !short
lm.param @eight : !eight
lm.param @plain : tensor<16x256xf16>

func.func @forward(%x: tensor<?x256xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %a = lm.load_param @four : !four
  %b = lm.load_param @long : !long
  %c = lm.load_param @short : !short
  %d = lm.load_param @eight : !eight
  %e = lm.load_param @plain : tensor<16x256xf16>
  %wa = compress.dequantize %a : !four -> tensor<16x256xf32>
  %wb = compress.dequantize %b : !long -> tensor<16x256xf32>
  %wc = compress.dequantize %c : !short -> tensor<16x256xf32>
  %wd = compress.dequantize %d : !eight -> tensor<16x256xf32>
  // CHECK-COUNT-2: lm.linear {{.*}} compute fp8 :
  // CHECK-COUNT-3: lm.linear {{.*}} compute bf16 :
  %0 = lm.linear %x, %wa : (tensor<?x256xf32>, tensor<16x256xf32>) -> tensor<?x16xf32>
  %1 = lm.linear %x, %wb : (tensor<?x256xf32>, tensor<16x256xf32>) -> tensor<?x16xf32>
  %2 = lm.linear %x, %wc : (tensor<?x256xf32>, tensor<16x256xf32>) -> tensor<?x16xf32>
  %3 = lm.linear %x, %wd : (tensor<?x256xf32>, tensor<16x256xf32>) -> tensor<?x16xf32>
  %4 = lm.linear %x, %e : (tensor<?x256xf32>, tensor<16x256xf16>) -> tensor<?x16xf32>
  return %0, %1, %2, %3, %4 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
