// After quantisation the update still goes beneath it when the adapter was trained on the base: the order of
// the two passes makes no difference.
// RUN: %python %S/Inputs/make_adapter.py %t flint:64x64
// RUN: compressc-opt %S/Inputs/llama.mlir --pass-pipeline="builtin.module(quantize{bits=4 group-size=32},lora-merge{adapter=%t})" | FileCheck %s --check-prefix=BASE
// RUN: compressc-opt %S/Inputs/llama.mlir --pass-pipeline="builtin.module(lora-merge{adapter=%t},quantize{bits=4 group-size=32})" | FileCheck %s --check-prefix=BASE
// BASE: %[[W:.*]] = lm.load_param @flint.weight
// BASE: %[[M:.*]], %{{.*}} = compress.lora_merge %[[W]]
// BASE: %[[Q:.*]] = compress.quantize %[[M]] : tensor<64x64xf32>
// BASE: %[[D:.*]] = compress.dequantize %[[Q]]
// BASE: lm.linear %{{.*}}, %[[D]]
// BASE-NOT: compress.lora_merge

// Beneath AWQ's scales too, so that they apply to the update.
// RUN: compressc-opt %S/Inputs/llama.mlir --pass-pipeline="builtin.module(insert-calibration,awq-scale{bits=4 group-size=32},lora-merge{adapter=%t})" | FileCheck %s --check-prefix=AWQ
// AWQ: lm.block 0
// AWQ: %[[M:.*]], %{{.*}} = compress.lora_merge
// AWQ: compress.awq_scale %{{[^,]*}}, %[[M]],
// AWQ: compress.scale_columns %[[M]]

// Trained on what is there now: on top of it, and back to the format that it had, with a warning.
// RUN: compressc-opt %S/Inputs/llama.mlir --pass-pipeline="builtin.module(quantize{bits=4 group-size=32},lora-merge{adapter=%t trained-on=current})" 2>%t.err | FileCheck %s --check-prefix=CURRENT
// CURRENT: %[[W:.*]] = lm.load_param @flint.weight
// CURRENT: %[[Q:.*]] = compress.quantize %[[W]] : tensor<64x64xf16> -> [[PACKED:.*]]
// CURRENT: %[[D:.*]] = compress.dequantize %[[Q]]
// CURRENT: %[[M:.*]], %{{.*}} = compress.lora_merge %[[D]]
// CURRENT: compress.remark "lora-merge"
// CURRENT: %[[R:.*]] = compress.quantize %[[M]] : tensor<64x64xf32> -> [[PACKED]]
// CURRENT: %[[V:.*]] = compress.dequantize %[[R]]
// CURRENT: lm.linear %{{.*}}, %[[V]]
// RUN: FileCheck %s --check-prefix=WARNING --input-file=%t.err
// WARNING: warning: lora-merge: 1 weights are quantised already and are rounded a second time; merge before quantising, or use trained-on=base
