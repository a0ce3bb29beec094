// Buffers share memory when their lifetimes allow it.
// RUN: compressc-opt %s --split-input-file --lower-to-exec="max-tokens=16 max-selected=4" | FileCheck %s
// RUN: compressc-opt %s --split-input-file --lower-to-exec="max-tokens=16 max-selected=4 reuse-buffers=false" | FileCheck %s --check-prefix=APART

// 16 rows of 16 columns are 1024 bytes. What reads an operand twice does not write over it; the operand's
// operand is free, and what lies where it lay is the same buffer.
// CHECK: exec.program @chain max_tokens 16 max_selected 4 arena 2048 {
// CHECK: exec.buffer @b0 temporary tokens offset 0 :
// CHECK-NEXT: exec.buffer @b1 temporary tokens offset 1024 :
// CHECK: exec.call "add" [@b0, @b0] -> [@b1] {}
// CHECK-NEXT: exec.call "add" [@b1, @b1] -> [@b0] {}
// CHECK-NEXT: exec.call "add" [@b0, @b0] -> [@b1] {}
// Without reuse each value has memory of its own.
// APART: exec.program @chain max_tokens 16 max_selected 4 arena 4096 {
func.func @chain(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = arith.addf %x, %x : tensor<?x16xf32>
  %1 = arith.addf %0, %0 : tensor<?x16xf32>
  %2 = arith.addf %1, %1 : tensor<?x16xf32>
  %3 = arith.addf %2, %2 : tensor<?x16xf32>
  return %3 : tensor<?x16xf32>
}

// -----
// A residual stays while the layer works beside it; the sum is written over it.
// CHECK: exec.program @residual max_tokens 16 max_selected 4 arena 3072 {
// CHECK: exec.buffer @b0 temporary tokens offset 0 :
// CHECK: exec.buffer @b1 temporary tokens offset 1024 :
// CHECK: exec.buffer @b2 temporary tokens offset 2048 :
// CHECK-NOT: exec.buffer
// CHECK: exec.call "add" [@b0, @b2] -> [@b0] {}
func.func @residual(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = arith.addf %x, %x : tensor<?x16xf32>
  %1 = arith.addf %0, %0 : tensor<?x16xf32>
  %2 = arith.addf %1, %1 : tensor<?x16xf32>
  %3 = arith.addf %0, %2 : tensor<?x16xf32>
  return %3 : tensor<?x16xf32>
}

// -----
// An output is not overwritten by what comes after it.
// CHECK: exec.program @outputs max_tokens 16 max_selected 4 arena 3072 {
// CHECK: exec.buffer @b0 temporary tokens offset 0 :
// CHECK: exec.buffer @b1 temporary tokens offset 1024 :
// CHECK: exec.buffer @b2 temporary tokens offset 2048 :
func.func @outputs(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %0 = arith.addf %x, %x : tensor<?x16xf32>
  %1 = arith.addf %x, %x : tensor<?x16xf32>
  %2 = arith.addf %1, %1 : tensor<?x16xf32>
  return %0, %2 : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----
// A state's memory is its own from the first call to the last.
// CHECK: exec.program @state max_tokens 16 max_selected 4 arena 3200 {
// CHECK: exec.buffer @b0 temporary tokens offset 1152 :
// CHECK: exec.buffer @b1 temporary tokens offset 2176 :
// CHECK: exec.buffer @s0 state fixed offset 0 :
func.func @state(%x: tensor<?x16xf32>) -> !compress.statistics<16> {
  %0 = arith.addf %x, %x : tensor<?x16xf32>
  %1 = arith.addf %0, %0 : tensor<?x16xf32>
  %s = compress.observe %1 : tensor<?x16xf32> -> !compress.statistics<16>
  return %s : !compress.statistics<16>
}

// -----
// A selected row is planned as one of max-selected.
// CHECK: exec.program @selected max_tokens 16 max_selected 4 arena 256 {
func.func @selected(%x: tensor<?x16xf32>, %batch: !lm.batch) -> tensor<?x16xf32> {
  %0 = lm.select_rows %x, %batch : tensor<?x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// -----
// An input is the caller's, and what is read later stays.
// CHECK: exec.program @kept
// CHECK: exec.call "rms_norm" [@in0, @in1] -> [@b0]
// CHECK-NEXT: exec.call "rms_norm" [@b0, @in1] -> [@b1]
// CHECK-NEXT: exec.call "rms_norm" [@b1, @in1] -> [@b1]
// CHECK-NEXT: exec.call "add" [@b0, @b1] -> [@b0]
func.func @kept(%x: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %0 = lm.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  %1 = lm.rms_norm %0, %w epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  %2 = lm.rms_norm %1, %w epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  %3 = arith.addf %0, %2 : tensor<?x16xf32>
  return %3 : tensor<?x16xf32>
}
