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

// Parameters are known by their keys in the checkpoint, whatever the graph calls them, and followed from there; layers
// may have other numbers. Here one parameter took the name of another.
// RUN: sed -e 's/lm.param @flint.weight :/lm.param @gravel key "flint.weight" :/' -e 's/load_param @flint.weight/load_param @gravel/' -e 's/lm.param @topaz.weight :/lm.param @flint.weight key "topaz.weight" :/' -e 's/load_param @topaz.weight/load_param @flint.weight/' -e 's/lm.block 0/lm.block 2/' %S/Inputs/llama.mlir > %t.renamed.mlir
// RUN: compressc-opt %t.renamed.mlir "--lora-merge=adapter=%t.rs" | FileCheck %s --check-prefix=RENAMED
// RENAMED: lm.block 2
// RENAMED: %[[W:.*]] = lm.load_param @gravel
// RENAMED: compress.lora_merge %[[W]], {{.*}} scale 4.000000e+00
// RENAMED: lm.block 1
// RENAMED: %[[W:.*]] = lm.load_param @flint.weight
// RENAMED: compress.lora_merge %[[W]], {{.*}} scale 1.500000e+00

// A parameter that the file stores in its own way (GGUF, ONNX): the update fits the weight that comes out of it.
// RUN: sed -e 's/lm.param @coral.weight : tensor<32x64xf16>/lm.param @coral.weight key "x1" : tensor<64x32xf32>/' -e 's/%%coral = lm.load_param @coral.weight : .*/%%x1 = lm.load_param @coral.weight : tensor<64x32xf32>\n%%x2 = compress.convert %%x1 : tensor<64x32xf32> -> tensor<64x32xf16>\n%%coral = compress.transpose %%x2 : tensor<64x32xf16> -> tensor<32x64xf16>/' %S/Inputs/llama.mlir > %t.stored.mlir
// RUN: compressc-opt %t.stored.mlir "--lora-merge=adapter=%t" | FileCheck %s --check-prefix=STORED
// STORED: %[[W:.*]] = compress.transpose
// STORED: compress.lora_merge %[[W]], {{.*}} : (tensor<32x64xf16>, tensor<4x64xf32>, tensor<32x4xf32>)

// A layer that was dropped takes its updates with it, which is said.
// RUN: sed -e '/lm.block 1 /,/^  }/d' -e 's/%%h2/%%h1/' %S/Inputs/llama.mlir > %t.pruned.mlir
// RUN: compressc-opt %t.pruned.mlir "--lora-merge=adapter=%t" 2>%t.err | FileCheck %s --check-prefix=PRUNED
// PRUNED: compress.remark "lora-merge" ["flint.weight"]
// PRUNED-NOT: compress.lora_merge
// RUN: FileCheck %s --check-prefix=DROPPED --input-file=%t.err
// DROPPED: remark: lora-merge: 1 of 2 updates of {{.*}} are for layers that were dropped

// While the choice of layers is open, all are there, and the copies that measure them are left as they are.
// RUN: compressc-opt %S/Inputs/llama.mlir --prune-layers=count=1 "--lora-merge=adapter=%t" 2>&1 | FileCheck %s --check-prefix=OPEN
// OPEN-NOT: remark:
// OPEN-COUNT-2: compress.remark "lora-merge"
// OPEN-NOT: compress.lora_merge
