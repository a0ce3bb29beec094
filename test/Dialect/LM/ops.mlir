// Every operation, type and attribute is printed as it is read.
// RUN: compressc-opt --verify-roundtrip %s | FileCheck %s

// CHECK: lm.param @plain : tensor<8xf16>
lm.param @plain : tensor<8xf16>
// CHECK: lm.param @renamed key "token_embd.weight" : !compress.blocks<16x32, q8_0>
lm.param @renamed key "token_embd.weight" : !compress.blocks<16x32, q8_0>
// CHECK: lm.param @same splat 1.000000e+00 : tensor<16x8xf32>
lm.param @same splat 1.0 : tensor<16x8xf32>
// CHECK: lm.param @beside file "adapter/adapter_model.safetensors" key "a" : tensor<8x64xf32>
lm.param @beside file "adapter/adapter_model.safetensors" key "a" : tensor<8x64xf32>
// CHECK: lm.param @both key "k" splat 2.500000e-01 : tensor<8xbf16> {note = "kept"}
lm.param @both key "k" splat 0.25 : tensor<8xbf16> {note = "kept"}

// CHECK-LABEL: func.func @parameters
func.func @parameters() -> (tensor<16x8xf32>, tensor<16x8xf32>) {
  // CHECK: lm.load_param @same : tensor<16x8xf32>
  %a = lm.load_param @same : tensor<16x8xf32>
  // CHECK: lm.load_param @same as "head.weight" : tensor<16x8xf32>
  %b = lm.load_param @same as "head.weight" : tensor<16x8xf32>
  return %a, %b : tensor<16x8xf32>, tensor<16x8xf32>
}

// CHECK-LABEL: func.func @embedding
func.func @embedding(%tokens: tensor<?xi32>, %table: tensor<16x8xbf16>) -> tensor<?x8xf32> {
  // CHECK: lm.embedding %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<16x8xbf16>) -> tensor<?x8xf32>
  %0 = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<16x8xbf16>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @norms
func.func @norms(%x: tensor<?x8xf32>, %w: tensor<8xf16>, %head: tensor<4xf32>) {
  // CHECK: lm.rms_norm %{{.*}}, %{{.*}} epsilon 1.000000e-05 : tensor<?x8xf32>, tensor<8xf16>
  %0 = lm.rms_norm %x, %w epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf16>
  // One norm for each head of four columns.
  // CHECK: lm.rms_norm %{{.*}}, %{{.*}} epsilon 0.000000e+00 : tensor<?x8xf32>, tensor<4xf32>
  %1 = lm.rms_norm %x, %head epsilon 0.0 : tensor<?x8xf32>, tensor<4xf32>
  // CHECK: lm.layer_norm %{{.*}}, %{{.*}} epsilon 1.000000e-05 : tensor<?x8xf32>, tensor<8xf16>{{$}}
  %2 = lm.layer_norm %x, %w epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf16>
  // CHECK: lm.layer_norm %{{.*}}, %{{.*}} bias %{{.*}} epsilon 1.000000e-05 : tensor<?x8xf32>, tensor<8xf16>, tensor<8xf16>
  %3 = lm.layer_norm %x, %w bias %w epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf16>, tensor<8xf16>
  return
}

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>, %b: tensor<16xf16>) {
  // CHECK: lm.linear %{{.*}}, %{{.*}} : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  // CHECK: lm.linear %{{.*}}, %{{.*}} bias %{{.*}} : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<16xf16>) -> tensor<?x16xf32>
  %1 = lm.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<16xf16>) -> tensor<?x16xf32>
  // CHECK: lm.linear %{{.*}}, %{{.*}} compute bf16 : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  %2 = lm.linear %x, %w compute bf16 : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x16xf32>
  return
}

// CHECK-LABEL: func.func @rotary_embedding
func.func @rotary_embedding(%x: tensor<?x8xf32>, %batch: !lm.batch, %norm: tensor<4xbf16>) {
  // CHECK: lm.rotary_embedding %{{.*}}, %{{.*}} head_dim 4 <theta = 1.000000e+05> : tensor<?x8xf32>
  %0 = lm.rotary_embedding %x, %batch head_dim 4 <theta = 1.0e5> : tensor<?x8xf32>
  // CHECK: lm.rotary_embedding %{{.*}}, %{{.*}} norm %{{.*}} epsilon 1.000000e-05 head_dim 4 <theta = 1.000000e+05> : tensor<?x8xf32>, tensor<4xbf16>
  %1 = lm.rotary_embedding %x, %batch norm %norm epsilon 1.0e-5 head_dim 4 <theta = 1.0e5> : tensor<?x8xf32>, tensor<4xbf16>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<?x8xf32>, %kv: tensor<?x4xf32>, %batch: !lm.batch, %norm: tensor<4xbf16>) {
  // CHECK: %[[CACHE:.*]] = lm.cache : !lm.cache<1 x 4>
  %cache = lm.cache : !lm.cache<1 x 4>
  // CHECK: lm.attention %{{.*}}, %{{.*}}, %{{.*}}, %[[CACHE]], %{{.*}} heads 2 kv_heads 1 scale 5.000000e-01 : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  %0, %next = lm.attention %q, %kv, %kv, %cache, %batch heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  // CHECK: scale 5.000000e-01 window 128 :
  %1, %last = lm.attention %q, %kv, %kv, %next, %batch heads 2 kv_heads 1 scale 0.5 window 128
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  // CHECK: scale 5.000000e-01 rope <theta = 1.000000e+05> : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  %2, %fourth = lm.attention %q, %kv, %kv, %last, %batch heads 2 kv_heads 1 scale 0.5 rope <theta = 1.0e5>
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  // CHECK: rope <theta = 1.000000e+05> norms(%{{.*}}, %{{.*}}) epsilon 1.000000e-05 : {{.*}}, !lm.cache<1 x 4>, tensor<4xbf16>, tensor<4xbf16> -> tensor<?x8xf32>
  %3, %fifth = lm.attention %q, %kv, %kv, %fourth, %batch heads 2 kv_heads 1 scale 0.5 rope <theta = 1.0e5> norms(%norm, %norm) epsilon 1.0e-5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4>, tensor<4xbf16>, tensor<4xbf16> -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @gated_activation
func.func @gated_activation(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>) {
  // CHECK: lm.gated_activation silu %{{.*}}, %{{.*}} : tensor<?x8xf32>
  %0 = lm.gated_activation silu %gate, %up : tensor<?x8xf32>
  // CHECK: lm.gated_activation gelu %
  %1 = lm.gated_activation gelu %gate, %up : tensor<?x8xf32>
  // CHECK: lm.gated_activation gelu_tanh %
  %2 = lm.gated_activation gelu_tanh %gate, %up : tensor<?x8xf32>
  // CHECK: lm.gated_activation relu %
  %3 = lm.gated_activation relu %gate, %up : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @select_rows
func.func @select_rows(%x: tensor<?x8xf32>, %batch: !lm.batch) -> tensor<?x8xf32> {
  // CHECK: lm.select_rows %{{.*}}, %{{.*}} : tensor<?x8xf32> -> tensor<?x8xf32>
  %0 = lm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @block
// CHECK-SAME: %[[H:.*]]: tensor<?x8xf32>, %[[BATCH:.*]]: !lm.batch
func.func @block(%h: tensor<?x8xf32>, %batch: !lm.batch) -> tensor<?x8xf32> {
  // CHECK: %{{.*}} = lm.block 3 (%[[X:.*]] = %[[H]]) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[R:.*]] = lm.select_rows %[[X]], %[[BATCH]]
  // CHECK-NEXT: lm.yield %[[R]] : tensor<?x8xf32>
  // CHECK-NEXT: } {note = "kept"}
  %0 = lm.block 3 (%x = %h) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %r = lm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
    lm.yield %r : tensor<?x8xf32>
  } {note = "kept"}
  // CHECK: lm.block 4 () : () -> () {
  lm.block 4 () : () -> () {
  }
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @fused
func.func @fused(%x: tensor<?x8xf32>, %n: tensor<8xf16>, %w: tensor<16x8xf16>, %v: tensor<16x8xf32>, %b: tensor<16xf32>, %h: tensor<?x16xf32>) {
  // CHECK: lm.fused_linear %{{.*}} weights(%{{.*}}, %{{.*}}) biases(%{{.*}}) {biased = 2 : i64} : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<16x8xf32>, tensor<16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  %0:2 = lm.fused_linear %x weights(%w, %v) biases(%b) {biased = 2 : i64} : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<16x8xf32>, tensor<16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  // CHECK: lm.fused_linear gate relu %{{.*}} norm %{{.*}} epsilon 1.000000e-05 weights(%{{.*}}, %{{.*}}) :
  %1 = lm.fused_linear gate relu %x norm %n epsilon 1.0e-5 weights(%w, %v) : (tensor<?x8xf32>, tensor<8xf16>, tensor<16x8xf16>, tensor<16x8xf32>) -> tensor<?x16xf32>
  // CHECK: lm.fused_linear %{{.*}} weights(%{{.*}}) add %{{.*}} :
  %2 = lm.fused_linear %x weights(%w) add %h : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<?x16xf32>) -> tensor<?x16xf32>
  return
}
