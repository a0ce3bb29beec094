// Round to nearest needs no calibration; the embedding and the head are kept.
// RUN: compressc-opt %S/Inputs/llama.mlir --quantize=group-size=32 | FileCheck %s

// CHECK: %[[T:.*]] = lm.load_param @chalk.weight
// CHECK-NEXT: lm.embedding %{{.*}}, %[[T]]
// CHECK: lm.block 0
// CHECK: %[[W:.*]] = lm.load_param @flint.weight
// CHECK-NEXT: %[[CODES:.*]] = compress.quantize %[[W]] : tensor<64x64xf16> -> !compress.packed<64x64, bits = 4, group = 32, asymmetric, f16>
// CHECK-NEXT: %[[VALUES:.*]] = compress.dequantize %[[CODES]] : {{.*}} -> tensor<64x64xf32>
// CHECK-NEXT: lm.linear %{{.*}}, %[[VALUES]] : (tensor<?x64xf32>, tensor<64x64xf32>)
// CHECK-NOT: compress.remark
// CHECK-COUNT-6: compress.quantize
// CHECK: lm.block 1
// CHECK-COUNT-7: compress.quantize
// CHECK-NOT: compress.quantize
// CHECK: %[[H:.*]] = lm.load_param @chalk.weight as "basalt.weight"
// CHECK-NEXT: lm.linear %{{.*}}, %[[H]]
