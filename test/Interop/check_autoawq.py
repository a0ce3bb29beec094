#!/usr/bin/env python3
"""Loads an AutoAWQ export with transformers and gptqmodel, and compares it with the dequantised
weights of OUT/model, which an unpacker of its own reads.

usage: check_autoawq.py OUT     (of compressc MODEL -o OUT --export=autoawq; needs
tools/requirements-interop.txt)

Two comparisons: the weights that gptqmodel's own code unpacks must be the same bit for bit in f16,
the type that it unpacks to; and with activations in fp32 no logit may be further from those of the
dense model with these weights than --tolerance of the largest. What rounding the dequantised weights
to f16 changes is printed too.
"""
import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
from safetensors.torch import load_file

VERSIONS = ("torch", "transformers", "gptqmodel", "accelerate")
UNPACK = Path(__file__).resolve().parent.parent / "EndToEnd" / "unpack.py"


def load(directory):
    return transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def logits(model, sequences):
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0] for ids in sequences]


def compare_weights(directory, dense, config):
    """The modules that are packed, each of them compared."""
    stored = load_file(directory / "model.safetensors")
    group = config["quantization_config"]["group_size"]
    modules = [name.removesuffix(".qweight") for name in stored if name.endswith(".qweight")]
    for module in modules:
        parts = (stored[module + part] for part in (".qweight", ".qzeros", ".scales"))
        values = dequantize_gemm(*parts, 4, group)
        if not torch.equal(values.T, dense.get_submodule(module).weight.half()):
            sys.exit(f"{module}: gptqmodel unpacks other values")
    return modules


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    directory = options.output / "autoawq"
    config = json.loads((directory / "config.json").read_text())
    torch.manual_seed(0)
    draw = lambda length: torch.randint(0, config["vocab_size"], (length,)).tolist()
    sequences = [draw(length) for length in (5, 33, 97)]
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "dense"
        subprocess.run([sys.executable, UNPACK, options.output / "model", target], check=True)
        dense = load(target)
    modules = compare_weights(directory, dense, config)
    exact = logits(dense, sequences)
    for module in modules:
        weight = dense.get_submodule(module).weight
        weight.data = weight.data.half().float()
    expected = logits(dense, sequences)

    packed = load(directory)
    kernels = {type(packed.get_submodule(module)).__name__ for module in modules}
    if kernels & {"Linear"} or len(modules) != sum(hasattr(m, "qweight") for m in packed.modules()):
        sys.exit("transformers did not take every packed linear as one")
    found = logits(packed, sequences)

    scale = max(float(row.abs().max()) for row in expected)
    differ = lambda rows: max(float((x - y).abs().max()) for x, y in zip(rows, expected)) / scale
    agree = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in zip(found, expected))
    print(json.dumps({
        "packed linears": len(modules), "kernels": sorted(kernels), "largest logit": scale,
        "relative difference": differ(found), "of weights not rounded to f16": differ(exact),
        "same next token": f"{agree} of {sum(map(len, sequences))}",
        **{name: importlib.metadata.version(name) for name in VERSIONS},
    }, indent=1))
    if differ(found) > options.tolerance:
        sys.exit(f"the logits differ by {differ(found)} of the largest")


main()
