#!/usr/bin/env python3
"""Writes yarn.golden.json: rotary frequencies and attention factors of transformers for yarn scaling.

usage: make_yarn_golden.py     (needs torch and transformers: tools/requirements-reference.txt)
"""
import json
from pathlib import Path

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

CASES = [  # head_dim, max_position_embeddings, rope parameters besides rope_type
    (128, 131072, {"rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768}),
    (64, 4096, {"rope_theta": 1e4, "factor": 40.0, "original_max_position_embeddings": 4096,
                "beta_fast": 16, "beta_slow": 2}),
    (64, 16384, {"rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 4096,
                 "mscale": 0.707, "mscale_all_dim": 1.2}),
    (64, 16384, {"rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 4096,
                 "mscale": 0.707}),
    (64, 16384, {"rope_theta": 1.5e5, "factor": 32.0, "original_max_position_embeddings": 4096,
                 "truncate": False}),
    (16, 256, {"rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64,
               "attention_factor": 0.75}),
    (16, 512, {"rope_theta": 1e4, "factor": None, "original_max_position_embeddings": 64}),
    (16, 256, {"rope_theta": 1e4, "factor": 0.5, "original_max_position_embeddings": 64}),
    # Both ends of the range are pair 0.
    (16, 256, {"rope_theta": 1e4, "factor": 2.0, "original_max_position_embeddings": 6}),
]

golden = []
for head_dim, positions, rope in CASES:
    rope = {"rope_type": "yarn", **rope}
    config = LlamaConfig(hidden_size=4 * head_dim, num_attention_heads=4, head_dim=head_dim,
                         max_position_embeddings=positions)
    config.rope_parameters = rope
    frequencies, factor = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    golden.append({"head_dim": head_dim, "max_position_embeddings": positions, "rope_parameters": rope,
                   "frequencies": [float(f"{value:.9g}") for value in frequencies.tolist()],
                   "attention_factor": factor})
path = Path(__file__).resolve().parent / "yarn.golden.json"
path.write_text("[\n" + ",\n".join(map(json.dumps, golden)) + "\n]\n")
