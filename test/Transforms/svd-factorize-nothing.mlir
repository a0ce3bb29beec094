// A function without layers is no model: nothing changes.
// RUN: compressc-opt %s > %t.before
// RUN: compressc-opt %s --svd-factorize=rank=8 | diff %t.before -

lm.param @w : tensor<96x64xf32>
func.func @forward(%x: tensor<?x64xf32>) -> tensor<?x96xf32> {
  %w = lm.load_param @w : tensor<96x64xf32>
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  return %0 : tensor<?x96xf32>
}
