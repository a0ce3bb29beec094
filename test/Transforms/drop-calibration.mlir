// Inserted and dropped again, calibration leaves the model as it was.
// RUN: compressc-opt %S/Inputs/llama.mlir > %t.before
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --drop-calibration > %t.after
// RUN: diff %t.before %t.after
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration=propagation=quantized --drop-calibration > %t.after
// RUN: diff %t.before %t.after
// RUN: compressc-opt %S/Inputs/llama.mlir --drop-calibration > %t.after
// RUN: diff %t.before %t.after

// What a weight expression still reads stays.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip="group-size=32 ignore=re:[^s]" --drop-calibration | FileCheck %s
// CHECK: %[[H0:.*]] = lm.embedding
// CHECK: %[[C1:.*]]:2 = lm.block 0 (%{{.*}} = %[[H0]])
// CHECK: %[[S:.*]] = compress.observe
// CHECK-NOT: compress.observe
// CHECK: lm.yield %{{.*}}, %[[S]]
// CHECK: lm.block 0
// CHECK-NOT: compress.calibrated
// CHECK: compress.clip %{{.*}}, %[[C1]]#1
// CHECK: lm.block 1 (%{{.*}} = %[[C1]]#0) : (tensor<?x64xf32>) -> !compress.statistics<128>
// CHECK: lm.block 1
// CHECK-NOT: compress.calibrated
// CHECK: compress.remark "clip" ["spinel.weight"]
