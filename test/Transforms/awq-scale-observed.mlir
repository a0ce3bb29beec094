// A producer that an observation reads stays, undivided, and so does its cache.
// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration=propagation=quantized --awq-scale=group-size=32 | FileCheck %s

// CHECK: lm.block 0
// CHECK: %[[W:.*]] = lm.load_param @opal.weight
// CHECK: %[[N:.*]] = lm.rms_norm %{{.*}}, %[[W]]
// CHECK: %[[STATS:.*]] = compress.observe %[[N]]
// CHECK: %[[S:.*]], %{{.*}} = compress.awq_scale %[[STATS]]
// CHECK: %[[DIVIDED:.*]] = compress.scale_rows %[[W]] by inverse %[[S]]
// CHECK: lm.rms_norm %{{.*}}, %[[DIVIDED]]
// CHECK: %[[CACHE:.*]] = lm.cache
// CHECK: %[[ATTENDED:.*]], %{{.*}} = lm.attention %{{.*}}, %[[CACHE]]
// CHECK: compress.observe %[[ATTENDED]]
// CHECK: %[[OTHER:.*]] = lm.cache
// CHECK: lm.attention %{{.*}}, %[[OTHER]]
// CHECK: lm.block 1
