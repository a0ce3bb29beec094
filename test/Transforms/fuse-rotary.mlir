// RUN: compressc-opt %s --split-input-file --fuse-rotary | FileCheck %s

// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[Q:.*]]: tensor<?x8xf32>, %[[K:.*]]: tensor<?x4xf32>, %[[V:.*]]: tensor<?x4xf32>, %[[B:.*]]: !lm.batch
func.func @layer(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %batch: !lm.batch) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[C:.*]] = lm.cache
  // CHECK-NEXT: %[[A:.*]], %{{.*}} = lm.attention %[[Q]], %[[K]], %[[V]], %[[C]], %[[B]] heads 2 kv_heads 1 scale 5.000000e-01 window 7 rope <theta = 1.000000e+04> :
  // CHECK-NEXT: return %[[A]]
  %0 = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
  %1 = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %cache = lm.cache : !lm.cache<1 x 4>
  %2, %next = lm.attention %0, %1, %v, %cache, %batch heads 2 kv_heads 1 scale 0.5 window 7
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}

// -----
// The last layer's queries are those of selected rows; norms of heads come along.
// CHECK-LABEL: func.func @selected
// CHECK-SAME: %[[Q:.*]]: tensor<?x8xf32>, %[[K:.*]]: tensor<?x4xf32>, %[[B:.*]]: !lm.batch, %[[QN:.*]]: tensor<4xf32>, %[[KN:.*]]: tensor<4xf32>
func.func @selected(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %batch: !lm.batch, %qn: tensor<4xf32>, %kn: tensor<4xf32>) -> tensor<?x8xf32> {
  // CHECK-NOT: lm.rotary_embedding
  // CHECK: lm.attention %[[Q]], %[[K]], %[[K]], %{{.*}}, %[[B]] selected heads {{.*}} rope <theta = 1.000000e+04> norms(%[[QN]], %[[KN]]) epsilon 1.000000e-05
  %0 = lm.rotary_embedding %q, %batch selected norm %qn epsilon 1.0e-5 head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>, tensor<4xf32>
  %1 = lm.rotary_embedding %k, %batch norm %kn epsilon 1.0e-5 head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>, tensor<4xf32>
  %cache = lm.cache : !lm.cache<1 x 4>
  %2, %next = lm.attention %0, %1, %k, %cache, %batch selected heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}

// -----
// Left: a rotated value that something else reads too, be it the query, the key, or both as one.
// CHECK-LABEL: func.func @read
// CHECK-NOT: rope
func.func @read(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %batch: !lm.batch) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %0 = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %1 = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %c0 = lm.cache : !lm.cache<1 x 4>
  %2, %next0 = lm.attention %0, %1, %1, %c0, %batch heads 1 kv_heads 1 scale 0.5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  %3 = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %c1 = lm.cache : !lm.cache<1 x 4>
  %4, %next1 = lm.attention %0, %3, %k, %c1, %batch heads 1 kv_heads 1 scale 0.5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  %5 = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %c2 = lm.cache : !lm.cache<1 x 4>
  %6, %next2 = lm.attention %5, %5, %k, %c2, %batch heads 1 kv_heads 1 scale 0.5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  return %2, %4, %6 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}

// -----
// Left: angles that differ, a norm of one only, heads of another size, an attention without rotations.
// CHECK-LABEL: func.func @unlike
// CHECK-NOT: scale 5.000000e-01 rope
func.func @unlike(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %batch: !lm.batch, %n: tensor<4xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %0 = lm.rotary_embedding %q, %batch head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>
  %1 = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e6> : tensor<?x4xf32>
  %c0 = lm.cache : !lm.cache<1 x 4>
  %2, %next0 = lm.attention %0, %1, %k, %c0, %batch heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  %3 = lm.rotary_embedding %q, %batch norm %n epsilon 1.0e-5 head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>, tensor<4xf32>
  %4 = lm.rotary_embedding %k, %batch head_dim 4 <theta = 1.0e4> : tensor<?x4xf32>
  %c1 = lm.cache : !lm.cache<1 x 4>
  %5, %next1 = lm.attention %3, %4, %k, %c1, %batch heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  %6 = lm.rotary_embedding %q, %batch head_dim 2 <theta = 1.0e4> : tensor<?x8xf32>
  %7 = lm.rotary_embedding %k, %batch head_dim 2 <theta = 1.0e4> : tensor<?x4xf32>
  %c2 = lm.cache : !lm.cache<1 x 4>
  %8, %next2 = lm.attention %6, %7, %k, %c2, %batch heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  %c3 = lm.cache : !lm.cache<1 x 4>
  %9, %next3 = lm.attention %q, %k, %k, %c3, %batch heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return %2, %5, %8, %9 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
