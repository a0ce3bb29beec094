// RUN: not compressc-opt %S/Inputs/llama.mlir --prune-layers=count=2 2>&1 | FileCheck %s --check-prefix=ALL
// ALL: error: prune-layers: count is 2; the model has 2 layers, and at least one must stay
// RUN: not compressc-opt %S/Inputs/llama.mlir --prune-layers=count=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: error: prune-layers: count is -1
// RUN: not compressc-opt %S/Inputs/llama.mlir --prune-layers=count=1 --prune-layers=count=1 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: error: prune-layers: layers are chosen already; give one prune-layers the whole count
// RUN: not compressc-opt %S/Inputs/llama.mlir --prune-layers=count=1 --bind-weights 2>&1 | FileCheck %s --check-prefix=OPEN
// OPEN: error: prune-layers chooses by calibration data; that must be resolved before
// RUN: not compressc-opt %s --prune-layers=count=1 2>&1 | FileCheck %s --check-prefix=TWO
// TWO: error: prune-layers: a layer that doesn't take and give one hidden state can't be left out

func.func @forward(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = lm.block 0 (%a = %x, %b = %y) : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32> {
    %sum = arith.addf %a, %b : tensor<?x64xf32>
    lm.yield %sum : tensor<?x64xf32>
  }
  %1 = lm.block 1 (%a = %0) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %sum = arith.addf %a, %a : tensor<?x64xf32>
    lm.yield %sum : tensor<?x64xf32>
  }
  return %1 : tensor<?x64xf32>
}
