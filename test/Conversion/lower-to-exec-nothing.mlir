// A program stays, and so does a function without a body.
// RUN: compressc-opt %s --lower-to-exec | FileCheck %s
// CHECK: func.func private @elsewhere
func.func private @elsewhere(tensor<?x8xf32>)
// CHECK: exec.program @done max_tokens 8 max_selected 1 arena 0 {
// CHECK-NEXT: }
// CHECK-NOT: exec.program
exec.program @done max_tokens 8 max_selected 1 arena 0 {
}
