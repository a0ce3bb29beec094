// With calibration the error is reported, against the weight before it was clamped.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip=group-size=32 --quantize=group-size=32 | FileCheck %s

// CHECK: %[[C:.*]]:5 = lm.block 0
// CHECK: lm.block 0
// CHECK: %[[W:.*]] = lm.load_param @flint.weight
// CHECK-NEXT: %[[CODES:.*]] = compress.quantize %[[W]]
// CHECK: %[[E:.*]] = compress.output_error %[[W]], %[[CODES]], %[[C]]#1
// CHECK-NEXT: compress.remark "quantize" ["flint.weight"] ["error"] %[[E]]
// CHECK: %[[W:.*]] = lm.load_param @slate.weight
// CHECK: %[[CLIPPED:.*]], %{{.*}} = compress.clip %[[W]]
// CHECK: %[[CODES:.*]] = compress.quantize %[[CLIPPED]]
// CHECK: compress.output_error %[[W]], %[[CODES]], %[[C]]#1
