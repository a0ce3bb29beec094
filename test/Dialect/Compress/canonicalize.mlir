// RUN: compressc-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: func.func @convert_to_same_type
// CHECK-SAME: %[[W:.*]]: tensor<8x64xf16>
// CHECK-NEXT: return %[[W]]
func.func @convert_to_same_type(%w: tensor<8x64xf16>) -> tensor<8x64xf16> {
  %0 = compress.convert %w : tensor<8x64xf16> -> tensor<8x64xf16>
  return %0 : tensor<8x64xf16>
}

// Rounding there and back is not the identity.
// CHECK-LABEL: func.func @convert_there_and_back
// CHECK-COUNT-2: compress.convert
func.func @convert_there_and_back(%w: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %0 = compress.convert %w : tensor<8x64xf32> -> tensor<8x64xf16>
  %1 = compress.convert %0 : tensor<8x64xf16> -> tensor<8x64xf32>
  return %1 : tensor<8x64xf32>
}

// A remark keeps the numbers that it reports.
// CHECK-LABEL: func.func @remark
// CHECK: %[[E:.*]] = compress.output_error
// CHECK: compress.remark "p" ["w"] ["error"] %[[E]]
func.func @remark(%w: tensor<8x64xf32>, %s: !compress.statistics<64>) {
  %0 = compress.output_error %w, %w, %s : (tensor<8x64xf32>, tensor<8x64xf32>, !compress.statistics<64>) -> tensor<1xf32>
  compress.remark "p" ["w"] ["error"] %0 : tensor<1xf32>
  return
}

// CHECK-LABEL: func.func @unread
// CHECK-NEXT: return
func.func @unread(%x: tensor<?x64xf32>) {
  %0 = compress.observe %x : tensor<?x64xf32> -> !compress.statistics<64>
  %1 = compress.calibrated %x with %0 : tensor<?x64xf32>, !compress.statistics<64>
  return
}
