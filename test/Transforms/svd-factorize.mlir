// The head is found along the dataflow and becomes two linears; what it reads is observed for every token.
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize="target=lm_head rank=8" | FileCheck %s
// CHECK: %[[H2:.*]] = lm.block 1
// CHECK: %[[SELECTED:.*]] = lm.select_rows %[[H2]]
// CHECK-DAG: %[[ALL:.*]] = lm.rms_norm %[[H2]]
// CHECK-DAG: %[[LAST:.*]] = lm.rms_norm %[[SELECTED]]
// CHECK: %[[W:.*]] = lm.load_param @chalk.weight as "basalt.weight"
// CHECK: %[[S:.*]] = compress.observe %[[ALL]]
// CHECK: %[[A:.*]], %[[B:.*]], %[[C:.*]] = compress.svd %[[W]], %[[S]] damping {{.*}} -> (tensor<96x8xf32>, tensor<8x64xf32>, tensor<4xf32>)
// CHECK: compress.remark "svd-factorize" ["basalt.weight"] ["rank", "error", "energy", "damping"] %[[C]]
// CHECK: %[[P:.*]] = lm.linear %[[LAST]], %[[B]] : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
// CHECK: %[[L:.*]] = lm.linear %[[P]], %[[A]] : (tensor<?x8xf32>, tensor<96x8xf32>) -> tensor<?x96xf32>
// CHECK: return %[[L]]

// Without calibration the weight itself is approximated.
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize="rank=8 whiten=false damping=0.5" | FileCheck %s --check-prefix=PLAIN
// PLAIN-NOT: compress.observe
// PLAIN: compress.svd %{{.*}} damping 5.000000e-01 : (tensor<96x64xf16>)

// Statistics that are there serve.
// RUN: compressc-opt %s --svd-factorize=rank=2 | FileCheck %s --check-prefix=THERE
// THERE: func.func @calibrated(%{{.*}}, %[[S:.*]]: !compress.statistics<64>
// THERE-NOT: compress.observe
// THERE: compress.svd %{{.*}}, %[[S]]
// THERE: lm.linear {{.*}} bias %

// The embedding stays; the factors are parameters of their own, and a quantiser that is asked for the head takes them.
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=8 --bind-weights | FileCheck %s --check-prefix=BOUND
// BOUND-DAG: lm.param @chalk.weight : tensor<96x64xf16>
// BOUND-DAG: lm.param @basalt.0.weight : tensor<8x64xf16>
// BOUND-DAG: lm.param @basalt.1.weight : tensor<96x8xf16>
// BOUND: lm.load_param @chalk.weight : tensor<96x64xf16>
// BOUND: lm.embedding
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=8 --quantize="group-size=8 head=true" --bind-weights | FileCheck %s --check-prefix=PACKED
// PACKED-DAG: lm.param @basalt.0.weight : !compress.packed<8x64, bits = 4, group = 8, asymmetric, f16>
// PACKED-DAG: lm.param @basalt.1.weight : !compress.packed<96x8, bits = 4, group = 8, asymmetric, f16>
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=8 --quantize=group-size=32 --bind-weights | FileCheck %s --check-prefix=BOUND

// What a quantised head stands for is factorised, with a remark.
// RUN: compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 head=true" --svd-factorize=rank=8 2>&1 | FileCheck %s --check-prefix=AFTER
// AFTER: remark: svd-factorize: basalt.weight is quantised; its dequantised values are factorised, and the factors are not quantised
// AFTER: %[[CODES:.*]] = compress.quantize {{.*}} -> !compress.packed<96x64
// AFTER: %[[VALUES:.*]] = compress.dequantize %[[CODES]]
// AFTER: compress.svd %[[VALUES]],

// A tied head is untied.
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=8 2>&1 | FileCheck %s --check-prefix=TIED
// TIED: remark: svd-factorize: basalt.weight is the embedding, which stays: the factors come on top, 1280 elements
// RUN: compressc-opt %s --svd-factorize=rank=2 2>&1 | FileCheck %s --check-prefix=UNTIED
// UNTIED-NOT: remark:

// Factors that are larger than the weight: a warning.
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=40 2>&1 | FileCheck %s --check-prefix=LARGER
// LARGER: warning: svd-factorize: at rank 40 the factors of basalt.weight have 6400 elements, the weight itself 6144
// RUN: compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=38 2>&1 | FileCheck %s --check-prefix=SMALLER
// SMALLER-NOT: warning

lm.param @w : tensor<10x64xf32>
lm.param @b : tensor<10xf32>
func.func @calibrated(%x: tensor<?x64xf32>, %s: !compress.statistics<64>) -> tensor<?x10xf32> {
  %0 = lm.block 0 (%a = %x) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %sum = arith.addf %a, %a : tensor<?x64xf32>
    lm.yield %sum : tensor<?x64xf32>
  }
  %1 = compress.calibrated %0 with %s : tensor<?x64xf32>, !compress.statistics<64>
  %w = lm.load_param @w : tensor<10x64xf32>
  %b = lm.load_param @b : tensor<10xf32>
  %2 = lm.linear %1, %w bias %b : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
  return %2 : tensor<?x10xf32>
}
