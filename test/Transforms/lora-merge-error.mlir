// RUN: not compressc-opt %S/Inputs/llama.mlir --lora-merge 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: lora-merge: give the adapter's directory: lora-merge{adapter=DIR}
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t trained-on=sand" 2>&1 | FileCheck %s --check-prefix=MODE
// MODE: error: lora-merge: trained-on is base or current, not 'sand'
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.missing" 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: error: lora-merge: {{.*}}.missing/adapter_config.json

// An adapter of another model.
// RUN: %python %S/Inputs/make_adapter.py %t.name flint:64x64 gneiss:64x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.name" 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: adapts gneiss, but the model has no linear of this name; it was trained for another model
// RUN: %python %S/Inputs/make_adapter.py %t.norm opal:64x64
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.norm" 2>&1 | FileCheck %s --check-prefix=NORM
// NORM: adapts opal, but the model has no linear of this name
// RUN: %python %S/Inputs/make_adapter.py %t.shape flint:64x32
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.shape" 2>&1 | FileCheck %s --check-prefix=SHAPE
// SHAPE: adapts flint as 64x32, but the model's is 64x64; it was trained for another model
// RUN: %python %S/Inputs/make_adapter.py %t.none
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.none" 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: adapter_model.safetensors: has no LoRA factors

// What is more than two factors for each matrix is refused.
// RUN: %python %S/Inputs/make_adapter.py %t.dora flint:64x64 use_dora=true
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.dora" 2>&1 | FileCheck %s --check-prefix=DORA
// DORA: adapter_config.json: use_dora is not supported (DoRA rescales the merged weight); merge it with peft's merge_and_unload and compress the result
// RUN: %python %S/Inputs/make_adapter.py %t.save flint:64x64 'modules_to_save=["lm_head"]'
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.save" 2>&1 | FileCheck %s --check-prefix=SAVE
// SAVE: modules_to_save is not supported
// RUN: %python %S/Inputs/make_adapter.py %t.bias flint:64x64 lora_bias=true
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.bias" 2>&1 | FileCheck %s --check-prefix=BIAS
// BIAS: lora_bias is not supported
// RUN: %python %S/Inputs/make_adapter.py %t.fan flint:64x64 fan_in_fan_out=true
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.fan" 2>&1 | FileCheck %s --check-prefix=FAN
// FAN: fan_in_fan_out is not supported
// RUN: %python %S/Inputs/make_adapter.py %t.pissa flint:64x64 'init_lora_weights="pissa"'
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.pissa" 2>&1 | FileCheck %s --check-prefix=PISSA
// PISSA: init_lora_weights 'pissa' is not supported (it changes the base weights)
// RUN: %python %S/Inputs/make_adapter.py %t.ia3 flint:64x64 'peft_type="IA3"'
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.ia3" 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: peft_type must be LORA
// RUN: %python %S/Inputs/make_adapter.py %t.rank flint:64x64 r=8
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.rank" 2>&1 | FileCheck %s --check-prefix=RANK
// RANK: rank 8 for 'flint', but its tensors have rank 4
// RUN: %python %S/Inputs/make_adapter.py %t.regex flint:64x64 'rank_pattern={"fl.*": 4}'
// RUN: not compressc-opt %S/Inputs/llama.mlir "--lora-merge=adapter=%t.regex" 2>&1 | FileCheck %s --check-prefix=REGEX
// REGEX: rank_pattern: 'fl.*' is a regular expression; only the ends of names are read
