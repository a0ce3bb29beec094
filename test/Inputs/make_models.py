#!/usr/bin/env python3
"""Makes the tiny random models of test/Inputs/models and their goldens.

usage: make_models.py [--out DIR] [--check] [NAME ...]

  --out DIR   where the models go (default: the directory `models` beside this script)
  --check     make everything in a temporary directory and compare it with DIR instead: checkpoints,
              configurations and tokenizers byte for byte, goldens within 2e-5
  NAME        only these models

Needs torch, transformers, tokenizers, safetensors and gguf (tools/requirements-reference.txt). Every
number comes from a fixed seed, so a second run with the same versions writes the same bytes.
"""
import argparse
import importlib.util
import json
import math
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers import Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config

VOCABULARY = 320
MERGES = 56  # with 256 bytes and 2 to 4 added tokens: fewer than VOCABULARY, as padded vocabularies have
LENGTHS = (5, 33, 97)

# Text that the merges are learned from. The answer lines make " A" to " D" single tokens, which the
# multiple-choice tasks need.
TRAINING_TEXT = [
    "The mill by the river had stood still for nine years when the new owner oiled its wheel.",
    "A number is even if it can be divided by two; otherwise it is odd.",
    "Which of these is the largest of the planets? It is not the one that we live on.",
    "She wrote the letter in the evening, read it again in the morning, and then burned it.",
    "Water that is heated in an open pan begins to move long before it boils.",
    "In the end the whole town came to see what the baker and the carpenter had built together.",
] * 8 + [f"Answer: {letter}\n\n" for letter in "ABCD"] * 60

TEXTS = [
    "The quick brown fox jumps over 13 lazy dogs.",
    "Answer: A",
    "  two spaces,\ttab\n\n\nthree newlines 2026-11-22 don't WE'LL  ",
    "naïve Ångström — 東京 🙂 e\u0301",
    "<|end|>plain<|end|>",
]

QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_PATTERN = QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


# --- tokenizers ---------------------------------------------------------------------------------------

def make_tokenizer(kind):
    """`kind`: "llama3", "qwen2" or "smollm", the three byte-level pipelines in use, or "gemma"."""
    if kind == "gemma":
        return make_sentencepiece()
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "smollm")
    if kind == "smollm":
        first = pre_tokenizers.Digits(individual_digits=True)
    else:
        pattern = LLAMA3_PATTERN if kind == "llama3" else QWEN2_PATTERN
        first = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES, show_progress=False, max_token_length=6,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    special = {"llama3": ["<|begin|>", "<|end|>"], "qwen2": ["<|end|>", "<|turn|>"],
               "smollm": ["<|end|>"]}[kind]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    if kind == "llama3":
        template = processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B",
            special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))])
        tokenizer.post_processor = processors.Sequence([tokenizer.post_processor, template])
    for letter in "ABCD":
        if len(tokenizer.encode(" " + letter, add_special_tokens=False).ids) != 1:
            sys.exit(f"{kind}: ' {letter}' is not one token; change TRAINING_TEXT")
    return tokenizer


# Pieces of the vocabulary, best first; the rest of any text is spelled in bytes.
PIECES = [letter for letter in "▁abcdefghijklmnopqrstuvwxyzABCD."]
JOINED = ["▁t", "he", "in", "▁the", "er", "an", "▁A", "▁B", "▁C", "▁D", "ing", "▁th"]


def make_sentencepiece():
    """As Gemma's: spaces are visible, characters that the vocabulary lacks become bytes."""
    tokens = [f"<0x{byte:02X}>" for byte in range(256)] + JOINED + PIECES
    merges = [(token[:at], token[at:]) for token in JOINED for at in range(1, len(token))
              if token[:at] in tokens and token[at:] in tokens]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges,
                                     byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                           decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token in ("<|begin|>", "<|end|>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B",
        special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))])
    return tokenizer


def save_tokenizer(tokenizer, directory):
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>",
              "clean_up_tokenization_spaces": False, "model_max_length": 2048}
    if tokenizer.token_to_id("<|begin|>") is not None:
        config["bos_token"] = "<|begin|>"
    write_json(directory / "tokenizer_config.json", config)


# --- models -------------------------------------------------------------------------------------------

def fill(model, seed):
    """Random weights large enough that attention is not uniform and the logits are not flat."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.rand if "norm" in name else torch.randn
        values = noise(parameter.shape, generator=generator)
        if "norm" in name:
            values = values + (-0.5 if model.config.model_type == "gemma3_text" else 0.5)
        elif name.endswith(".bias"):
            values = 0.3 * values
        elif "embed_tokens" in name:
            values = 0.3 * values
        elif "q_proj" in name or "k_proj" in name:
            values = 0.2 * values
        else:
            values = 0.1 * values
        if parameter.dim() == 2 and "embed_tokens" not in name:  # sums over more columns spread as far
            values = values * math.sqrt(COMMON["hidden_size"] / model.config.hidden_size)
        parameter.data.copy_(values)


COMMON = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
              rms_norm_eps=1e-5, hidden_act="silu", pad_token_id=None)
# Wavelengths of these heads run from 6 to 20,000 tokens: with 64 the scaling keeps one frequency,
# blends two and divides the other five by the factor, all well inside the 97 tokens of the goldens.
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
# With heads of 16 the first frequency stays, two are mixed, the other five are divided.
YARN_ROPE = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
             "original_max_position_embeddings": 64}
LONG_ROPE = {"rope_type": "default", "rope_theta": 1000000.0}
LOCAL_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
# Windows that are shorter than the goldens' 33 and 97 tokens.
GEMMA3 = dict(tie_word_embeddings=True, hidden_act=None, hidden_activation="gelu_pytorch_tanh",
              sliding_window=16)

# name -> (configuration class, its fields, dtype on disk, tokenizer, largest shard, old configuration?)
CHECKPOINTS = {
    "llama": (LlamaConfig, dict(tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
              torch.float32, "llama3", "1GB", False),
    "llama-sharded": (LlamaConfig, dict(tie_word_embeddings=False, rope_parameters=PLAIN_ROPE,
                                        attention_bias=False),
                      torch.float32, "smollm", "300KB", False),
    "llama-f16": (LlamaConfig, dict(tie_word_embeddings=True, rope_parameters={
        "rope_type": "linear", "rope_theta": 20000.0, "factor": 4.0}),
        torch.float16, "smollm", "1GB", True),
    "qwen2": (Qwen2Config, dict(tie_word_embeddings=False, rope_parameters=LONG_ROPE),
              torch.float32, "qwen2", "1GB", False),
    "qwen2-bf16": (Qwen2Config, dict(tie_word_embeddings=True, rope_parameters=LONG_ROPE,
                                     num_hidden_layers=3),
                   torch.bfloat16, "qwen2", "1GB", False),
    "qwen2-yarn": (Qwen2Config, dict(tie_word_embeddings=True, rope_parameters=YARN_ROPE),
                   torch.bfloat16, "qwen2", "1GB", False),
    "qwen3": (Qwen3Config, dict(tie_word_embeddings=True, rope_parameters=LONG_ROPE, head_dim=32),
              torch.float32, "qwen2", "1GB", False),
    "gemma3": (Gemma3TextConfig, dict(
        GEMMA3, num_hidden_layers=3, head_dim=32, query_pre_attn_scalar=24,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 2.0},
                         "sliding_attention": LOCAL_ROPE}),
        torch.bfloat16, "gemma", "1GB", False),
}


def make_model(config_class, fields, seed):
    fields = {**COMMON, **fields}
    config = config_class(**{key: value for key, value in fields.items() if key != "hidden_act" or value})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    fill(model, seed)
    return model


def frequencies_of(model):
    """Of the rotary embedding, or of that of each kind of layers."""
    return {name: buffer.clone() for name, buffer in model.model.rotary_emb.named_buffers()
            if name.endswith("inv_freq") and "original" not in name}


def downgrade_config(path):
    """Rewrites config.json as transformers 4 wrote it: torch_dtype, and rope as two top-level keys."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
    config["transformers_version"] = "4.38.2"
    for later in ("head_dim", "mlp_bias"):
        del config[later]
    write_json(path, dict(sorted(config.items())))


def make_checkpoint(name, directory):
    config_class, fields, dtype, kind, shard, old = CHECKPOINTS[name]
    directory.mkdir(parents=True)
    tokenizer = make_tokenizer(kind)
    begin = tokenizer.token_to_id("<|begin|>")
    fields = dict(fields, bos_token_id=begin, eos_token_id=tokenizer.token_to_id("<|end|>"))
    model = make_model(config_class, fields, seed=zlib.crc32(name.encode()))
    frequencies = frequencies_of(model)
    model.to(dtype).save_pretrained(directory, max_shard_size=shard)
    (directory / "generation_config.json").unlink(missing_ok=True)
    save_tokenizer(tokenizer, directory)
    if old:
        downgrade_config(directory / "config.json")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    for key, value in model.state_dict().items():  # the old configuration must mean the same model
        if not torch.equal(loaded.state_dict()[key], value.float()):
            sys.exit(f"{name}: {key} changed on the way through the file")
    if any(not torch.equal(buffer, frequencies[key]) for key, buffer in frequencies_of(loaded).items()):
        sys.exit(f"{name}: the rotary frequencies changed on the way through config.json")
    write_golden(directory / "golden.json", name, loaded, tokenizer, task_goldens(loaded, directory))


# --- GGUF ---------------------------------------------------------------------------------------------

Q = gguf.GGMLQuantizationType
# name -> (checkpoint fields, architecture, tokenizer, tokenizer.ggml.pre, type of a weight by its role)
GGUF_FILES = {
    "llama-f16": ("llama", dict(), "llama3", "llama-bpe", dict(default=Q.F16)),
    # As SmolLM2's file: Q4_1 linears, Q8_0 embedding, tied, plain rope.
    "llama-q4_1": ("llama", dict(rope_parameters=PLAIN_ROPE), "smollm", "smollm",
                   dict(default=Q.Q4_1, token_embd=Q.Q8_0)),
    "qwen2-q4_0": ("qwen2", dict(), "qwen2", "qwen2",
                   dict(default=Q.Q4_0, token_embd=Q.F16, output=Q.Q8_0, ffn_down=Q.Q4_1, attn_v=Q.F16)),
    "qwen3-q8_0": ("qwen3", dict(), "qwen2", "qwen2",
                   dict(default=Q.Q8_0, ffn_gate=Q.Q4_0, ffn_up=Q.Q4_1, attn_k=Q.F32)),
    # The mix of llama.cpp's Q4_K_M, and a Q5_K; K-quants need rows of 256.
    "llama-q4_k": ("llama", dict(rope_parameters=PLAIN_ROPE, hidden_size=256, intermediate_size=256),
                   "smollm", "smollm", dict(default=Q.Q4_K, token_embd=Q.Q6_K, attn_v=Q.Q6_K,
                                            ffn_down=Q.Q6_K, attn_output=Q.Q5_K)),
    "qwen2-q5_0": ("qwen2", dict(rope_parameters=YARN_ROPE), "qwen2", "qwen2",
                   dict(default=Q.Q5_0, token_embd=Q.Q5_1, ffn_down=Q.Q5_1, output=Q.Q8_0)),
    # The sixth layer has no window.
    "gemma3-q8_0": ("gemma3", dict(
        num_hidden_layers=6, head_dim=16, intermediate_size=64, query_pre_attn_scalar=16,
        layer_types=["sliding_attention"] * 5 + ["full_attention"],
        rope_parameters={"full_attention": LONG_ROPE, "sliding_attention": LOCAL_ROPE}),
        "gemma", None, dict(default=Q.Q8_0)),
}
GGUF_ROLES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
GEMMA3_ROLES = dict(GGUF_ROLES, post_attention_layernorm="post_attention_norm",
                    pre_feedforward_layernorm="ffn_norm", post_feedforward_layernorm="post_ffw_norm")
FILE_TYPES = {Q.F16: gguf.LlamaFileType.MOSTLY_F16, Q.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0,
              Q.Q4_1: gguf.LlamaFileType.MOSTLY_Q4_1, Q.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
              Q.Q5_0: gguf.LlamaFileType.MOSTLY_Q5_0, Q.Q4_K: gguf.LlamaFileType.MOSTLY_Q4_K_M}


def quantise_k(array, kind):
    """Blocks of 256 in Q4_K, Q5_K or Q6_K, which gguf can only read. Plain rounding: the model is random."""
    x = array.reshape(-1, 256).astype(np.float32)
    half = lambda values: values.astype("<f2").view(np.uint8)
    inverse = lambda values: np.divide(1, values, out=np.zeros_like(values), where=values != 0)
    if kind == Q.Q6_K:
        parts = x.reshape(-1, 16, 16)
        scale = np.abs(parts).max(axis=-1) / 31
        d = (scale.max(axis=-1, keepdims=True) / 127).astype("<f2").astype(np.float32)
        factors = np.round(scale * inverse(d)).clip(0, 127)
        steps = (d * factors)[..., None]
        q = (np.round(parts * inverse(steps)).clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
        low = (q[:, :, :2] & 15 | (q[:, :, 2:] & 15) << 4).reshape(-1, 128)
        high = np.bitwise_or.reduce([(q[:, :, i] >> 4) << 2 * i for i in range(4)]).reshape(-1, 64)
        blocks = [low, high, factors.astype(np.int8).view(np.uint8), half(d)]
    else:
        most = 15 if kind == Q.Q4_K else 31
        parts = x.reshape(-1, 8, 32)
        least = np.maximum(-parts.min(axis=-1), 0)
        scale = (np.maximum(parts.max(axis=-1), 0) + least) / most
        d = (scale.max(axis=-1, keepdims=True) / 63).astype("<f2").astype(np.float32)
        m = (least.max(axis=-1, keepdims=True) / 63).astype("<f2").astype(np.float32)
        scales = np.round(scale * inverse(d)).clip(0, 63).astype(np.uint8)
        offsets = np.round(least * inverse(m)).clip(0, 63).astype(np.uint8)
        steps = (d * scales)[..., None]
        q = np.round((parts + (m * offsets)[..., None]) * inverse(steps)).clip(0, most).astype(np.uint8)
        packed = np.concatenate([
            scales[:, :4] | scales[:, 4:] >> 4 << 6, offsets[:, :4] | offsets[:, 4:] >> 4 << 6,
            scales[:, 4:] & 15 | (offsets[:, 4:] & 15) << 4], axis=-1)
        low = (q[:, 0::2] & 15 | (q[:, 1::2] & 15) << 4).reshape(-1, 128)
        high = np.bitwise_or.reduce([(q[:, i] >> 4) << i for i in range(8)])
        blocks = [half(d), half(m), packed] + ([high] if kind == Q.Q5_K else []) + [low]
    data = np.concatenate(blocks, axis=-1).reshape(array.shape[0], -1)
    error = np.abs(gguf.dequantize(data, kind).reshape(array.shape) - array).max() / np.abs(array).max()
    if error > (0.03 if kind == Q.Q6_K else 0.1):
        sys.exit(f"{kind.name}: an error of {error:.2g} after quantisation")
    return data


def gguf_name(name, roles):
    """A Hugging Face parameter's GGUF name and its role, or None for a tied head."""
    module, leaf = name.rsplit(".", 1)
    plain = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    if module in plain:
        return f"{plain[module]}.{leaf}", plain[module]
    layer, module = module.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{roles[module]}.{leaf}", roles[module]


def interleave(array, heads):
    """Rows of q and k from rope halves (i, i + d/2) to neighbouring pairs, which arch llama expects."""
    shape = array.shape
    return array.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def deinterleave(array, heads):
    shape = array.shape
    return array.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def rope_divisors(rope, head_dim):
    """rope_freqs.weight: what each rotary frequency is divided by under llama3 scaling."""
    result = []
    for i in range(head_dim // 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (2 * i / head_dim)
        ratio = rope["original_max_position_embeddings"] / wavelength
        blend = (ratio - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        blend = min(max(blend, 0.0), 1.0)
        result.append(1.0 / ((1 - blend) / rope["factor"] + blend))
    return np.array(result, np.float32)


def add_tokenizer(writer, tokenizer, pre):
    data = json.loads(tokenizer.to_str())
    added = {token["id"]: token["content"] for token in data["added_tokens"]}
    by_id = {index: token for token, index in data["model"]["vocab"].items()}
    tokens, types = [], []
    for index in range(VOCABULARY):
        if index in added:
            tokens.append(added[index])
            types.append(gguf.TokenType.CONTROL)
        elif pre is None and index < 256:
            tokens.append(by_id[index])
            types.append(gguf.TokenType.BYTE)
        elif index in by_id:
            tokens.append(by_id[index])
            types.append(gguf.TokenType.NORMAL)
        else:
            tokens.append(f"[PAD{index}]")
            types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2" if pre else "llama")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if pre:
        writer.add_tokenizer_pre(pre)
        writer.add_token_merges([" ".join(merge) for merge in data["model"]["merges"]])
    else:
        writer.add_token_scores([-float(index) for index in range(VOCABULARY)])
        writer.add_add_space_prefix(False)
    writer.add_eos_token_id(tokenizer.token_to_id("<|end|>"))
    begin = tokenizer.token_to_id("<|begin|>")
    if begin is not None:
        writer.add_bos_token_id(begin)
    writer.add_add_bos_token(begin is not None)


def make_gguf(name, directory):
    base, overrides, kind, pre, types = GGUF_FILES[name]
    directory.mkdir(parents=True, exist_ok=True)
    config_class, fields = CHECKPOINTS[base][:2]
    model = make_model(config_class, {**fields, **overrides}, seed=zlib.crc32(f"gguf {name}".encode()))
    config = model.config
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    tokenizer = make_tokenizer(kind)

    writer = gguf.GGUFWriter(str(directory / f"{name}.gguf"), base)
    writer.add_name(f"tiny {name}")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(FILE_TYPES[types["default"]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokenizer(writer, tokenizer, pre)
    if base == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "llama3":
        divisors = rope_divisors(rope, head_dim)
        writer.add_tensor("rope_freqs.weight", divisors)
        plain = rope["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
        if not np.allclose(plain / divisors, model.model.rotary_emb.inv_freq.numpy(), rtol=1e-6):
            sys.exit(f"{name}: the rope divisors are not those of the model")

    stored = model.state_dict()
    if config.tie_word_embeddings:
        del stored["lm_head.weight"]
    dequantised = {}
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for key, tensor in stored.items():
        target, role = gguf_name(key, GEMMA3_ROLES if base == "gemma3" else GGUF_ROLES)
        array = tensor.numpy().astype(np.float32)
        added = 1 if base == "gemma3" and "norm" in role else 0
        array = array + np.float32(added)
        permuted = base == "llama" and role in heads
        if permuted:
            array = interleave(array, heads[role])
        kind_ = Q.F32 if array.ndim == 1 else types.get(role, types["default"])
        k_quant = kind_ in (Q.Q4_K, Q.Q5_K, Q.Q6_K)
        data = quantise_k(array, kind_) if k_quant else gguf.quantize(array, kind_)
        writer.add_tensor(target, data, raw_dtype=kind_)
        back = gguf.dequantize(data, kind_).reshape(array.shape).astype(np.float32)
        dequantised[key] = torch.from_numpy(deinterleave(back, heads[role]) if permuted else back) - added
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    missing, unexpected = model.load_state_dict(dequantised, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        sys.exit(f"{name}: {missing} {unexpected}")
    with tempfile.TemporaryDirectory() as scratch:
        save_tokenizer(tokenizer, Path(scratch))
        tasks = task_goldens(model, Path(scratch))
    write_golden(directory / f"{name}.golden.json", f"gguf/{name}", model, tokenizer, tasks)


# --- goldens ------------------------------------------------------------------------------------------

@torch.no_grad()
def run_model(model, ids):
    return model(input_ids=torch.tensor([ids])).logits[0].float()


def task_goldens(model, directory):
    """What `run perplexity` and `run mmlu` should find on the texts and questions of test/Inputs."""
    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location("reference", here.parent / "EndToEnd" / "reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    encoder = reference.Encoder(directory, special=True)
    text = reference.perplexity(model, encoder, here / "text" / "evaluation.txt", context=128, windows=8)
    rows = range(len(reference.read_lines(here / "questions", "mmlu_test")))
    answers = reference.mmlu(model, encoder, here / "questions", rows, shots=5,
                             whole=model.config.model_type == "gemma3_text")  # its cache can't be cut back
    return {"perplexity": {"file": "text/evaluation.txt", "context": 128, "windows": 8,
                           "mean_nll": round(text["mean_nll"], 6)},
            "mmlu": {"data": "questions", "shots": 5, "correct": answers["correct"],
                     "rows": answers["rows"]}}


def write_golden(path, name, model, tokenizer, tasks=None):
    """fp32 logits of the last position and the mean negative log-likelihood of three sequences."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"golden {name}".encode()))
    sequences = []
    for length in LENGTHS:
        ids = torch.randint(0, 256 + MERGES, (length,), generator=generator).tolist()
        logits = run_model(model, ids)
        loss = torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:]))
        last = logits[-1].double()
        sequences.append({
            "tokens": ids, "mean_nll": round(loss.item(), 6), "sum": round(last.sum().item(), 6),
            "argmax": int(last.argmax()), "logits": [round(x, 6) for x in last.tolist()]})
    # A golden that a wrong implementation would meet proves nothing.
    if min(np.std(s["logits"]) for s in sequences) < 0.5:
        sys.exit(f"{name}: the logits are nearly flat")
    if model.config.rope_parameters.get("rope_type", "default") != "default":
        inv_freq = model.model.rotary_emb.inv_freq
        kept = inv_freq.clone()
        head_dim = 2 * inv_freq.numel()
        theta = model.config.rope_parameters["rope_theta"]
        inv_freq.copy_(theta ** (-torch.arange(0, head_dim, 2).float() / head_dim))
        for sequence in sequences[1:]:
            change = run_model(model, sequence["tokens"])[-1].double() - torch.tensor(sequence["logits"])
            if change.abs().max() < 0.01:
                sys.exit(f"{name}: rope scaling does not matter")
        inv_freq.copy_(kept)
    texts = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids,
              "ids_with_special": tokenizer.encode(text).ids} for text in TEXTS]
    golden = {"sequences": sequences, "texts": texts}
    if tasks is not None:
        golden["tasks"] = tasks
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


# --- driver -------------------------------------------------------------------------------------------

def make(names, out):
    for name in names:
        print(f"making {name}", flush=True)
        if name.startswith("gguf/"):
            make_gguf(name.removeprefix("gguf/"), out / "gguf")
        else:
            shutil.rmtree(out / name, ignore_errors=True)
            make_checkpoint(name, out / name)


def numbers_differ(left, right):
    if isinstance(left, float) or isinstance(right, float):
        return abs(left - right) > 2e-5 * max(1.0, abs(left))
    if isinstance(left, dict):
        return left.keys() != right.keys() or any(numbers_differ(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) != len(right) or any(map(numbers_differ, left, right))
    return left != right


def compare(made, out):
    different = []
    for path in sorted(p for p in made.rglob("*") if p.is_file()):
        other = out / path.relative_to(made)
        if not other.exists():
            different.append(f"{other}: missing")
        elif "golden" in path.name:
            if numbers_differ(json.loads(path.read_text()), json.loads(other.read_text())):
                different.append(f"{other}: other numbers")
        elif path.read_bytes() != other.read_bytes():
            different.append(f"{other}: other bytes")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "models")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    every = list(CHECKPOINTS) + [f"gguf/{name}" for name in GGUF_FILES]
    unknown = sorted(set(options.names) - set(every))
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(every)}")
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"tokenizers {tokenizers.__version__}, numpy {np.__version__}")
    if not options.check:
        make(options.names or every, options.out)
        return
    with tempfile.TemporaryDirectory() as directory:
        make(options.names or every, Path(directory))
        different = compare(Path(directory), options.out)
    if different:
        sys.exit("\n".join(different))
    print("all as stored")


if __name__ == "__main__":
    main()
