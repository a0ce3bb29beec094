#!/usr/bin/env python3
"""Makes a dense F32 checkpoint of a packed one: an unpacker of its own, to check what was packed.

usage: unpack.py MODEL TARGET [--original DIR]
MODEL is OUT/model of compressc (compressed-tensors pack-quantized). With --original, a round-to-nearest
checkpoint's weights must lie within half a step of the original's (F32 safetensors).
"""
import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def unpack(words, bits, count):
    """`count` b-bit codes of each row of little-endian 32-bit words."""
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    stream = stream[:, : count * bits].reshape(words.shape[0], count, bits)
    return (stream.astype(np.int64) << np.arange(bits)).sum(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--original", type=Path)
    options = parser.parse_args()
    shutil.copytree(options.model, options.target)
    config = json.loads((options.target / "config.json").read_text())
    groups = config.pop("quantization_config")["config_groups"]
    config["dtype"] = "float32"
    (options.target / "config.json").write_text(json.dumps(config))
    (scheme,) = [group["weights"] for group in groups.values()]
    bits, group = scheme["num_bits"], scheme["group_size"]
    original = load_file(options.original / "model.safetensors") if options.original else {}

    stored = load_file(options.model / "model.safetensors")
    dense = {}
    for name, tensor in stored.items():
        if "weight_" not in name:
            dense[name] = tensor.astype(np.float32)
        if not name.endswith(".weight_packed"):
            continue
        module = name.removesuffix(".weight_packed")
        rows, columns = (int(n) for n in stored[module + ".weight_shape"])
        codes = unpack(tensor, bits, columns)
        scales = stored[module + ".weight_scale"].astype(np.float32)
        if scheme["symmetric"]:
            if module + ".weight_zero_point" in stored:
                sys.exit(f"{module}: a symmetric weight must not store zeros")
            zeros = np.full(scales.shape, 2 ** (bits - 1))
        else:
            packed = stored[module + ".weight_zero_point"]
            zeros = unpack(np.ascontiguousarray(packed.T), bits, rows).T
        repeat = lambda x: np.repeat(x, group, axis=1)
        weight = ((codes - repeat(zeros)) * repeat(scales)).astype(np.float32)
        dense[module + ".weight"] = weight
        if original:
            # Half a step for rounding the weight, half for rounding the zero point, and the scale's own rounding.
            error = np.abs(weight - original[module + ".weight"]) / repeat(scales)
            if error.max() > 1.02:
                sys.exit(f"{module}: {error.max():.2f} steps away from the original")
            if np.median(error) > 0.3:
                sys.exit(f"{module}: the median weight is {np.median(error):.2f} steps away")
    if not any(name.endswith(".weight_packed") for name in stored):
        sys.exit("nothing is packed")
    save_file(dense, options.target / "model.safetensors", metadata={"format": "pt"})


main()
