#!/usr/bin/env python3
"""Makes a checkpoint of Qwen3-8B's shape with random bf16 weights (16 GB), for machines that can fetch no real one.

usage: make_random_model.py DIR [--layers N] [--tokenizer FILE]

Speed and memory are the real model's; answers mean nothing, but can be compared with transformers' on the same
weights. `--tokenizer` is copied; any tokenizer.json whose ids are below 151936 serves. Needs torch with a GPU and
transformers.
"""
import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen3Config, Qwen3ForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json")
    arguments = parser.parse_args()
    config = Qwen3Config(
        hidden_size=4096, intermediate_size=12288, num_hidden_layers=arguments.layers, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, vocab_size=151936, max_position_embeddings=40960,
        tie_word_embeddings=False, rope_theta=1e6, bos_token_id=1, eos_token_id=2)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Qwen3ForCausalLM(config).state_dict().items()}
    generator = torch.Generator("cuda").manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        value = torch.ones(shape) if len(shape) == 1 else torch.randn(
            shape, generator=generator, device="cuda", dtype=torch.bfloat16).mul_(0.02)
        weights[name] = value.bfloat16().cpu()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    config.architectures, config.dtype = ["Qwen3ForCausalLM"], "bfloat16"
    config.save_pretrained(arguments.directory)
    save_file(weights, arguments.directory / "model.safetensors", {"format": "pt"})
    if arguments.tokenizer:
        shutil.copy(arguments.tokenizer, arguments.directory / "tokenizer.json")


if __name__ == "__main__":
    main()
