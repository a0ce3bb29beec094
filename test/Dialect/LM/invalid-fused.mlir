// RUN: compressc-opt --verify-diagnostics --split-input-file %s

func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{needs 1 to 32 weights, not 0}}
  lm.fused_linear %x weights() : (tensor<?x8xf32>) -> ()
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{the input has 8 columns, a weight 4}}
  %r = lm.fused_linear %x weights(%u) : (tensor<?x8xf32>, tensor<16x4xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{biased = 0 does not name the 1 biases of 1 weights}}
  %r = lm.fused_linear %x weights(%v) biases(%b) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{biased = 2 does not name the 1 biases of 1 weights}}
  %r = lm.fused_linear %x weights(%v) biases(%b) {biased = 2 : i64} : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{weight 0 has 16 rows, its bias 8}}
  %r = lm.fused_linear %x weights(%w) biases(%b) {biased = 1 : i64} : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{norm and epsilon go together}}
  %r = lm.fused_linear %x weights(%v) {epsilon = 1.0e-5 : f64} : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{the input has 8 columns, the norm 4}}
  %r = lm.fused_linear %x norm %n epsilon 1.0e-5 weights(%v) : (tensor<?x8xf32>, tensor<4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{epsilon must not be negative}}
  %r = lm.fused_linear %x norm %b epsilon -1.0 weights(%v) : (tensor<?x8xf32>, tensor<8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{gate needs two weights of one shape and no residual}}
  %r = lm.fused_linear gate silu %x weights(%w, %v) : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x8xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{add needs one weight, whose rows are the residual's columns}}
  %r = lm.fused_linear %x weights(%w) add %h : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<?x8xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{has 1 results instead of 2}}
  %r = lm.fused_linear %x weights(%w, %v) : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<8x8xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %u: tensor<16x4xf32>, %v: tensor<8x8xf32>, %b: tensor<8xf32>, %n: tensor<4xf32>, %h: tensor<?x8xf32>) {
  // expected-error@+1 {{a weight has 8 rows, its result 16 columns}}
  %r = lm.fused_linear %x weights(%v) : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x16xf32>
  return
}

// -----
func.func @f(%x: tensor<?x8xf32>, %v: tensor<8x8xf32>) {
  // expected-error@+1 {{answers needs one weight and no residual}}
  %r:2 = lm.fused_linear %x weights(%v, %v) answers : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}
