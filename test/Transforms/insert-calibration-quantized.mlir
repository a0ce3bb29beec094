// The layer observes itself, so that later layers see what is done to earlier ones.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration=propagation=quantized | FileCheck %s

// CHECK: %[[H0:.*]] = lm.embedding
// CHECK: %[[H1:.*]] = lm.block 0 (%{{.*}} = %[[H0]]) : (tensor<?x64xf32>) -> tensor<?x64xf32>
// CHECK: %[[N:.*]] = lm.rms_norm
// CHECK-NEXT: %[[S:.*]] = compress.observe %[[N]] : tensor<?x64xf32> -> !compress.statistics<64>
// CHECK-NEXT: %[[X:.*]] = compress.calibrated %[[N]] with %[[S]]
// CHECK-COUNT-3: lm.linear %[[X]]
// CHECK-COUNT-3: compress.observe
// CHECK: %[[H2:.*]] = lm.block 1 (%{{.*}} = %[[H1]])
// CHECK-COUNT-4: compress.observe
// CHECK-NOT: lm.block
// CHECK: lm.select_rows %[[H2]]
