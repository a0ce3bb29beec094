// RUN: compressc-opt %s --split-input-file --lower-to-exec="max-tokens=64 max-selected=8" | FileCheck %s

// Rows follow the operands: one for each token, one for each selected row.
// CHECK: exec.program @rows
// CHECK: exec.buffer @in0 input tokens : tensor<?x16xf32>
// CHECK: exec.buffer @in1 input fixed : tensor<16xf32>
// CHECK: exec.buffer @b0 temporary tokens offset {{.*}} : tensor<?x16xf32>
// CHECK: exec.buffer @b1 temporary selected offset {{.*}} : tensor<?x16xf32>
// CHECK: exec.entry @rows inputs [@in0, @in1] outputs [@b1] {
func.func @rows(%x: tensor<?x16xf32>, %w: tensor<16xf32>, %batch: !lm.batch) -> tensor<?x16xf32> {
  %0 = lm.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  %1 = lm.select_rows %0, %batch : tensor<?x16xf32> -> tensor<?x16xf32>
  %2 = lm.rms_norm %1, %w epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  return %2 : tensor<?x16xf32>
}

// -----
// Weight expressions have fixed rows, and messages about them get a name.
// CHECK: exec.program @fixed
// CHECK: exec.buffer @b0 temporary fixed offset {{.*}} : tensor<32x32xf32>
// CHECK: exec.buffer @b1 temporary fixed offset {{.*}} : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
// CHECK: exec.entry @fixed inputs [@in0] outputs [@b1] {
// CHECK-NEXT: exec.call "scale_rows" [@w, @in0] -> [@b0] {inverse = 1 : i64, name = "w"}
// CHECK-NEXT: exec.call "quantize" [@b0] -> [@b1] {name = "w"}
lm.param @w : tensor<32x32xf16>
func.func @fixed(%s: tensor<32xf32>) -> !compress.packed<32x32, bits = 4, group = 32, symmetric, f16> {
  %w = lm.load_param @w : tensor<32x32xf16>
  %0 = compress.scale_rows %w by inverse %s : tensor<32x32xf16>, tensor<32xf32> -> tensor<32x32xf32>
  %1 = compress.quantize %0 : tensor<32x32xf32> -> !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
  return %1 : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
}

// -----
// Statistics are kept between runs; what is only calibrated is its operand.
// CHECK: exec.program @state
// CHECK: exec.buffer @s0 state fixed offset {{.*}} : !compress.statistics<16>
// CHECK: exec.entry @state inputs [@in0] outputs [@s0, @b0] {
// CHECK-NEXT: exec.call "observe" [@in0] -> [@s0] {}
// CHECK-NEXT: exec.call "add" [@in0, @in0] -> [@b0] {}
func.func @state(%x: tensor<?x16xf32>) -> (!compress.statistics<16>, tensor<?x16xf32>) {
  %s = compress.observe %x : tensor<?x16xf32> -> !compress.statistics<16>
  %c = compress.calibrated %x with %s : tensor<?x16xf32>, !compress.statistics<16>
  %0 = arith.addf %c, %x : tensor<?x16xf32>
  return %s, %0 : !compress.statistics<16>, tensor<?x16xf32>
}

// -----
// A search takes its options by name, types and booleans as plain values.
// CHECK: exec.call "clip" [@w, @in0] -> [@b0, @b1] {bits = 4 : i64, group = 32 : i64, name = "w", scale_type = "f16", symmetric = 1 : i64}
lm.param @w : tensor<32x32xf16>
func.func @options(%s: !compress.statistics<32>) -> tensor<32x32xf32> {
  %w = lm.load_param @w : tensor<32x32xf16>
  %0:2 = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, symmetric = true, scale_type = f16}
      : (tensor<32x32xf16>, !compress.statistics<32>) -> (tensor<32x32xf32>, tensor<2xf32>)
  return %0#0 : tensor<32x32xf32>
}

// -----
// A reader that cannot read codes gets the values, and then everyone does.
// CHECK: exec.program @decoded
// CHECK: exec.call "dequantize" [@p] -> [@b0] {name = "p"}
// CHECK: exec.call "linear" [@in0, @b0] -> [@b1] {}
// CHECK: exec.call "convert" [@b0] -> [@b2] {name = "p"}
lm.param @p : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
func.func @decoded(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<32x32xf16>) {
  %p = lm.load_param @p : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16>
  %w = compress.dequantize %p : !compress.packed<32x32, bits = 4, group = 32, symmetric, f16> -> tensor<32x32xf32>
  %0 = lm.linear %x, %w : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %1 = compress.convert %w : tensor<32x32xf32> -> tensor<32x32xf16>
  return %0, %1 : tensor<?x32xf32>, tensor<32x32xf16>
}

// -----
// GGUF blocks are decoded by a call.
// CHECK: exec.program @blocks
// CHECK: exec.call "dequantize" [@g] -> [@b0] {name = "g"}
lm.param @g : !compress.blocks<32x32, q4_1>
func.func @blocks() -> tensor<32x32xf16> {
  %g = lm.load_param @g : !compress.blocks<32x32, q4_1>
  %0 = compress.dequantize %g : !compress.blocks<32x32, q4_1> -> tensor<32x32xf16>
  return %0 : tensor<32x32xf16>
}
