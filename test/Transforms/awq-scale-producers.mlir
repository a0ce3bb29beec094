// Which producers can be divided, found along the dataflow.
// RUN: compressc-opt %s --split-input-file --insert-calibration --awq-scale=group-size=32 | FileCheck %s

// A layer norm: weight and bias are divided.
// CHECK-LABEL: func.func @f
// CHECK: lm.block 0
// CHECK: lm.block 0
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale
// CHECK: %[[W:.*]] = compress.scale_rows %[[N:.*]] by inverse %[[S]]
// CHECK: %[[B:.*]] = compress.scale_rows %[[N]] by inverse %[[S]]
// CHECK: lm.layer_norm %{{.*}}, %[[W]] bias %[[B]]
// CHECK: %[[A:.*]] = compress.scale_columns
// CHECK: lm.linear %{{.*}}, %[[A]]
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.layer_norm %x, %n bias %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>, tensor<64xf16>
    %r = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// A layer norm without a bias.
// CHECK-LABEL: func.func @f
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale
// CHECK: %[[W:.*]] = compress.scale_rows %{{.*}} by inverse %[[S]]
// CHECK-NEXT: lm.layer_norm %{{.*}}, %[[W]] epsilon
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.layer_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %r = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// A linear that feeds a linear: its rows are divided. The first reads the hidden states, whose producer is
// another layer.
// CHECK-LABEL: func.func @f
// CHECK-COUNT-1: compress.awq_scale
// CHECK-NOT: compress.awq_scale
// CHECK: %[[A:.*]] = compress.scale_rows %{{.*}} by inverse %[[S:.*]] :
// CHECK: %[[M:.*]] = lm.linear %{{.*}}, %[[A]]
// CHECK: %[[B:.*]] = compress.scale_columns %{{.*}} by %[[S]]
// CHECK: lm.linear %{{.*}}, %[[B]]
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.linear %x, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %r = lm.linear %m, %b : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----
// One head for each value head: nothing to expand.
// CHECK-LABEL: func.func @f
// CHECK: compress.awq_scale {{.*}}repeat = 1
// CHECK-NOT: compress.expand_heads
// CHECK: compress.awq_scale {{.*}}head_dim = 16 : i64, repeat = 1 : i64
// CHECK-NOT: compress.expand_heads
lm.param @n : tensor<64xf16>
lm.param @a : tensor<64x64xf16>
lm.param @b : tensor<64x64xf16>
func.func @f(%h: tensor<?x64xf32>, %batch: !lm.batch) -> tensor<?x64xf32> {
  %n = lm.load_param @n : tensor<64xf16>
  %a = lm.load_param @a : tensor<64x64xf16>
  %b = lm.load_param @b : tensor<64x64xf16>
  %0 = lm.block 0 (%x = %h) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %m = lm.rms_norm %x, %n epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %v = lm.linear %m, %a : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %cache = lm.cache : !lm.cache<4 x 16>
    %o, %next = lm.attention %x, %x, %v, %cache, %batch heads 4 kv_heads 4 scale 0.25
        : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !lm.cache<4 x 16> -> tensor<?x64xf32>
    %r = lm.linear %o, %b : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    lm.yield %r : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}
