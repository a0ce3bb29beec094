// RUN: compressc-opt %S/Inputs/llama.mlir --prune-layers=count=1 | FileCheck %s

// Copies of the layers as they stand are measured.
// CHECK: %[[H0:.*]] = lm.embedding
// CHECK: %[[C1:.*]] = lm.block 0 (%{{.*}} = %[[H0]])
// CHECK: %[[I0:.*]] = compress.observe_cosine %[[H0]], %[[C1]] : tensor<?x64xf32> -> tensor<2xf32>
// CHECK: %[[H1:.*]] = lm.block 0 (%{{.*}} = %[[H0]])
// CHECK: %[[C2:.*]] = lm.block 1 (%{{.*}} = %[[C1]])
// CHECK: %[[I1:.*]] = compress.observe_cosine %[[C1]], %[[C2]]
// CHECK: %[[D:.*]]:2 = compress.choose "prune-layers" 1 of ["layer 0", "layer 1"] by "influence" %[[I0]], %[[I1]]

// A layer that is chosen is left out.
// CHECK: %[[G1:.*]] = arith.select %[[D]]#0, %[[H0]], %[[H1]] : tensor<?x64xf32>
// CHECK: %[[H2:.*]] = lm.block 1 (%{{.*}} = %[[G1]])
// CHECK: %[[G2:.*]] = arith.select %[[D]]#1, %[[G1]], %[[H2]] : tensor<?x64xf32>
// CHECK: lm.select_rows %[[G2]]

// Calibration that comes later follows the choice: the copies of its layers select too.
// RUN: compressc-opt %S/Inputs/llama.mlir --prune-layers=count=1 --insert-calibration | FileCheck %s --check-prefix=LATER
// LATER: %[[C1:.*]]:5 = lm.block 0
// LATER: %[[H1:.*]] = lm.block 0
// LATER: %[[D:.*]]:2 = compress.choose
// LATER-DAG: %[[G1:.*]] = arith.select %[[D]]#0, %{{.*}}, %[[H1]]
// LATER-DAG: %[[S1:.*]] = arith.select %[[D]]#0, %{{.*}}, %[[C1]]#0
// LATER: lm.block 1 (%{{.*}} = %[[S1]])
// LATER: lm.block 1 (%{{.*}} = %[[G1]])

// Of a quantised model the quantised layers are measured, with what their codes depend on before them.
// RUN: compressc-opt %S/Inputs/llama.mlir --awq=group-size=32 --prune-layers=count=1 | FileCheck %s --check-prefix=AFTER
// AFTER: lm.block 0
// AFTER-COUNT-4: compress.observe %
// AFTER: lm.block 1
// AFTER-COUNT-4: compress.observe %
// AFTER: compress.choose
// AFTER-NOT: compress.observe
