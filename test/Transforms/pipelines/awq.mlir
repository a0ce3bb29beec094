// Scale, clip, round: in this order, for each weight, by the statistics of the scaled input.
// RUN: compressc-opt %S/../Inputs/llama.mlir --awq=group-size=32 | FileCheck %s

// CHECK: %[[C:.*]]:5 = lm.block 0
// CHECK-NOT: compress.quantize
// CHECK: lm.block 0
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[C]]#1
// CHECK: %[[STATS:.*]] = compress.scale_statistics %[[C]]#1 by %[[S]]
// CHECK: %[[Q:.*]] = compress.scale_columns
// CHECK: %[[K:.*]] = compress.scale_columns
// CHECK: %[[V:.*]] = compress.scale_columns
// CHECK: compress.quantize %[[Q]]
// CHECK: compress.quantize %[[K]]
// v's rows are divided for o before it is clipped.
// CHECK: %[[VO:.*]] = compress.scale_rows %[[V]] by inverse
// CHECK: %[[CLIPPED:.*]], %{{.*}} = compress.clip %[[VO]], %[[STATS]]
// CHECK: %[[CODES:.*]] = compress.quantize %[[CLIPPED]]
// CHECK: compress.output_error %[[VO]], %[[CODES]], %[[STATS]]
// CHECK: lm.block 1

// The options reach every pass.
// RUN: compressc-opt %S/../Inputs/llama.mlir --awq="bits=3 group-size=16 symmetric grid=plain propagation=quantized clip-query-key ignore=re:[zs]" | FileCheck %s --check-prefix=OPTIONS
// OPTIONS: compress.observe
// OPTIONS: compress.awq_scale {{.*}} {bits = 3 : i64, grid = "plain", group = 16 : i64, {{.*}}symmetric = true}
// OPTIONS: compress.clip {{.*}} {bits = 3 : i64, group = 16 : i64, scale_type = f16, symmetric = true}
// OPTIONS-NEXT: compress.remark "clip" ["onyx.weight"]
// OPTIONS: compress.quantize {{.*}}bits = 3, group = 16, symmetric, f16>
// OPTIONS-NOT: "quantize" ["zircon.weight"]
// OPTIONS: lm.block 1
// OPTIONS: compress.remark "clip" ["topaz.weight"]

// RUN: not compressc-opt %S/../Inputs/llama.mlir --awq 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: awq-scale: group size 128 does not divide the 64 columns of flint.weight; use a divisor such as 64
