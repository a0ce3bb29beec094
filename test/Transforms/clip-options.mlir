// RUN: compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip="bits=3 group-size=16 symmetric clip-query-key ignore=agate,re:z" | FileCheck %s
// CHECK: compress.clip {{.*}} {bits = 3 : i64, group = 16 : i64, scale_type = f16, symmetric = true}
// CHECK-NEXT: "clip" ["flint.weight"]
// CHECK: "clip" ["amber.weight"]
// CHECK: "clip" ["onyx.weight"]
// CHECK-NOT: "clip" ["agate.weight"]
// CHECK: "clip" ["garnet.weight"]
// CHECK-NOT: "clip" ["zircon.weight"]
// CHECK: "clip" ["topaz.weight"]

// RUN: not compressc-opt %S/Inputs/llama.mlir --clip=group-size=32 2>&1 | FileCheck %s --check-prefix=UNCALIBRATED
// UNCALIBRATED: error: clip needs calibrated inputs: run insert-calibration before it

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip=group-size=128 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: clip: group size 128 does not divide the 64 columns of slate.weight; use a divisor such as 64

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip="group-size=32 bits=1" 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: error: {{.*}}can't quantise to 1 bits: 2, 3, 4 or 8

// RUN: not compressc-opt %S/Inputs/llama.mlir --insert-calibration --clip="group-size=32 ignore=re:[" 2>&1 | FileCheck %s --check-prefix=REGEX
// REGEX: error: ignore: 're:[' is not a regular expression
