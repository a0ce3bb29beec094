// RUN: compressc-opt %s --set-compute="compute=bf16 activations=int8" | FileCheck %s
// RUN: compressc-opt %s --set-compute=activations=int8 | FileCheck %s --check-prefix=PACKED
// RUN: compressc-opt %s --set-compute=compute=bf16 | FileCheck %s --check-prefix=ALL

// By default everything is fp32, also what was not before.
// RUN: compressc-opt %s --set-compute="compute=bf16 activations=int8" --set-compute | FileCheck %s --check-prefix=NONE
// RUN: not compressc-opt %s --set-compute=compute=int8 2>&1 | FileCheck %s --check-prefix=COMPUTE
// RUN: not compressc-opt %s --set-compute=activations=int4 2>&1 | FileCheck %s --check-prefix=ACTIVATIONS
// COMPUTE: set-compute: compute=int8; choose f32 or bf16
// ACTIVATIONS: set-compute: activations=int4; choose f32, int8 or fp8

lm.param @packed : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16>
lm.param @plain : tensor<16x16xf16>

func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %p = lm.load_param @packed : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16>
  %w = compress.dequantize %p : !compress.packed<16x16, bits = 4, group = 16, asymmetric, f16> -> tensor<16x16xf32>
  // CHECK: lm.linear {{.*}} compute int8 :
  // PACKED: lm.linear {{.*}} compute int8 :
  // ALL: lm.linear {{.*}} compute bf16 :
  // NONE-NOT: compute
  %0 = lm.linear %x, %w : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %v = lm.load_param @plain : tensor<16x16xf16>
  // CHECK: lm.linear {{.*}} compute bf16 :
  // PACKED: lm.linear
  // PACKED-NOT: compute
  // ALL: lm.linear {{.*}} compute bf16 :
  %1 = lm.linear %0, %v : (tensor<?x16xf32>, tensor<16x16xf16>) -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}
