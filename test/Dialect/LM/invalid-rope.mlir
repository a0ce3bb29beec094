// RUN: compressc-opt --verify-diagnostics --split-input-file %s

// expected-error@+1 {{rope theta must be a positive number}}
#rope = #lm.rope<theta = 0.0>

// -----
// expected-error@+1 {{rope theta must be a positive number}}
#rope = #lm.rope<theta = 0x7FF0000000000000>

// -----
// expected-error@+1 {{rope factor must be positive}}
#rope = #lm.rope<theta = 1.0e4, linear, factor = 0.0>

// -----
// expected-error@+1 {{llama3 rope needs 0 < low < high and an original_context}}
#rope = #lm.rope<theta = 1.0e4, llama3, factor = 8.0, low = 4.0, high = 1.0, original_context = 64>

// -----
// expected-error@+1 {{llama3 rope needs 0 < low < high and an original_context}}
#rope = #lm.rope<theta = 1.0e4, llama3, factor = 8.0, low = 0.0, high = 1.0, original_context = 64>

// -----
// expected-error@+1 {{llama3 rope needs 0 < low < high and an original_context}}
#rope = #lm.rope<theta = 1.0e4, llama3, factor = 8.0, low = 1.0, high = 4.0>

// -----
// expected-error@+1 {{unknown or bad rope field 'yarn'}}
#rope = #lm.rope<theta = 1.0e4, yarn = 2.0>

// -----
// expected-error@+2 {{expected floating point literal}}
// expected-error@+1 {{unknown or bad rope field 'factor'}}
#rope = #lm.rope<theta = 1.0e4, linear, factor = often>

// -----
// A field that the scaling does not have would be lost in printing.
// expected-error@+1 {{rope without scaling has no factor}}
#rope = #lm.rope<theta = 1.0e4, factor = 2.0>

// -----
// expected-error@+1 {{only llama3 and yarn rope have an original_context}}
#rope = #lm.rope<theta = 1.0e4, linear, factor = 2.0, original_context = 64>

// -----
// expected-error@+1 {{unknown rope scaling 'longrope': default, linear, llama3 or yarn}}
#rope = #lm.rope<theta = 1.0e4, longrope, factor = 2.0>

// -----
// expected-error@+1 {{only llama3 rope has low and high}}
#rope = #lm.rope<theta = 1.0e4, yarn, factor = 2.0, low = 2.0, original_context = 64>

// -----
// expected-error@+1 {{only yarn rope has beta_fast, beta_slow, attention_factor and fractional}}
#rope = #lm.rope<theta = 1.0e4, linear, factor = 2.0, beta_fast = 32.0>

// -----
// expected-error@+1 {{only yarn rope has beta_fast, beta_slow, attention_factor and fractional}}
#rope = #lm.rope<theta = 1.0e4, fractional>

// -----
// expected-error@+1 {{yarn rope needs 0 < beta_slow <= beta_fast, an original_context and a theta other than 1}}
#rope = #lm.rope<theta = 1.0e4, yarn, factor = 2.0, beta_slow = 4.0, original_context = 64>

// -----
// expected-error@+1 {{yarn rope needs 0 < beta_slow <= beta_fast, an original_context and a theta other than 1}}
#rope = #lm.rope<theta = 1.0e4, yarn, factor = 2.0>

// -----
// expected-error@+1 {{yarn rope needs 0 < beta_slow <= beta_fast, an original_context and a theta other than 1}}
#rope = #lm.rope<theta = 1.0, yarn, factor = 2.0, original_context = 64>

// -----
// expected-error@+1 {{rope attention_factor must be a positive number}}
#rope = #lm.rope<theta = 1.0e4, yarn, factor = 2.0, attention_factor = 0.0, original_context = 64>
