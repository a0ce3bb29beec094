// RUN: compressc-opt --verify-diagnostics --split-input-file %s

// expected-error@+1 {{a cache needs at least one head and one column, not 0 x 64}}
func.func private @cache_heads(!lm.cache<0 x 64>)

// -----
// expected-error@+1 {{a cache needs at least one head and one column, not 3 x 0}}
func.func private @cache_columns(!lm.cache<3 x 0>)

// -----
func.func @load_unknown() {
  // expected-error@+1 {{there is no lm.param @absent}}
  %0 = lm.load_param @absent : tensor<8xf16>
  return
}

// -----
func.func private @not_a_param()
func.func @load_function() {
  // expected-error@+1 {{there is no lm.param @not_a_param}}
  %0 = lm.load_param @not_a_param : tensor<8xf16>
  return
}

// -----
lm.param @w : tensor<8xf16>
func.func @load_type() {
  // expected-error@+1 {{@w has type 'tensor<8xf16>'}}
  %0 = lm.load_param @w : tensor<8xf32>
  return
}

// -----
func.func @embedding_rank(%t: tensor<?xi32>, %table: tensor<8xf16>) {
  // expected-error@+1 {{the table must be a static tensor of rank 2, not 'tensor<8xf16>'}}
  %0 = lm.embedding %t, %table : (tensor<?xi32>, tensor<8xf16>) -> tensor<?x8xf32>
  return
}

// -----
func.func @embedding_dynamic(%t: tensor<?xi32>, %table: tensor<?x8xf16>) {
  // expected-error@+1 {{the table must be a static tensor of rank 2, not 'tensor<?x8xf16>'}}
  %0 = lm.embedding %t, %table : (tensor<?xi32>, tensor<?x8xf16>) -> tensor<?x8xf32>
  return
}

// -----
func.func @embedding_columns(%t: tensor<?xi32>, %table: tensor<16x8xf16>) {
  // expected-error@+1 {{the table has 8 columns, the result 9}}
  %0 = lm.embedding %t, %table : (tensor<?xi32>, tensor<16x8xf16>) -> tensor<?x9xf32>
  return
}

// -----
func.func @rms_norm_rank(%x: tensor<?x8xf32>, %w: tensor<1x8xf16>) {
  // expected-error@+1 {{the weight must be a static tensor of rank 1, not 'tensor<1x8xf16>'}}
  %0 = lm.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x8xf32>, tensor<1x8xf16>
  return
}

// -----
func.func @rms_norm_columns(%x: tensor<?x8xf32>, %w: tensor<3xf16>) {
  // expected-error@+1 {{the weight's 3 columns don't divide the input's 8}}
  %0 = lm.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x8xf32>, tensor<3xf16>
  return
}

// -----
func.func @rms_norm_empty(%x: tensor<?x8xf32>, %w: tensor<0xf16>) {
  // expected-error@+1 {{the weight's 0 columns don't divide the input's 8}}
  %0 = lm.rms_norm %x, %w epsilon 1.0e-5 : tensor<?x8xf32>, tensor<0xf16>
  return
}

// -----
func.func @rms_norm_epsilon(%x: tensor<?x8xf32>, %w: tensor<8xf16>) {
  // expected-error@+1 {{epsilon must not be negative}}
  %0 = lm.rms_norm %x, %w epsilon -1.0e-5 : tensor<?x8xf32>, tensor<8xf16>
  return
}

// -----
func.func @layer_norm_weight(%x: tensor<?x8xf32>, %w: tensor<4xf16>) {
  // expected-error@+1 {{the input has 8 columns, its weight 4}}
  %0 = lm.layer_norm %x, %w epsilon 1.0e-5 : tensor<?x8xf32>, tensor<4xf16>
  return
}

// -----
func.func @layer_norm_bias(%x: tensor<?x8xf32>, %w: tensor<8xf16>, %b: tensor<4xf16>) {
  // expected-error@+1 {{the input has 8 columns, its bias 4}}
  %0 = lm.layer_norm %x, %w bias %b epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf16>, tensor<4xf16>
  return
}

// -----
func.func @layer_norm_rank(%x: tensor<?x8xf32>, %w: tensor<8xf16>, %b: tensor<8x1xf16>) {
  // expected-error@+1 {{the bias must be a static tensor of rank 1, not 'tensor<8x1xf16>'}}
  %0 = lm.layer_norm %x, %w bias %b epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf16>, tensor<8x1xf16>
  return
}

// -----
func.func @layer_norm_epsilon(%x: tensor<?x8xf32>, %w: tensor<8xf16>) {
  // expected-error@+1 {{epsilon must not be negative}}
  %0 = lm.layer_norm %x, %w epsilon -1.0e-5 : tensor<?x8xf32>, tensor<8xf16>
  return
}

// -----
func.func @linear_rank(%x: tensor<?x8xf32>, %w: tensor<8xf16>) {
  // expected-error@+1 {{the weight must be a static tensor of rank 2, not 'tensor<8xf16>'}}
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8xf16>) -> tensor<?x8xf32>
  return
}

// -----
func.func @linear_columns(%x: tensor<?x8xf32>, %w: tensor<16x4xf16>) {
  // expected-error@+1 {{the input has 8 columns, the weight 4}}
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<16x4xf16>) -> tensor<?x16xf32>
  return
}

// -----
func.func @linear_rows(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>) {
  // expected-error@+1 {{the weight has 16 rows, the result 8 columns}}
  %0 = lm.linear %x, %w : (tensor<?x8xf32>, tensor<16x8xf16>) -> tensor<?x8xf32>
  return
}

// -----
func.func @linear_bias_rank(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>, %b: tensor<16x1xf16>) {
  // expected-error@+1 {{the bias must be a static tensor of rank 1, not 'tensor<16x1xf16>'}}
  %0 = lm.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<16x1xf16>) -> tensor<?x16xf32>
  return
}

// -----
func.func @linear_bias(%x: tensor<?x8xf32>, %w: tensor<16x8xf16>, %b: tensor<8xf16>) {
  // expected-error@+1 {{the weight has 16 rows, the bias 8}}
  %0 = lm.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<16x8xf16>, tensor<8xf16>) -> tensor<?x16xf32>
  return
}

// -----
func.func @rotary_odd(%x: tensor<?x9xf32>, %batch: !lm.batch) {
  // expected-error@+1 {{head_dim 3 must be even and divide the input's 9 columns}}
  %0 = lm.rotary_embedding %x, %batch head_dim 3 <theta = 1.0e4> : tensor<?x9xf32>
  return
}

// -----
func.func @rotary_columns(%x: tensor<?x8xf32>, %batch: !lm.batch) {
  // expected-error@+1 {{head_dim 6 must be even and divide the input's 8 columns}}
  %0 = lm.rotary_embedding %x, %batch head_dim 6 <theta = 1.0e4> : tensor<?x8xf32>
  return
}

// -----

func.func @rotary_norm(%x: tensor<?x8xf32>, %batch: !lm.batch, %norm: tensor<8xf32>) {
  // expected-error@+1 {{the norm has 8 columns, a head 4}}
  %0 = lm.rotary_embedding %x, %batch norm %norm epsilon 1.0e-5 head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @rotary_norm_epsilon(%x: tensor<?x8xf32>, %batch: !lm.batch) {
  // expected-error@+1 {{a norm and an epsilon go together}}
  %0 = lm.rotary_embedding %x, %batch head_dim 4 <theta = 1.0e4> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  return
}

// -----

func.func @rotary_norm_negative(%x: tensor<?x8xf32>, %batch: !lm.batch, %norm: tensor<4xf32>) {
  // expected-error@+1 {{epsilon must not be negative}}
  %0 = lm.rotary_embedding %x, %batch norm %norm epsilon -1.0 head_dim 4 <theta = 1.0e4> : tensor<?x8xf32>, tensor<4xf32>
  return
}

// -----
func.func @rotary_zero(%x: tensor<?x8xf32>, %batch: !lm.batch) {
  // expected-error@+1 {{head_dim 0 must be even and divide the input's 8 columns}}
  %0 = lm.rotary_embedding %x, %batch head_dim 0 <theta = 1.0e4> : tensor<?x8xf32>
  return
}

// -----
func.func @attention_rope_odd(%x: tensor<?x3xf32>, %batch: !lm.batch) {
  %cache = lm.cache : !lm.cache<1 x 3>
  // expected-error@+1 {{rope takes heads of an even number of columns, not 3}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 rope <theta = 1.0e4>
      : tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, !lm.cache<1 x 3> -> tensor<?x3xf32>
  return
}

// -----
func.func @attention_one_norm(%x: tensor<?x4xf32>, %batch: !lm.batch, %n: tensor<4xf32>) {
  %cache = lm.cache : !lm.cache<1 x 4>
  // expected-error@+1 {{takes two norms, of query and key, and only with a rope; it has 1}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 rope <theta = 1.0e4> norms(%n) epsilon 1.0e-5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4>, tensor<4xf32> -> tensor<?x4xf32>
  return
}

// -----
func.func @attention_norms_alone(%x: tensor<?x4xf32>, %batch: !lm.batch, %n: tensor<4xf32>) {
  %cache = lm.cache : !lm.cache<1 x 4>
  // expected-error@+1 {{takes two norms, of query and key, and only with a rope; it has 2}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 norms(%n, %n) epsilon 1.0e-5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4>, tensor<4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  return
}

// -----
func.func @attention_norm_columns(%x: tensor<?x4xf32>, %batch: !lm.batch, %n: tensor<4xf32>, %m: tensor<8xf32>) {
  %cache = lm.cache : !lm.cache<1 x 4>
  // expected-error@+1 {{a norm has 8 columns, a head 4}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 rope <theta = 1.0e4> norms(%n, %m) epsilon 1.0e-5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4>, tensor<4xf32>, tensor<8xf32> -> tensor<?x4xf32>
  return
}

// -----
func.func @attention_epsilon_alone(%x: tensor<?x4xf32>, %batch: !lm.batch) {
  %cache = lm.cache : !lm.cache<1 x 4>
  // expected-error@+1 {{norms and an epsilon go together}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 rope <theta = 1.0e4> {epsilon = 1.0e-5 : f64}
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  return
}

// -----
func.func @attention_epsilon_negative(%x: tensor<?x4xf32>, %batch: !lm.batch, %n: tensor<4xf32>) {
  %cache = lm.cache : !lm.cache<1 x 4>
  // expected-error@+1 {{epsilon must not be negative}}
  %0, %next = lm.attention %x, %x, %x, %cache, %batch heads 1 kv_heads 1 scale 0.5 rope <theta = 1.0e4> norms(%n, %n) epsilon -1.0
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4>, tensor<4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  return
}

// -----
func.func @select_rows(%x: tensor<?x8xf32>, %batch: !lm.batch) {
  // expected-error@+1 {{the result must have the input's columns}}
  %0 = lm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----
func.func @gated_unknown(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{one of the following enum values for attribute 'kind' [silu, gelu, gelu_tanh, relu]}}
  %0 = lm.gated_activation tanh %x, %x : tensor<?x8xf32>
  return
}

// -----
func.func @gated_columns(%x: tensor<?x8xf32>, %y: tensor<?x4xf32>) {
  // expected-error@+1 {{requires the same type for all operands and results}}
  %0 = "lm.gated_activation"(%x, %y) <{kind = 0 : i32}> : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @narrow_input(%x: tensor<?x8xbf16>, %w: tensor<8x8xf32>) {
  // expected-error@+1 {{reads bf16 rows: that takes compute bf16 or fp8 and no norm}}
  %0 = lm.linear %x, %w : (tensor<?x8xbf16>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @narrow_norm(%x: tensor<?x8xbf16>, %w: tensor<8x8xf32>, %n: tensor<8xf32>) {
  // expected-error@+1 {{reads bf16 rows: that takes compute bf16 or fp8 and no norm}}
  %0 = lm.fused_linear %x norm %n epsilon 1.0e-5 weights(%w) compute bf16 : (tensor<?x8xbf16>, tensor<8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @narrow_result(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) {
  // expected-error@+1 {{gives bf16 rows: only gated linears do}}
  %0 = lm.fused_linear %x weights(%w) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xbf16>
  return
}
