// A group with a weight that matches is left alone; a name is exact, re: matches from the start.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="group-size=32 ignore=amber,onyx.weight,re:(ga|r).*" | FileCheck %s

// CHECK: lm.block 0
// CHECK: lm.block 0
// CHECK-NOT: compress.remark
// CHECK: compress.remark "awq-scale" ["zircon.weight"]
// CHECK: lm.block 1
// CHECK: lm.block 1
// CHECK: compress.remark "awq-scale" ["topaz.weight", "pearl.weight", "coral.weight"]
// CHECK: compress.remark "awq-scale" ["beryl.weight", "quartz.weight"]
// CHECK: compress.remark "awq-scale" ["spinel.weight"]

// Part of a name is another name.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="group-size=32 ignore=amb,re:mber,re:x" | FileCheck %s --check-prefix=ALL
// ALL-COUNT-8: compress.remark "awq-scale"
