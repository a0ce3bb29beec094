// A parameter may be called what buffers are usually called.
// RUN: compressc-opt %s --lower-to-exec | FileCheck %s

// CHECK: exec.program @in0
// CHECK: exec.tokens @tokens0
// CHECK: exec.buffer @in1 input tokens
// CHECK: exec.weight @tokens "tokens"
// CHECK: exec.buffer @b1 temporary
// CHECK: exec.weight @b0 "b0"
// CHECK: exec.cache @c1
// CHECK: exec.weight @c0 "c0"
// CHECK: exec.call "embedding" [@tokens0, @tokens] -> [@b1]
// CHECK: exec.call "linear" [@b1, @b0] -> [@b2]
lm.param @tokens : tensor<96x8xf16>
lm.param @b0 : tensor<8x8xf16>
lm.param @c0 : tensor<8xf16>
func.func @in0(%ids: tensor<?xi32>, %batch: !lm.batch, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %t = lm.load_param @tokens : tensor<96x8xf16>
  %0 = lm.embedding %ids, %t : (tensor<?xi32>, tensor<96x8xf16>) -> tensor<?x8xf32>
  %b = lm.load_param @b0 : tensor<8x8xf16>
  %1 = lm.linear %0, %b : (tensor<?x8xf32>, tensor<8x8xf16>) -> tensor<?x8xf32>
  %cache = lm.cache : !lm.cache<1 x 8>
  %c = lm.load_param @c0 : tensor<8xf16>
  %2 = lm.rms_norm %1, %c epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf16>
  %3, %next = lm.attention %2, %2, %y, %cache, %batch heads 1 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !lm.cache<1 x 8> -> tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}
