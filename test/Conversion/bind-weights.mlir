// Each weight expression becomes a parameter of its root's name; the original, which calibration may still
// read, steps aside and keeps its key.
// RUN: compressc-opt %S/../Transforms/Inputs/llama.mlir --awq=group-size=32 --bind-weights --drop-calibration --canonicalize --symbol-dce | FileCheck %s

// CHECK: lm.param @chalk.weight : tensor<96x64xf16>
// CHECK-DAG: lm.param @opal.weight.original key "opal.weight" : tensor<64xf16>
// CHECK-DAG: lm.param @flint.weight.original key "flint.weight" : tensor<64x64xf16>
// CHECK-DAG: lm.param @opal.weight : tensor<64xf16>
// CHECK-DAG: lm.param @flint.weight : !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
// CHECK-DAG: lm.param @slate.b : tensor<32xf16>
// CHECK-DAG: lm.param @marble.weight : tensor<64xf16>
// CHECK-NOT: lm.param @marble

// CHECK-LABEL: func.func @forward
// CHECK: lm.block 0
// CHECK-NEXT: %[[N:.*]] = lm.load_param @opal.weight : tensor<64xf16>
// CHECK-NEXT: lm.rms_norm %{{.*}}, %[[N]]
// CHECK: %[[CODES:.*]] = lm.load_param @flint.weight : !compress.packed
// CHECK-NEXT: %[[VALUES:.*]] = compress.dequantize %[[CODES]]
// CHECK: lm.linear %{{.*}}, %[[VALUES]]
// CHECK: %[[B:.*]] = lm.load_param @slate.b : tensor<32xf16>
// CHECK: lm.linear %{{.*}} bias %[[B]]
// CHECK-NOT: compress.remark
// CHECK-NOT: compress.quantize
// CHECK: lm.block 1
// CHECK-NOT: lm.block
// CHECK: %[[HEAD:.*]] = lm.load_param @chalk.weight as "basalt.weight"
