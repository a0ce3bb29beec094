// RUN: compressc-opt %s --split-input-file --sink-selection --canonicalize --cse | FileCheck %s

// The last layer works on selected rows, but for keys and values.
// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[H:.*]]: tensor<?x8xf32>, %[[WQ:.*]]: tensor<8x8xf32>, %[[WK:.*]]: tensor<4x8xf32>, %[[N:.*]]: tensor<8xf32>, %[[BATCH:.*]]: !lm.batch
func.func @layer(%h: tensor<?x8xf32>, %wq: tensor<8x8xf32>, %wk: tensor<4x8xf32>, %n: tensor<8xf32>, %batch: !lm.batch) -> tensor<?x8xf32> {
  // CHECK: %[[R:.*]] = lm.block 3 (%[[X:.*]] = %[[H]])
  %r = lm.block 3 (%x = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    // CHECK-DAG: %[[NORM:.*]] = lm.rms_norm %[[X]], %[[N]]
    %norm = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
    // CHECK-DAG: %[[SELECTED:.*]] = lm.select_rows %[[NORM]], %[[BATCH]]
    // CHECK-DAG: %[[Q:.*]] = lm.linear %[[SELECTED]], %[[WQ]]
    %q = lm.linear %norm, %wq : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    // CHECK-DAG: %[[K:.*]] = lm.linear %[[NORM]], %[[WK]]
    %k = lm.linear %norm, %wk : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
    // CHECK-DAG: %[[QR:.*]] = lm.rotary_embedding %[[Q]], %[[BATCH]] selected head_dim 4
    %qr = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
    // CHECK-DAG: %[[KR:.*]] = lm.rotary_embedding %[[K]], %[[BATCH]] head_dim 4
    %kr = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
    %cache = lm.cache : !lm.cache<1 x 4>
    // CHECK: %[[A:.*]], %{{.*}} = lm.attention %[[QR]], %[[KR]], %[[K]], %{{.*}}, %[[BATCH]] selected heads 2
    %a, %next = lm.attention %qr, %kr, %k, %cache, %batch heads 2 kv_heads 1 scale 0.5
        : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
    // CHECK-DAG: %[[O:.*]] = lm.linear %[[A]], %[[WQ]]
    %o = lm.linear %a, %wq : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    // Two readers of the residual share one selection.
    // CHECK-DAG: %[[XS:.*]] = lm.select_rows %[[X]], %[[BATCH]]
    // CHECK: %[[M:.*]] = arith.addf %[[XS]], %[[O]]
    %m = arith.addf %x, %o : tensor<?x8xf32>
    // CHECK: %[[G:.*]] = lm.gated_activation silu %[[M]], %[[M]]
    %g = lm.gated_activation silu %m, %m : tensor<?x8xf32>
    // CHECK: %[[SUM:.*]] = arith.addf %[[M]], %[[G]]
    %sum = arith.addf %m, %g : tensor<?x8xf32>
    // CHECK-NEXT: lm.yield %[[SUM]]
    lm.yield %sum : tensor<?x8xf32>
  }
  // CHECK: return %[[R]]
  %s = lm.select_rows %r, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}

// -----
// What is read whole elsewhere stays whole.
// CHECK-LABEL: func.func @both
func.func @both(%x: tensor<?x8xf32>, %n: tensor<8xf32>, %batch: !lm.batch) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: %[[NORM:.*]] = lm.rms_norm
  // CHECK-NEXT: %[[S:.*]] = lm.select_rows %[[NORM]]
  // CHECK-NEXT: return %[[NORM]], %[[S]]
  %0 = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %1 = lm.select_rows %0, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----
// A selection of selected rows is not one of all rows, and neither is one by another batch.
// CHECK-LABEL: func.func @twice
func.func @twice(%x: tensor<?x8xf32>, %a: !lm.batch, %b: !lm.batch) -> tensor<?x8xf32> {
  // CHECK: %[[S:.*]] = lm.select_rows %{{.*}}, %{{.*}}
  // CHECK-NEXT: %[[T:.*]] = lm.select_rows %[[S]]
  // CHECK-NEXT: return %[[T]]
  %0 = lm.select_rows %x, %a : tensor<?x8xf32> -> tensor<?x8xf32>
  %1 = lm.select_rows %0, %b : tensor<?x8xf32> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----
// Keys and values are those of all rows even where they are the query itself.
// CHECK-LABEL: func.func @shared
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>
func.func @shared(%x: tensor<?x4xf32>, %batch: !lm.batch) -> tensor<?x4xf32> {
  // CHECK-DAG: %[[S:.*]] = lm.select_rows %[[X]]
  // CHECK-DAG: %[[C:.*]] = lm.cache
  // CHECK: lm.attention %[[S]], %[[X]], %[[X]], %[[C]], %{{.*}} selected
  %cache = lm.cache : !lm.cache<1 x 4>
  %a, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  %s = lm.select_rows %a, %batch : tensor<?x4xf32> -> tensor<?x4xf32>
  return %s : tensor<?x4xf32>
}
