// RUN: compressc-opt --verify-diagnostics --split-input-file %s

// expected-error@+1 {{sizes must not be negative}}
exec.program @p max_tokens -1 max_selected 1 arena 64 {
}

// -----
// expected-error@+1 {{sizes must not be negative}}
exec.program @p max_tokens 8 max_selected -1 arena 64 {
}

// -----
// expected-error@+1 {{sizes must not be negative}}
exec.program @p max_tokens 8 max_selected 1 arena -64 {
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{does not belong in a program}}
  func.func private @f()
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{of type 'tensor<?x8xf32>' can't have fixed rows}}
  exec.buffer @b temporary fixed offset 0 : tensor<?x8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{of type 'tensor<4x8xf32>' can't have tokens rows}}
  exec.buffer @b temporary tokens offset 0 : tensor<4x8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{of type '!compress.statistics<8>' can't have selected rows}}
  exec.buffer @b state selected offset 0 : !compress.statistics<8>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{may be dynamic in its first dimension only}}
  exec.buffer @b temporary tokens offset 0 : tensor<8x?xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{may be dynamic in its first dimension only}}
  exec.buffer @b temporary tokens offset 0 : tensor<?x?xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{needs an offset, unless it is an input}}
  exec.buffer @b temporary tokens : tensor<?x8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{needs an offset, unless it is an input}}
  exec.buffer @b state fixed : tensor<8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{needs an offset, unless it is an input}}
  exec.buffer @b input tokens offset 0 : tensor<?x8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{offset must not be negative}}
  exec.buffer @b temporary tokens offset -64 : tensor<?x8xf32>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{a cache needs at least one head and one column}}
  exec.cache @c heads 0 dim 64
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{names @absent, which the program does not declare}}
  exec.entry @e inputs [@absent] outputs [] {
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.tokens @tokens
  // expected-error@+1 {{can't use @tokens here}}
  exec.entry @e inputs [@tokens] outputs [] {
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.cache @c heads 1 dim 4
  // expected-error@+1 {{can't use @c here}}
  exec.entry @e inputs [] outputs [@c] {
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  // expected-error@+1 {{input @b must have the role input}}
  exec.entry @e inputs [@b] outputs [] {
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{does not belong in an entry point}}
    func.func private @f()
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{names @absent, which the program does not declare}}
    exec.call "add" [@absent] -> [] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{can't use @e here}}
    exec.call "add" [@e] -> [] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @w "w" : tensor<8xf16>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{can't use @w here}}
    exec.call "add" [] -> [@w] {}
  }
}

// -----
// expected-error@+1 {{expects parent op 'exec.program'}}
exec.weight @w "w" : tensor<8xf16>

// -----
// expected-error@+1 {{expects parent op to be one of 'exec.entry, exec.function'}}
exec.call "add" [] -> [] {}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-note@+1 {{see existing symbol definition here}}
  exec.tokens @t
  // expected-error@+1 {{redefinition of symbol named 't'}}
  exec.cache @t heads 1 dim 4
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.function @f {
    // expected-error@+1 {{is a weight with a type or a cache with heads and dim}}
    exec.parameter @w
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.function @f {
    // expected-error@+1 {{does not belong in a function}}
    exec.tokens @t
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @w "w" : tensor<8xf16>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@w is no function of the program}}
    exec.invoke @w []
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.function @f {
    exec.parameter @w : tensor<8xf16>
  }
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@f takes 1 arguments, not 0}}
    exec.invoke @f []
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.tokens @t
  exec.function @f {
    exec.parameter @w : tensor<8xf16>
  }
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@t is neither a weight nor a cache}}
    exec.invoke @f [@t]
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @v "v" : tensor<9xf16>
  exec.function @f {
    exec.parameter @w : tensor<8xf16>
  }
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@v does not fit the parameter @w}}
    exec.invoke @f [@v]
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.cache @c heads 1 dim 8
  exec.function @f {
    exec.parameter @d heads 2 dim 8
  }
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@c does not fit the parameter @d}}
    exec.invoke @f [@c]
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{there is no kernel 'lineer'}}
    exec.call "lineer" [] -> [] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @w "w" : tensor<8xf16>
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{rms_norm: needs the attribute 'epsilon'}}
    exec.call "rms_norm" [@b, @w] -> [@b] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{add: has no attribute 'epsilon'}}
    exec.call "add" [@b, @b] -> [@b] {epsilon = 1.0e-05 : f64}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{add: got 1 inputs; it takes 2}}
    exec.call "add" [@b] -> [@b] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @w "w" : tensor<8x8xf16>
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{linear: got 2 inputs; it takes 3 to 4}}
    exec.call "linear" [@b, @w] -> [@b, @b] {weights = 2 : i64}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.cache @c heads 1 dim 8
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@c can't be b of add}}
    exec.call "add" [@b, @c] -> [@b] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  exec.weight @w "w" : !compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>
  exec.buffer @b temporary tokens offset 0 : tensor<?x8xf32>
  exec.entry @e inputs [] outputs [] {
    // expected-error@+1 {{@w can't be b of add, as it is '!compress.packed<8x64, bits = 4, group = 32, asymmetric, f16>'}}
    exec.call "add" [@b, @w] -> [@b] {}
  }
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{a sum must be an f32 tensor of the stored tensor's shape}}
  exec.weight @w "w" plus 1.0 stored tensor<8xf16> : tensor<8xf16>
}

// -----
exec.program @p max_tokens 8 max_selected 1 arena 64 {
  // expected-error@+1 {{a sum must be an f32 tensor of the stored tensor's shape}}
  exec.weight @w "w" plus 1.0 stored tensor<9xf16> : tensor<8xf32>
}
