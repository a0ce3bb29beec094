// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip=group-size=32 | FileCheck %s

// CHECK: %[[C:.*]]:5 = lm.block 0
// CHECK-NOT: compress.clip
// CHECK: lm.block 0

// q and k are rotated: left.
// CHECK: %[[WQ:.*]] = lm.load_param @flint.weight
// CHECK-NEXT: lm.linear %{{.*}}, %[[WQ]]
// CHECK: %[[WK:.*]] = lm.load_param @amber.weight
// CHECK-NEXT: lm.linear %{{.*}}, %[[WK]]

// CHECK: %[[WV:.*]] = lm.load_param @slate.weight
// CHECK: %[[W:.*]], %[[CHOICE:.*]] = compress.clip %[[WV]], %[[C]]#1 {bits = 4 : i64, group = 32 : i64, scale_type = f16, symmetric = false}
// CHECK-NEXT: compress.remark "clip" ["slate.weight"] ["error_ratio", "range_ratio"] %[[CHOICE]]
// CHECK-NEXT: lm.linear %{{.*}}, %[[W]] bias
// CHECK: compress.clip %{{.*}}, %[[C]]#2
// CHECK: compress.remark "clip" ["onyx.weight"]
// CHECK: compress.clip %{{.*}}, %[[C]]#3
// CHECK: compress.remark "clip" ["agate.weight"]
// CHECK: compress.clip %{{.*}}, %[[C]]#3
// CHECK: compress.remark "clip" ["garnet.weight"]
// CHECK: compress.clip %{{.*}}, %[[C]]#4
// CHECK: compress.remark "clip" ["zircon.weight"]
// CHECK: lm.block 1
// CHECK: lm.block 1
// CHECK-COUNT-5: compress.clip
// CHECK-NOT: compress.clip
