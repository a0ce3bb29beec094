// Passes that come later find the statistics of what the linears read now: x / s.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale=group-size=32 | FileCheck %s

// CHECK: %[[C:.*]]:5 = lm.block 0
// CHECK: lm.block 0
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[C]]#1
// CHECK: %[[N:.*]] = lm.rms_norm
// CHECK-NEXT: %[[DIVIDED:.*]] = compress.scale_statistics %[[C]]#1 by %[[S]] : !compress.statistics<64>, tensor<64xf32>
// CHECK-NEXT: %[[X:.*]] = compress.calibrated %[[N]] with %[[DIVIDED]]
// CHECK: lm.linear %[[X]]

// The statistics of attention's output take the scale of every query head.
// CHECK: %[[ALL:.*]] = compress.expand_heads
// CHECK: compress.scale_statistics %[[C]]#2 by %[[ALL]]
