// RUN: compressc-opt --verify-diagnostics --split-input-file %s

func.func @negative_layer() {
  // expected-error@+1 {{the layer number must not be negative}}
  lm.block -1 () : () -> () {
  }
  return
}

// -----
func.func @input_types(%h: tensor<?x8xf32>) {
  // expected-error@+1 {{the block has 1 inputs and 0 input types}}
  lm.block 0 (%x = %h) : () -> () {
  }
  return
}

// -----
func.func @argument_types(%h: tensor<?x8xf32>) {
  // expected-error@+1 {{arguments and inputs differ in type}}
  "lm.block"(%h) <{layer = 0 : i64}> ({
  ^bb0(%x: tensor<?x4xf32>):
    lm.yield
  }) : (tensor<?x8xf32>) -> ()
  return
}

// -----
func.func @yielded_types(%h: tensor<?x8xf32>) {
  // expected-error@+1 {{yields 'tensor<?x8xf32>' but its results are 'tensor<?x4xf32>'}}
  %0 = lm.block 0 (%x = %h) : (tensor<?x8xf32>) -> tensor<?x4xf32> {
    lm.yield %x : tensor<?x8xf32>
  }
  return
}

// -----
func.func @yield_outside() {
  // expected-error@+1 {{'lm.yield' op expects parent op 'lm.block'}}
  lm.yield
}
