// All four groups of a layer are scaled, whatever the parameters are called.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale=group-size=32 --drop-calibration --canonicalize --cse | FileCheck %s

// The copy observes the layer as it was.
// CHECK: %[[C:.*]]:5 = lm.block 0
// CHECK-NOT: compress.scale

// CHECK: lm.block 0
// norm -> q, k, v: the norm's weight is divided, the columns are multiplied.
// CHECK-DAG: %[[N:.*]] = lm.load_param @opal.weight
// CHECK-DAG: %[[WQ:.*]] = lm.load_param @flint.weight
// CHECK-DAG: %[[WK:.*]] = lm.load_param @amber.weight
// CHECK-DAG: %[[WV:.*]] = lm.load_param @slate.weight
// CHECK: %[[S:.*]], %[[CHOICE:.*]] = compress.awq_scale %[[C]]#1, %[[WQ]], %[[WK]], %[[WV]] {bits = 4 : i64, grid = "all", group = 32 : i64, head_dim = 0 : i64, repeat = 1 : i64, scale_type = f16, symmetric = false}
// CHECK-NEXT: compress.remark "awq-scale" ["flint.weight", "amber.weight", "slate.weight"] ["kind", "ratio", "error", "identity_error"] %[[CHOICE]]
// CHECK-NEXT: %[[DIVIDED:.*]] = compress.scale_rows %[[N]] by inverse %[[S]]
// CHECK-NEXT: %[[NORMED:.*]] = lm.rms_norm %{{.*}}, %[[DIVIDED]]
// CHECK-NEXT: %[[Q:.*]] = compress.scale_columns %[[WQ]] by %[[S]]
// CHECK-NEXT: %[[K:.*]] = compress.scale_columns %[[WK]] by %[[S]]
// CHECK-NEXT: %[[V:.*]] = compress.scale_columns %[[WV]] by %[[S]]
// CHECK-DAG: lm.linear %[[NORMED]], %[[Q]]
// CHECK-DAG: lm.linear %[[NORMED]], %[[K]]

// v -> o: one scale for the two query heads that share a value head; v's rows and bias are divided.
// CHECK: %[[B:.*]] = lm.load_param @slate.b
// CHECK: %[[WO:.*]] = lm.load_param @onyx.weight
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[C]]#2, %[[WO]] {{{.*}}head_dim = 16 : i64, repeat = 2 : i64{{.*}}} : {{.*}} -> (tensor<32xf32>, tensor<4xf32>)
// CHECK: %[[S2:.*]] = compress.expand_heads %[[S]] repeat 2 head_dim 16 : tensor<32xf32> -> tensor<64xf32>
// CHECK: %[[ROWS:.*]] = compress.scale_rows %[[V]] by inverse %[[S]]
// CHECK: %[[BIAS:.*]] = compress.scale_rows %[[B]] by inverse %[[S]]
// CHECK: %[[VALUE:.*]] = lm.linear %[[NORMED]], %[[ROWS]] bias %[[BIAS]]
// CHECK: %[[ATTENDED:.*]], %{{.*}} = lm.attention %{{.*}}, %{{.*}}, %[[VALUE]],
// CHECK: %[[O:.*]] = compress.scale_columns %[[WO]] by %[[S2]]
// CHECK: lm.linear %[[ATTENDED]], %[[O]]

// post norm -> gate, up.
// CHECK: %[[N:.*]] = lm.load_param @mica.weight
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[C]]#3
// CHECK: compress.remark "awq-scale" ["agate.weight", "garnet.weight"]
// CHECK: %[[DIVIDED:.*]] = compress.scale_rows %[[N]] by inverse %[[S]]
// CHECK: %[[POST:.*]] = lm.rms_norm %{{.*}}, %[[DIVIDED]]
// CHECK: %[[G:.*]] = compress.scale_columns %{{.*}} by %[[S]]
// CHECK: %[[U:.*]] = compress.scale_columns %{{.*}} by %[[S]]
// CHECK: %[[GATE:.*]] = lm.linear %[[POST]], %[[G]]

// up -> down: the gate is not linear in its operand, up is.
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[C]]#4, %[[WD:.*]] {
// CHECK: %[[ROWS:.*]] = compress.scale_rows %[[U]] by inverse %[[S]]
// CHECK: %[[UP:.*]] = lm.linear %[[POST]], %[[ROWS]]
// CHECK: %[[GATED:.*]] = lm.gated_activation silu %[[GATE]], %[[UP]]
// CHECK: %[[D:.*]] = compress.scale_columns %[[WD]] by %[[S]]
// CHECK: lm.linear %[[GATED]], %[[D]]

// CHECK: lm.block 1
// CHECK: lm.block 1
// CHECK-COUNT-4: compress.awq_scale
// CHECK-NOT: compress.awq_scale
