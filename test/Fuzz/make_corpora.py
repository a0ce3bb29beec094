#!/usr/bin/env python3
"""Makes seed corpora for the fuzz targets from test/Inputs and what `compressc` emits for it.

usage: make_corpora.py COMPRESSC DIRECTORY      DIRECTORY/TARGET/ get the seeds; the same bytes every time
"""
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

INPUTS = Path(__file__).resolve().parents[1] / "Inputs" / "models"


def add(directory, name, data):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def tiny_safetensors():
    """A header with one tensor of each kind, and its data."""
    tensors, offset = {}, 0
    for dtype, size in (("F32", 4), ("F16", 2), ("BF16", 2), ("I32", 4), ("I64", 8), ("U8", 1)):
        tensors[f"{dtype}.weight"] = {"dtype": dtype, "shape": [2, 3], "data_offsets": [offset, offset + 6 * size]}
        offset += 6 * size
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(offset % 256)) * 1 + bytes(offset - offset % 256)


def schedules(compressc):
    """The schedules behind deployed programs, shrunk to few rows so that running them is quick."""
    with tempfile.TemporaryDirectory() as folder:
        for model in ("llama", "qwen2", "qwen3"):
            for label, options in (("plain", ["--without=merge-linears,fuse-epilogues,fuse-rotary,sink-selection"]),
                                   ("fused", []),
                                   ("packed", ["--passes=quantize{bits=4 group-size=32}", "--activations=int8"])):
                out = Path(folder) / "out"
                subprocess.run([compressc, INPUTS / model, "-o", out, "--quiet", "--max-tokens=4",
                                "--host-compiler=none", *options], check=True)
                run = (out / "run").read_bytes()
                length = struct.unpack("<Q", run[-16:-8])[0]
                payload = json.loads(run[-16 - length:-16])
                yield f"{model}-{label}.json", json.dumps(payload["schedule"]).encode()


def without_weights(path):
    """The graph with its weights outside, in the file of zeros that the fuzz target lays beside it."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.raw_data) > 256:
            tensor.raw_data = b""
            onnx.external_data_helper.set_external_data(tensor, location="weights")
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    return model.SerializeToString()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    compressc, directory = sys.argv[1], Path(sys.argv[2])
    add(directory / "safetensors", "tiny", tiny_safetensors())
    for path in sorted(INPUTS.glob("**/*")):
        label = "-".join(path.relative_to(INPUTS).parts)
        if path.name == "config.json":
            add(directory / "config", label, path.read_bytes())
        if path.name == "tokenizer.json" and path.stat().st_size < 20000:
            add(directory / "tokenizer", label, path.read_bytes() + b"\0The quick brown fox, 12 \xc3\xa9t\xc3\xa9s.")
        if path.suffix == ".gguf":
            add(directory / "gguf", label, path.read_bytes())
        if path.suffix == ".onnx":
            add(directory / "onnx", label, without_weights(path))
        if path.suffix == ".safetensors" and path.stat().st_size < 300000:
            add(directory / "safetensors", label, path.read_bytes())
    for name, text in schedules(compressc):
        add(directory / "schedule", name, text)


if __name__ == "__main__":
    main()
