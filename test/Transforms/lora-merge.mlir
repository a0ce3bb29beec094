// An update goes to the layers that the adapter names, onto what is loaded.
// RUN: %python %S/Inputs/make_adapter.py %t flint:64x64 coral:32x64
// RUN: compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t" | FileCheck %s
// CHECK-DAG: lm.param @coral.lora_A.weight file "{{.*}}/adapter_model.safetensors" key "base_model.model.coral.lora_A.weight" : tensor<4x64xf32>
// CHECK-DAG: lm.param @coral.lora_B.weight file "{{.*}}/adapter_model.safetensors" key "base_model.model.coral.lora_B.weight" : tensor<32x4xf32>
// CHECK-DAG: lm.param @flint.lora_A.weight
// CHECK: lm.block 0
// CHECK: %[[W:.*]] = lm.load_param @flint.weight
// CHECK: %[[A:.*]] = lm.load_param @flint.lora_A.weight : tensor<4x64xf32>
// CHECK: %[[B:.*]] = lm.load_param @flint.lora_B.weight : tensor<64x4xf32>
// CHECK: %[[M:.*]], %[[CHANGE:.*]] = compress.lora_merge %[[W]], %[[A]], %[[B]] scale 2.000000e+00
// CHECK: compress.remark "lora-merge" ["flint.weight"] ["relative_change"] %[[CHANGE]]
// CHECK: lm.linear %{{.*}}, %[[M]]
// CHECK: lm.block 1
// CHECK: compress.lora_merge
// CHECK-NOT: compress.lora_merge

// Rank-stabilised: alpha / sqrt(rank); patterns give a module its own alpha.
// RUN: %python %S/Inputs/make_adapter.py %t.rs flint:64x64 topaz:64x64 use_rslora=true 'alpha_pattern={"topaz": 3}'
// RUN: compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.rs" | FileCheck %s --check-prefix=RS
// RS: compress.lora_merge {{.*}} scale 4.000000e+00
// RS: compress.lora_merge {{.*}} scale 1.500000e+00

// Two adapters add up: the second one's parameters have names of their own.
// RUN: compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t" "--lora-merge=adapter=%t.rs" | FileCheck %s --check-prefix=TWO
// TWO: %[[W:.*]] = lm.load_param @flint.weight
// TWO: %[[SECOND:.*]], %{{.*}} = compress.lora_merge %[[W]], {{.*}} scale 4.000000e+00
// TWO: compress.lora_merge %[[SECOND]], {{.*}} scale 2.000000e+00
