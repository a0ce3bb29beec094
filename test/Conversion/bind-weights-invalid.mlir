// RUN: compressc-opt %s --split-input-file --verify-diagnostics --bind-weights

lm.param @t : tensor<32x32xf32>
lm.param @s : tensor<32xf32>
func.func @conflict(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %s = lm.load_param @s : tensor<32xf32>
  %t = lm.load_param @t : tensor<32x32xf32>
  %table = compress.convert %t : tensor<32x32xf32> -> tensor<32x32xf16>
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  %head = compress.scale_columns %t by %s : tensor<32x32xf32>, tensor<32xf32> -> tensor<32x32xf32>
  // expected-error@+1 {{two different rewrites of t are needed; a tied parameter needs an alias for each use}}
  %0 = lm.linear %x, %head : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----
lm.param @t : tensor<32x32xf32>
func.func @half(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %t = lm.load_param @t : tensor<32x32xf32>
  // expected-error@+1 {{t is needed both as it is and rewritten; a tied parameter needs an alias for each use}}
  %x = lm.embedding %tokens, %t : (tensor<?xi32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %head = compress.convert %t : tensor<32x32xf32> -> tensor<32x32xf16>
  %0 = lm.linear %x, %head : (tensor<?x32xf32>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----
func.func @nameless(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = arith.constant dense<1.0> : tensor<2x2xf32>
  // expected-error@+1 {{a weight expression that starts at no parameter has no name to be stored under}}
  %0 = lm.linear %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
