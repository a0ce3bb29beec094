// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize="target=embedding rank=8" 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: error: svd-factorize: there is no target 'embedding'; there is lm_head
// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: svd-factorize: rank is 0; basalt.weight is 96x64, so give 1 to 64
// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: error: svd-factorize: rank is -1;
// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=65 2>&1 | FileCheck %s --check-prefix=LARGE
// LARGE: error: svd-factorize: rank is 65; basalt.weight is 96x64, so give 1 to 64
// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize="rank=8 damping=2" 2>&1 | FileCheck %s --check-prefix=DAMPING
// DAMPING: error: svd-factorize: damping is 2.0{{.*}}; it must be from 0 to 1
// RUN: not compressc-opt %S/Inputs/llama.mlir --svd-factorize=rank=8 --svd-factorize=rank=4 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: error: svd-factorize: the head is factorised already; give the original one rank
// RUN: not compressc-opt %s --svd-factorize=rank=8 2>&1 | FileCheck %s --check-prefix=HEADLESS
// HEADLESS: error: svd-factorize: there is no head: no linear makes a result of this function

func.func @forward(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = lm.block 0 (%a = %x) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %sum = arith.addf %a, %a : tensor<?x64xf32>
    lm.yield %sum : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}
