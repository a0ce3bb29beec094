// RUN: compressc-opt %s --split-input-file --verify-diagnostics --lower-to-exec

func.func @no_kernel(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{can't be lowered to a kernel call}}
  %0 = arith.subf %x, %x : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----
func.func @no_kernel_inside(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = lm.block 0 (%y = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    // expected-error@+1 {{can't be lowered to a kernel call}}
    %1 = arith.negf %y : tensor<?x8xf32>
    lm.yield %1 : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// -----
// Remarks are dropped before.
func.func @remark(%values: tensor<1xf32>) {
  // expected-error@+1 {{can't be lowered to a kernel call}}
  compress.remark "p" ["w"] ["error"] %values : tensor<1xf32>
  return
}

// -----
lm.param @wide : tensor<8x8xf64>
func.func @param_type() {
  // expected-error@+1 {{a parameter of type 'tensor<8x8xf64>' can't be loaded}}
  %w = lm.load_param @wide : tensor<8x8xf64>
  return
}

// -----
// expected-error@+1 {{an argument of type 'tensor<?x8xf64>' can't be lowered}}
func.func @argument_type(%x: tensor<?x8xf64>) {
  return
}

// -----
func.func @unused_type(%x: tensor<?x8xi32>) -> tensor<?x8xf64> {
  // expected-error@+1 {{can't be lowered to a kernel call}}
  %0 = arith.sitofp %x : tensor<?x8xi32> to tensor<?x8xf64>
  return %0 : tensor<?x8xf64>
}

// -----
func.func @returned_type(%batch: !lm.batch) -> !lm.batch {
  // expected-error@+1 {{a value of type '!lm.batch' can't be returned}}
  return %batch : !lm.batch
}
