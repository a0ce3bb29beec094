// Two layers of a Llama-like model: grouped queries, a bias on v, a tied head. The names mean nothing, so
// that a pass that reads them finds nothing. What they are, layer by layer:
//   norm: opal, jade   q: flint, topaz   k: amber, pearl   v: slate, coral (bias: slate.b, coral.b)
//   o: onyx, ruby      post norm: mica, lapis   gate: agate, beryl   up: garnet, quartz   down: zircon, spinel
module attributes {lm.checkpoint_type = f16} {
lm.param @chalk.weight : tensor<96x64xf16>
lm.param @opal.weight : tensor<64xf16>
lm.param @flint.weight : tensor<64x64xf16>
lm.param @amber.weight : tensor<32x64xf16>
lm.param @slate.weight : tensor<32x64xf16>
lm.param @slate.b : tensor<32xf16>
lm.param @onyx.weight : tensor<64x64xf16>
lm.param @mica.weight : tensor<64xf16>
lm.param @agate.weight : tensor<128x64xf16>
lm.param @garnet.weight : tensor<128x64xf16>
lm.param @zircon.weight : tensor<64x128xf16>
lm.param @jade.weight : tensor<64xf16>
lm.param @topaz.weight : tensor<64x64xf16>
lm.param @pearl.weight : tensor<32x64xf16>
lm.param @coral.weight : tensor<32x64xf16>
lm.param @coral.b : tensor<32xf16>
lm.param @ruby.weight : tensor<64x64xf16>
lm.param @lapis.weight : tensor<64xf16>
lm.param @beryl.weight : tensor<128x64xf16>
lm.param @quartz.weight : tensor<128x64xf16>
lm.param @spinel.weight : tensor<64x128xf16>
lm.param @marble.weight : tensor<64xf16>

func.func @forward(%tokens: tensor<?xi32>, %batch: !lm.batch) -> tensor<?x96xf32> {
  %table = lm.load_param @chalk.weight : tensor<96x64xf16>
  %h0 = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<96x64xf16>) -> tensor<?x64xf32>
  %h1 = lm.block 0 (%x = %h0) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %opal = lm.load_param @opal.weight : tensor<64xf16>
    %normed = lm.rms_norm %x, %opal epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %flint = lm.load_param @flint.weight : tensor<64x64xf16>
    %q = lm.linear %normed, %flint : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %amber = lm.load_param @amber.weight : tensor<32x64xf16>
    %k = lm.linear %normed, %amber : (tensor<?x64xf32>, tensor<32x64xf16>) -> tensor<?x32xf32>
    %slate = lm.load_param @slate.weight : tensor<32x64xf16>
    %slate_b = lm.load_param @slate.b : tensor<32xf16>
    %v = lm.linear %normed, %slate bias %slate_b : (tensor<?x64xf32>, tensor<32x64xf16>, tensor<32xf16>) -> tensor<?x32xf32>
    %qr = lm.rotary_embedding %q, %batch head_dim 16 <theta = 1.0e4> : tensor<?x64xf32>
    %kr = lm.rotary_embedding %k, %batch head_dim 16 <theta = 1.0e4> : tensor<?x32xf32>
    %cache = lm.cache : !lm.cache<2 x 16>
    %attended, %next = lm.attention %qr, %kr, %v, %cache, %batch heads 4 kv_heads 2 scale 0.25
        : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.cache<2 x 16> -> tensor<?x64xf32>
    %onyx = lm.load_param @onyx.weight : tensor<64x64xf16>
    %o = lm.linear %attended, %onyx : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %middle = arith.addf %x, %o : tensor<?x64xf32>
    %mica = lm.load_param @mica.weight : tensor<64xf16>
    %post = lm.rms_norm %middle, %mica epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %agate = lm.load_param @agate.weight : tensor<128x64xf16>
    %gate = lm.linear %post, %agate : (tensor<?x64xf32>, tensor<128x64xf16>) -> tensor<?x128xf32>
    %garnet = lm.load_param @garnet.weight : tensor<128x64xf16>
    %up = lm.linear %post, %garnet : (tensor<?x64xf32>, tensor<128x64xf16>) -> tensor<?x128xf32>
    %gated = lm.gated_activation silu %gate, %up : tensor<?x128xf32>
    %zircon = lm.load_param @zircon.weight : tensor<64x128xf16>
    %down = lm.linear %gated, %zircon : (tensor<?x128xf32>, tensor<64x128xf16>) -> tensor<?x64xf32>
    %result = arith.addf %middle, %down : tensor<?x64xf32>
    lm.yield %result : tensor<?x64xf32>
  }
  %h2 = lm.block 1 (%x = %h1) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    %jade = lm.load_param @jade.weight : tensor<64xf16>
    %normed = lm.rms_norm %x, %jade epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %topaz = lm.load_param @topaz.weight : tensor<64x64xf16>
    %q = lm.linear %normed, %topaz : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %pearl = lm.load_param @pearl.weight : tensor<32x64xf16>
    %k = lm.linear %normed, %pearl : (tensor<?x64xf32>, tensor<32x64xf16>) -> tensor<?x32xf32>
    %coral = lm.load_param @coral.weight : tensor<32x64xf16>
    %coral_b = lm.load_param @coral.b : tensor<32xf16>
    %v = lm.linear %normed, %coral bias %coral_b : (tensor<?x64xf32>, tensor<32x64xf16>, tensor<32xf16>) -> tensor<?x32xf32>
    %qr = lm.rotary_embedding %q, %batch head_dim 16 <theta = 1.0e4> : tensor<?x64xf32>
    %kr = lm.rotary_embedding %k, %batch head_dim 16 <theta = 1.0e4> : tensor<?x32xf32>
    %cache = lm.cache : !lm.cache<2 x 16>
    %attended, %next = lm.attention %qr, %kr, %v, %cache, %batch heads 4 kv_heads 2 scale 0.25
        : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.cache<2 x 16> -> tensor<?x64xf32>
    %ruby = lm.load_param @ruby.weight : tensor<64x64xf16>
    %o = lm.linear %attended, %ruby : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %middle = arith.addf %x, %o : tensor<?x64xf32>
    %lapis = lm.load_param @lapis.weight : tensor<64xf16>
    %post = lm.rms_norm %middle, %lapis epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
    %beryl = lm.load_param @beryl.weight : tensor<128x64xf16>
    %gate = lm.linear %post, %beryl : (tensor<?x64xf32>, tensor<128x64xf16>) -> tensor<?x128xf32>
    %quartz = lm.load_param @quartz.weight : tensor<128x64xf16>
    %up = lm.linear %post, %quartz : (tensor<?x64xf32>, tensor<128x64xf16>) -> tensor<?x128xf32>
    %gated = lm.gated_activation silu %gate, %up : tensor<?x128xf32>
    %spinel = lm.load_param @spinel.weight : tensor<64x128xf16>
    %down = lm.linear %gated, %spinel : (tensor<?x128xf32>, tensor<64x128xf16>) -> tensor<?x64xf32>
    %result = arith.addf %middle, %down : tensor<?x64xf32>
    lm.yield %result : tensor<?x64xf32>
  }
  %selected = lm.select_rows %h2, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %marble = lm.load_param @marble.weight : tensor<64xf16>
  %last = lm.rms_norm %selected, %marble epsilon 1.0e-5 : tensor<?x64xf32>, tensor<64xf16>
  %head = lm.load_param @chalk.weight as "basalt.weight" : tensor<96x64xf16>
  %logits = lm.linear %last, %head : (tensor<?x64xf32>, tensor<96x64xf16>) -> tensor<?x96xf32>
  return %logits : tensor<?x96xf32>
}
}
