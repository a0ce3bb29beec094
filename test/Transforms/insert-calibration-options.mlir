// RUN: not compressc-opt %s --insert-calibration=propagation=none 2>&1 | FileCheck %s
// CHECK: error: insert-calibration: propagation is original or quantized, not 'none'
module {
}
