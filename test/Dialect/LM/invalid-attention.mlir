// RUN: compressc-opt --verify-diagnostics --split-input-file %s

func.func @no_heads(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{0 heads can't share 1 key/value heads}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 0 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return
}

// -----
func.func @no_kv_heads(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{2 heads can't share 0 key/value heads}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 2 kv_heads 0 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return
}

// -----
func.func @uneven_groups(%q: tensor<?x12xf32>, %k: tensor<?x8xf32>, %c: !lm.cache<2 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{3 heads can't share 2 key/value heads}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 3 kv_heads 2 scale 0.5
      : tensor<?x12xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !lm.cache<2 x 4> -> tensor<?x12xf32>
  return
}

// -----
func.func @cache_heads(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<2 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{the cache has 2 heads, not 1}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<2 x 4> -> tensor<?x8xf32>
  return
}

// -----
func.func @query_columns(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{the query has 4 columns, not 2 x 4}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 2 kv_heads 1 scale 0.5
      : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  return
}

// -----
func.func @value_columns(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{key and value must have 1 x 4 columns, not 8}}
  %0, %n = lm.attention %q, %k, %q, %c, %b heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x8xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return
}

// -----
func.func @result_columns(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{the result must have the query's columns}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 2 kv_heads 1 scale 0.5
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x4xf32>
  return
}

// -----
func.func @empty_window(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %c: !lm.cache<1 x 4>, %b: !lm.batch) {
  // expected-error@+1 {{a window must hold at least one position}}
  %0, %n = lm.attention %q, %k, %k, %c, %b heads 2 kv_heads 1 scale 0.5 window 0
      : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, !lm.cache<1 x 4> -> tensor<?x8xf32>
  return
}
