// Pipelines compose in any order.

// What is quantised before calibration is calibrated as it is: packed.
// RUN: compressc-opt %S/Inputs/llama.mlir --quantize="group-size=32 ignore=zircon,spinel" --insert-calibration --clip=group-size=32 | FileCheck %s --check-prefix=QUANTIZED
// QUANTIZED: lm.block 0
// QUANTIZED-COUNT-6: compress.quantize
// QUANTIZED: lm.block 0
// QUANTIZED-COUNT-6: compress.quantize
// QUANTIZED: compress.remark "clip" ["zircon.weight"]
// QUANTIZED: lm.block 1
// QUANTIZED: lm.block 1
// QUANTIZED: compress.remark "clip" ["spinel.weight"]
// QUANTIZED-NOT: compress.remark

// A second awq pipeline finds everything packed.
// RUN: compressc-opt %S/Inputs/llama.mlir --awq=group-size=32 > %t.once
// RUN: compressc-opt %t.once --awq=group-size=32 > %t.twice
// RUN: diff %t.once %t.twice

// What one pipeline ignored the next one takes, in a format of its own.
// RUN: compressc-opt %S/Inputs/llama.mlir --awq="group-size=32 ignore=re:.*" --quantize="group-size=64 bits=8" | FileCheck %s --check-prefix=SECOND
// SECOND-NOT: compress.clip
// SECOND-COUNT-14: bits = 8, group = 64, asymmetric, f16> -> tensor
