#!/usr/bin/env python3
"""Writes gguf_blocks.golden.json: random blocks of every GGUF format that is read, and what gguf's Python
package makes of them: {format: {"blocks": hex, "values": hex of fp32, little-endian}}.

usage: make_block_goldens.py     (needs gguf and numpy: tools/requirements-reference.txt)
"""
import json
from pathlib import Path

import gguf
import numpy as np

# Where the fp16 numbers stand in a block; everything else may be any byte.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q8_0": [0], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}

random = np.random.default_rng(20261124)
golden = {}
for name, halves in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    columns, size = gguf.GGML_QUANT_SIZES[kind]
    count = 512 // columns
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:  # the last block's are subnormal
        values = random.normal(size=(count, 1)).astype("<f2")
        values[-1] *= np.float16(1e-5)
        blocks[:, at:at + 2] = values.view(np.uint8)
    values = gguf.dequantize(blocks.reshape(1, -1), kind)
    golden[name.lower()] = {"blocks": blocks.tobytes().hex(), "values": values.astype("<f4").tobytes().hex()}
path = Path(__file__).resolve().parent / "gguf_blocks.golden.json"
path.write_text(json.dumps(golden, indent=1) + "\n")
