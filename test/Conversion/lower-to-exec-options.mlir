// RUN: compressc-opt %s --lower-to-exec="max-tokens=16777216 max-selected=16777216" | FileCheck %s --check-prefix=MOST
// MOST: exec.program @f max_tokens 16777216 max_selected 16777216 arena 536870912
// RUN: compressc-opt %s --lower-to-exec="max-tokens=1 max-selected=1" | FileCheck %s --check-prefix=LEAST
// LEAST: exec.program @f max_tokens 1 max_selected 1 arena 64

// RUN: not compressc-opt %s --lower-to-exec="max-tokens=0" 2>&1 | FileCheck %s
// RUN: not compressc-opt %s --lower-to-exec="max-tokens=16777217" 2>&1 | FileCheck %s
// RUN: not compressc-opt %s --lower-to-exec="max-selected=0" 2>&1 | FileCheck %s
// RUN: not compressc-opt %s --lower-to-exec="max-tokens=8 max-selected=9" 2>&1 | FileCheck %s
// CHECK: error: lower-to-exec: max-tokens must be 1 to 16777216 and max-selected 1 to max-tokens
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = arith.addf %x, %x : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
