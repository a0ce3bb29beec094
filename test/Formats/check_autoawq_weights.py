#!/usr/bin/env python3
"""Reads an AutoAWQ checkpoint with numpy alone and compares every weight, bit for bit.

usage: check_autoawq_weights.py AUTOAWQ DENSE
DENSE is the dense F32 checkpoint that unpack.py makes of OUT/model.
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

# Output j of the eight in a word is in this nibble.
NIBBLES = [0, 4, 1, 5, 2, 6, 3, 7]


def outputs(words):
    """[.., N/8] words to [.., N] codes."""
    nibbles = words.view(np.uint32)[..., None] >> (4 * np.arange(8, dtype=np.uint32)) & 15
    return nibbles[..., NIBBLES].reshape(*words.shape[:-1], -1).astype(np.int64)


def main():
    directory, dense = Path(sys.argv[1]), load_file(Path(sys.argv[2]) / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    scheme = config["quantization_config"]
    if (scheme["quant_method"], scheme["bits"], scheme["version"]) != ("awq", 4, "gemm"):
        sys.exit(f"config.json: {scheme}")
    if config["dtype"] != "float16":
        sys.exit(f"config.json: dtype {config['dtype']}")
    stored = load_file(directory / "model.safetensors")
    packed = 0
    for name, expected in dense.items():
        module = name.removesuffix(".weight")
        if name in stored:
            if module + ".qweight" in stored:
                sys.exit(f"{name}: stored twice")
            values = stored.pop(name).astype(np.float32)
        else:
            codes, zeros = (outputs(stored.pop(module + part)) for part in (".qweight", ".qzeros"))
            scales = stored.pop(module + ".scales")
            if scales.dtype != np.float16:
                sys.exit(f"{module}.scales: {scales.dtype}")
            group = scheme["group_size"]
            shape = (codes.shape[0] // group, codes.shape[1])
            if scales.shape != shape or zeros.shape != shape:
                sys.exit(f"{module}: scales {scales.shape}, zeros {zeros.shape}, wanted {shape}")
            repeat = lambda x: np.repeat(x, group, axis=0)
            steps = (codes - repeat(zeros)).astype(np.float32)
            values = (steps * repeat(scales.astype(np.float32))).T
            packed += 1
            if module in scheme["modules_to_not_convert"]:
                sys.exit(f"{module}: packed, but config.json says that it is not")
        if values.shape != expected.shape or (values != expected).any():
            sys.exit(f"{name}: not the same values")
    if stored:
        sys.exit(f"not expected: {sorted(stored)}")
    print(f"{packed} packed weights and {len(dense) - packed} others are the same")


main()
