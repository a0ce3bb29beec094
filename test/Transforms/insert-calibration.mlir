// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration | FileCheck %s

// The embedding and the head are not observed; each distinct input of a layer's linears is, once.
// CHECK: %[[H0:.*]] = lm.embedding

// A copy of the layer observes.
// CHECK: %[[C1:.*]]:5 = lm.block 0 (%{{.*}} = %[[H0]]) : (tensor<?x64xf32>) -> (tensor<?x64xf32>, !compress.statistics<64>, !compress.statistics<64>, !compress.statistics<64>, !compress.statistics<128>)
// CHECK: %[[NORMED:.*]] = lm.rms_norm
// CHECK-NEXT: %[[S1:.*]] = compress.observe %[[NORMED]]
// CHECK: %[[ATTENDED:.*]], %{{.*}} = lm.attention
// CHECK-NEXT: %[[S2:.*]] = compress.observe %[[ATTENDED]]
// CHECK: %[[POST:.*]] = lm.rms_norm
// CHECK-NEXT: %[[S3:.*]] = compress.observe %[[POST]]
// CHECK: %[[GATED:.*]] = lm.gated_activation
// CHECK-NEXT: %[[S4:.*]] = compress.observe %[[GATED]]
// CHECK-NOT: compress.calibrated
// CHECK: lm.yield %{{.*}}, %[[S1]], %[[S2]], %[[S3]], %[[S4]]

// The layer that is deployed ties the statistics to the inputs.
// CHECK: %[[H1:.*]] = lm.block 0 (%{{.*}} = %[[H0]]) : (tensor<?x64xf32>) -> tensor<?x64xf32>
// CHECK-NOT: compress.observe
// CHECK: %[[X1:.*]] = compress.calibrated %{{.*}} with %[[C1]]#1
// CHECK-COUNT-3: lm.linear %[[X1]]
// CHECK: %[[X2:.*]] = compress.calibrated %{{.*}} with %[[C1]]#2
// CHECK: lm.linear %[[X2]]
// CHECK: %[[X3:.*]] = compress.calibrated %{{.*}} with %[[C1]]#3
// CHECK-COUNT-2: lm.linear %[[X3]]
// CHECK: %[[X4:.*]] = compress.calibrated %{{.*}} with %[[C1]]#4
// CHECK: lm.linear %[[X4]]

// The next copy continues the copies' stream, the next layer the deployed one.
// CHECK: %[[C2:.*]]:5 = lm.block 1 (%{{.*}} = %[[C1]]#0)
// CHECK: %[[H2:.*]] = lm.block 1 (%{{.*}} = %[[H1]])
// CHECK: compress.calibrated %{{.*}} with %[[C2]]#1
// CHECK: lm.select_rows %[[H2]]
// CHECK-NOT: compress.
// CHECK: return
