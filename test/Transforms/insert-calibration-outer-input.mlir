// A linear may read a value from outside its layer: it is observed and calibrated inside.
// RUN: compressc-opt %s --insert-calibration | FileCheck %s --check-prefixes=CHECK,COPY
// RUN: compressc-opt %s --insert-calibration=propagation=quantized | FileCheck %s --check-prefixes=CHECK,SELF

// CHECK-LABEL: func.func @skips
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>
// COPY: lm.block 0 ({{.*}}) : (tensor<?x8xf32>) -> (tensor<?x8xf32>, !compress.statistics<8>)
// COPY-NEXT: compress.observe %[[X]]
// COPY: lm.block 0
// COPY-NEXT: compress.calibrated %[[X]]
// SELF: lm.block 0
// SELF-NEXT: %[[S:.*]] = compress.observe %[[X]]
// SELF-NEXT: compress.calibrated %[[X]] with %[[S]]
func.func @skips(%x: tensor<?x8xf32>, %w: tensor<8x8xf16>) -> tensor<?x8xf32> {
  %h = arith.addf %x, %x : tensor<?x8xf32>
  %0 = lm.block 0 (%y = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %l = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf16>) -> tensor<?x8xf32>
    %r = arith.addf %y, %l : tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}
