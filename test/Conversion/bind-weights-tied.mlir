// RUN: compressc-opt %s --split-input-file --bind-weights | FileCheck %s

// Both uses are rewritten alike: one parameter, still tied.
// CHECK: lm.param @t.original
// CHECK: lm.param @t : tensor<32x32xf16>
// CHECK-NOT: lm.param
// CHECK-LABEL: func.func @alike
// CHECK-COUNT-2: lm.load_param @t :
lm.param @t : !compress.blocks<32x32, q8_0>
func.func @alike(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %a = lm.load_param @t : !compress.blocks<32x32, q8_0>
  %table = compress.dequantize %a : !compress.blocks<32x32, q8_0> -> tensor<32x32xf16>
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %b = lm.load_param @t as "head" : !compress.blocks<32x32, q8_0>
  %head = compress.dequantize %b : !compress.blocks<32x32, q8_0> -> tensor<32x32xf16>
  %0 = lm.linear %x, %head : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----
// Only the head is rewritten: its alias unties it.
// CHECK: lm.param @t : tensor<32x32xf16>
// CHECK: lm.param @head : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
// CHECK-LABEL: func.func @untied
// CHECK: %[[T:.*]] = lm.load_param @t :
// CHECK: lm.embedding %{{.*}}, %[[T]]
// CHECK: %[[H:.*]] = lm.load_param @head :
// CHECK-NEXT: compress.dequantize %[[H]]
lm.param @t : tensor<32x32xf16>
func.func @untied(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %table = lm.load_param @t : tensor<32x32xf16>
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %b = lm.load_param @t as "head" : tensor<32x32xf16>
  %codes = compress.quantize %b : tensor<32x32xf16> -> !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
  %head = compress.dequantize %codes : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16> -> tensor<32x32xf32>
  %0 = lm.linear %x, %head : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----
// Rewritten differently: two parameters.
// CHECK-DAG: lm.param @t : tensor<32x32xf16>
// CHECK-DAG: lm.param @head : tensor<32x32xf16>
// CHECK-LABEL: func.func @different
// CHECK: lm.load_param @t :
// CHECK: lm.load_param @head :
lm.param @t : tensor<32x32xf32>
lm.param @s : tensor<32xf32>
func.func @different(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %s = lm.load_param @s : tensor<32xf32>
  %a = lm.load_param @t : tensor<32x32xf32>
  %table = compress.convert %a : tensor<32x32xf32> -> tensor<32x32xf16>
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %b = lm.load_param @t as "head" : tensor<32x32xf32>
  %head = compress.scale_columns %b by %s : tensor<32x32xf32>, tensor<32xf32> -> tensor<32x32xf32>
  %0 = lm.linear %x, %head : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----
// Two layers that share a weight share what it becomes.
// CHECK: lm.param @w.original key "w" : tensor<32x32xf16>
// CHECK: lm.param @w : !compress.packed
// CHECK-NOT: lm.param
// CHECK-LABEL: func.func @shared
// CHECK-COUNT-2: lm.load_param @w : !compress.packed
lm.param @w : tensor<32x32xf16>
func.func @shared(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %w = lm.load_param @w : tensor<32x32xf16>
  %a = compress.quantize %w : tensor<32x32xf16> -> !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
  %va = compress.dequantize %a : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16> -> tensor<32x32xf32>
  %0 = lm.linear %x, %va : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %b = compress.quantize %w : tensor<32x32xf16> -> !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
  %vb = compress.dequantize %b : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16> -> tensor<32x32xf32>
  %1 = lm.linear %0, %vb : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}
