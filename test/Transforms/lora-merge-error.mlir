// RUN: not compressc-opt %S/Inputs/llama.mlir --lora-merge 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: lora-merge: give the adapter's directory: lora-merge{adapter=DIR}
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t trained-on=sand" 2>&1 | FileCheck %s --check-prefix=MODE
// MODE: error: lora-merge: trained-on is base or current, not 'sand'

// What the importer finds wrong with an adapter (test/Unit/Import/AdapterTest.cpp has all of it).
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.missing" 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: error: lora-merge: {{.*}}.missing/adapter_config.json
// RUN: %python %S/Inputs/make_adapter.py %t.name flint:64x64 gneiss:64x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.name" 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: error: lora-merge: {{.*}}.name adapts gneiss, but the model has no parameter gneiss.weight; it was trained for another model

// An adapter of another model: no update is merged when one doesn't fit.
// RUN: %python %S/Inputs/make_adapter.py %t.norm flint:64x64 opal:64x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.norm" 2>&1 | FileCheck %s --check-prefix=NORM --implicit-check-not=compress.lora_merge
// NORM: adapts opal, which is no linear's weight; it was trained for another model
// RUN: %python %S/Inputs/make_adapter.py %t.shape flint:64x64 topaz:64x32
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.shape" 2>&1 | FileCheck %s --check-prefix=SHAPE --implicit-check-not=compress.lora_merge
// SHAPE: adapts topaz as 64x32, but the model's is 64x64; it was trained for another model

// A tied head, under its own name and under the embedding's.
// RUN: %python %S/Inputs/make_adapter.py %t.head flint:64x64 basalt:96x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.head" 2>&1 | FileCheck %s --check-prefix=HEAD --implicit-check-not=compress.lora_merge
// HEAD: adapts basalt, whose weight is the embedding's too; this is not supported
// RUN: %python %S/Inputs/make_adapter.py %t.table chalk:96x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.table" 2>&1 | FileCheck %s --check-prefix=TABLE
// TABLE: adapts chalk, whose weight is the embedding's too; this is not supported

// Of a layer that is gone; those of layers that are there are merged (lora-merge.mlir).
// RUN: sed -e '/lm.block 1 /,/^  }/d' -e 's/%%h2/%%h1/' %S/Inputs/llama.mlir > %t.pruned.mlir
// RUN: %python %S/Inputs/make_adapter.py %t.gone topaz:64x64 coral:32x64
// RUN: not compressc-opt %t.pruned.mlir "--lora-merge=adapter=%t.gone" 2>&1 | FileCheck %s --check-prefix=GONE
// GONE: error: lora-merge: all 2 updates of {{.*}}.gone are for layers that were dropped; leave the adapter out
