// What a rotary attribute says of its scaling, and nothing else, is printed.
// RUN: compressc-opt --verify-roundtrip %s | FileCheck %s

// CHECK: default = #lm.rope<theta = 1.000000e+05>
// CHECK: linear = #lm.rope<theta = 1.000000e+04, linear, factor = 4.000000e+00>
// CHECK: llama3 = #lm.rope<theta = 5.000000e+05, llama3, factor = 8.000000e+00, low = 1.000000e+00, high = 4.000000e+00, original_context = 8192>
// CHECK: reordered = #lm.rope<theta = 5.000000e+05, llama3, factor = 3.200000e+01, low = 5.000000e-01, high = 2.000000e+00, original_context = 64>
// CHECK: untruncated = #lm.rope<theta = 1.000000e+06, yarn, factor = 2.000000e+00, beta_fast = 3.200000e+01, beta_slow = 1.000000e+00, attention_factor = 1.000000e+00, fractional, original_context = 64>
// CHECK: yarn = #lm.rope<theta = 1.000000e+06, yarn, factor = 4.000000e+00, beta_fast = 1.600000e+01, beta_slow = 2.000000e+00, attention_factor = 1.250000e+00, original_context = 32768>
module attributes {
  rope.default = #lm.rope<theta = 1.0e5>,
  rope.linear = #lm.rope<theta = 1.0e4, linear, factor = 4.0>,
  rope.llama3 = #lm.rope<theta = 5.0e5, llama3, factor = 8.0, low = 1.0, high = 4.0, original_context = 8192>,
  rope.reordered = #lm.rope<theta = 5.0e5, original_context = 64, high = 2.0, low = 0.5, factor = 32.0, llama3>,
  rope.yarn = #lm.rope<theta = 1.0e6, yarn, factor = 4.0, beta_fast = 16.0, beta_slow = 2.0, attention_factor = 1.25, original_context = 32768>,
  rope.untruncated = #lm.rope<theta = 1.0e6, yarn, factor = 2.0, beta_fast = 32.0, original_context = 64, fractional>
} {
}
