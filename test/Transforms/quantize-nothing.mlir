// What is packed already is left, whatever its format; and so is a model without layers.
// RUN: compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 bits=8" > %t.once
// RUN: compressc-opt %t.once --quantize=group-size=64 > %t.twice
// RUN: diff %t.once %t.twice
// RUN: compressc-opt %s --quantize=group-size=3 | FileCheck %s

// CHECK-LABEL: func.func @head
// CHECK-NOT: compress
func.func @head(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>) -> tensor<?x16xf32> {
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}
