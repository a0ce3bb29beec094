// Buffers share memory when their lifetimes allow it.
// RUN: compressc-opt %s --split-input-file --lower-to-exec="max-tokens=16 max-selected=4" | FileCheck %s

// 16 rows of 16 columns are 1024 bytes. A call's result does not lie on its operand; its operand's operand is free.
// CHECK: exec.program @chain max_tokens 16 max_selected 4 arena 2048 {
// CHECK: exec.buffer @b0 temporary tokens offset 0 :
// CHECK: exec.buffer @b1 temporary tokens offset 1024 :
// CHECK: exec.buffer @b2 temporary tokens offset 0 :
// CHECK: exec.buffer @b3 temporary tokens offset 1024 :
func.func @chain(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = arith.addf %x, %x : tensor<?x16xf32>
  %1 = arith.addf %0, %0 : tensor<?x16xf32>
  %2 = arith.addf %1, %1 : tensor<?x16xf32>
  %3 = arith.addf %2, %2 : tensor<?x16xf32>
  return %3 : tensor<?x16xf32>
}

// -----
// A residual stays while the layer works beside it.
// CHECK: exec.program @residual max_tokens 16 max_selected 4 arena 3072 {
// CHECK: exec.buffer @b0 temporary tokens offset 0 :
// CHECK: exec.buffer @b1 temporary tokens offset 1024 :
// CHECK: exec.buffer @b2 temporary tokens offset 2048 :
// CHECK: exec.buffer @b3 temporary tokens offset 1024 :
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
