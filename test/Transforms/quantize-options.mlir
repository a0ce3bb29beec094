// RUN: compressc-opt %S/Inputs/llama.mlir --quantize="bits=8 group-size=64 symmetric" | FileCheck %s --check-prefix=FORMAT
// FORMAT-COUNT-14: compress.quantize {{.*}}, bits = 8, group = 64, symmetric, f16>

// Scales have the checkpoint's type.
// RUN: sed 's/checkpoint_type = f16/checkpoint_type = bf16/' %S/Inputs/llama.mlir | compressc-opt --quantize=group-size=64 | FileCheck %s --check-prefix=SCALES
// SCALES: compress.quantize {{.*}}, asymmetric, bf16>
// RUN: sed 's/attributes {lm.checkpoint_type = f16}//' %S/Inputs/llama.mlir | compressc-opt --quantize=group-size=64 | FileCheck %s --check-prefix=DEFAULT
// DEFAULT: compress.quantize {{.*}}, asymmetric, f16>

// RUN: compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 ignore=flint,re:.*l$,re:[a-g]" | FileCheck %s --check-prefix=IGNORE
// IGNORE: %[[W:.*]] = lm.load_param @flint.weight
// IGNORE-NEXT: lm.linear %{{.*}}, %[[W]]
// IGNORE: %[[W:.*]] = lm.load_param @amber.weight
// IGNORE-NEXT: lm.linear %{{.*}}, %[[W]]
// IGNORE: %[[W:.*]] = lm.load_param @slate.weight
// IGNORE: compress.quantize %[[W]]
// IGNORE: %[[W:.*]] = lm.load_param @pearl.weight
// IGNORE-NEXT: lm.linear %{{.*}}, %[[W]]

// RUN: not compressc-opt %S/Inputs/llama.mlir --quantize 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: quantize: flint.weight: group size 128 does not divide 64 columns; use a divisor such as 64
// GROUP-NOT: error:

// RUN: not compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 bits=6" 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: error: quantize: flint.weight: can't quantise to 6 bits: 2, 3, 4 or 8

// RUN: not compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 ignore=re:*" 2>&1 | FileCheck %s --check-prefix=REGEX
// REGEX: error: ignore: 're:*' is not a regular expression
