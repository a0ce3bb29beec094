// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="bits=3 group-size=16 symmetric grid=duo" | FileCheck %s
// CHECK-COUNT-8: compress.awq_scale {{.*}} {bits = 3 : i64, grid = "duo", group = 16 : i64, {{.*}}, symmetric = true}

// RUN: not compressc-opt %S/Inputs/llama.mlir --awq-scale=group-size=32 2>&1 | FileCheck %s --check-prefix=UNCALIBRATED
// UNCALIBRATED: error: awq-scale needs calibrated inputs: run insert-calibration before it

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale=group-size=48 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: awq-scale: group size 48 does not divide the 64 columns of flint.weight; use a divisor such as 64

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale=group-size=0 2>&1 | FileCheck %s --check-prefix=ZERO
// ZERO: error: awq-scale: group size 0 does not divide the 64 columns of flint.weight; use a divisor such as 64

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="group-size=32 bits=5" 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: error: {{.*}}can't quantise to 5 bits: 2, 3, 4 or 8

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="group-size=32 grid=fine" 2>&1 | FileCheck %s --check-prefix=GRID
// GRID: error: {{.*}}unknown grid 'fine': all, duo or plain

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --awq-scale="group-size=32 ignore=re:(" 2>&1 | FileCheck %s --check-prefix=REGEX
// REGEX: error: ignore: 're:(' is not a regular expression
