// RUN: compressc-opt --canonicalize --cse %s | FileCheck %s

// A result that nobody reads goes, and with it what only made it.
// CHECK-LABEL: func.func @unused_result
func.func @unused_result(%h: tensor<?x8xf32>, %batch: !lm.batch) -> tensor<?x8xf32> {
  // CHECK: %[[R:.*]] = lm.block 0 (%[[X:.*]] = %{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[S:.*]] = lm.select_rows %[[X]]
  // CHECK-NEXT: lm.yield %[[S]] : tensor<?x8xf32>
  // CHECK: return %[[R]]
  %0:2 = lm.block 0 (%x = %h) : (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
    %dead = arith.addf %x, %x : tensor<?x8xf32>
    %r = lm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
    lm.yield %dead, %r : tensor<?x8xf32>, tensor<?x8xf32>
  }
  return %0#1 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @unused_argument
// CHECK-SAME: %[[A:.*]]: tensor<?x8xf32>, %[[B:.*]]: tensor<?x8xf32>
func.func @unused_argument(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.block 1 (%[[Y:.*]] = %[[B]]) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: arith.addf %[[Y]], %[[Y]]
  %0 = lm.block 1 (%x = %a, %y = %b) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
    %r = arith.addf %y, %y : tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// An argument that only an unused result passes on is unused too.
// CHECK-LABEL: func.func @argument_of_unused_result
// CHECK-SAME: %[[A:.*]]: tensor<?x8xf32>, %{{.*}}: tensor<?x8xf32>
func.func @argument_of_unused_result(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.block 1 (%{{.*}} = %[[A]]) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0:2 = lm.block 1 (%x = %a, %y = %b) : (tensor<?x8xf32>, tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
    %r = arith.addf %x, %x : tensor<?x8xf32>
    lm.yield %y, %r : tensor<?x8xf32>, tensor<?x8xf32>
  }
  return %0#1 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @passes_argument_through
// CHECK-SAME: %[[A:.*]]: tensor<?x8xf32>
func.func @passes_argument_through(%a: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: %[[R:.*]] = lm.block 2 ({{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: return %[[A]], %[[R]]
  %0:2 = lm.block 2 (%x = %a) : (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
    %r = arith.addf %x, %x : tensor<?x8xf32>
    lm.yield %x, %r : tensor<?x8xf32>, tensor<?x8xf32>
  }
  return %0#0, %0#1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// A layer that passes everything through is no layer.
// CHECK-LABEL: func.func @passes_outer_value_through
// CHECK-SAME: %{{.*}}: tensor<?x8xf32>, %[[B:.*]]: tensor<?x8xf32>
// CHECK-NEXT: return %[[B]]
func.func @passes_outer_value_through(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = lm.block 2 (%x = %a) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    lm.yield %b : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @nothing_to_drop
func.func @nothing_to_drop(%h: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.block 7 (%[[X:.*]] = %{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[R:.*]] = arith.addf %[[X]], %[[X]]
  // CHECK-NEXT: lm.yield %[[R]]
  %0 = lm.block 7 (%x = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %r = arith.addf %x, %x : tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @dead_cache
// CHECK-NEXT: return
func.func @dead_cache() {
  %cache = lm.cache : !lm.cache<1 x 4>
  return
}

// A layer that nobody reads goes with its cache and its attention.
// CHECK-LABEL: func.func @dead_layer
// CHECK-NEXT: return
func.func @dead_layer(%h: tensor<?x4xf32>, %batch: !lm.batch) {
  %0 = lm.block 0 (%x = %h) : (tensor<?x4xf32>) -> tensor<?x4xf32> {
    %cache = lm.cache : !lm.cache<1 x 4>
    %r, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5
        : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
    lm.yield %r : tensor<?x4xf32>
  }
  return
}

// Each operation is a cache of its own: two alike are not one.
// CHECK-LABEL: func.func @two_caches
// CHECK-COUNT-2: lm.cache
func.func @two_caches() -> (!lm.cache<1 x 4>, !lm.cache<1 x 4>) {
  %0 = lm.cache : !lm.cache<1 x 4>
  %1 = lm.cache : !lm.cache<1 x 4>
  return %0, %1 : !lm.cache<1 x 4>, !lm.cache<1 x 4>
}
