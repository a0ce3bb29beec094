#!/usr/bin/env python3
"""Exports tiny models of test/Inputs/models to ONNX, operator set 23, as torch does, with every name shuffled.

usage: make_onnx.py [--out DIR] [NAME ...]

Each export differs in what torch makes of it: operators fused or spelled out, inputs, types, where the
weights lie. Names of values, nodes and initialisers, and the order of the initialisers, are drawn from a
fixed seed: a name that still meant something would hide that an importer reads it. Needs torch, transformers,
onnx, onnxscript (tools/requirements-reference.txt); prints the largest difference between the logits of
onnxruntime, when it is installed, and torch.
"""
import argparse
import random
import zlib
from pathlib import Path

import onnx
import torch
import transformers

HERE = Path(__file__).resolve().parent / "models"
# name -> (checkpoint, dtype, attention, inputs, let the exporter fuse?, external data?)
EXPORTS = {
    "llama": ("llama", torch.float32, "sdpa", ["input_ids"], True, True),
    "llama-f16": ("llama-f16", torch.float16, "sdpa", ["input_ids"], True, False),
    "qwen2": ("qwen2-bf16", torch.bfloat16, "sdpa", ["input_ids", "attention_mask"], True, False),
    "qwen3": ("qwen3", torch.float32, "eager", ["input_ids", "attention_mask", "position_ids"], False, False),
}


class Logits(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)), use_cache=False).logits


def example(names, batch, sequence):
    ids = torch.arange(batch * sequence).reshape(batch, sequence) % 311
    positions = torch.arange(sequence).expand(batch, sequence).contiguous()
    made = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "position_ids": positions}
    return tuple(made[name] for name in names)


def shuffle(model, seed):
    """Renames everything, and drops what repeats names or tells of the machine that exported."""
    graph = model.graph
    generator = random.Random(seed)
    names = {""}
    renamed = {"": ""}

    def new(name):
        if name not in renamed:
            while (fresh := f"x{generator.randrange(10**6)}") in names:
                pass
            names.add(fresh)
            renamed[name] = fresh
        return renamed[name]

    order = list(graph.initializer)
    generator.shuffle(order)
    del graph.initializer[:]
    graph.initializer.extend(order)
    for value in [*graph.initializer, *graph.input, *graph.output]:
        value.name = new(value.name)
        value.doc_string = ""
        del value.metadata_props[:]
    for value in [*graph.input, *graph.output]:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = new(size.dim_param)
    for index, node in enumerate(graph.node):
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        node.name = new(f"node {index}")
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    graph.name = graph.doc_string = model.doc_string = ""
    model.producer_name = model.producer_version = ""


def compare(path, module, inputs):
    try:
        import onnxruntime
    except ImportError:
        return "onnxruntime is not installed"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs)}
    with torch.no_grad():
        expected = module(*inputs).float()
    return (torch.from_numpy(session.run(None, feed)[0]).float() - expected).abs().max().item()


def export(module, fuse=True):
    """The exported program of a Logits module: any batch, any length."""
    names = module.names
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    return torch.onnx.export(
        module, example(names, 2, 7), dynamo=True, opset_version=23, optimize=fuse,
        dynamic_shapes=((sizes,) * len(names),), input_names=names, output_names=["logits"], verbose=False)


def make(name, out):
    checkpoint, dtype, attention, names, fuse, external = EXPORTS[name]
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE / checkpoint, dtype=dtype,
                                                              attn_implementation=attention)
    module = Logits(model, names).eval()
    made = export(module, fuse).model_proto
    shuffle(made, zlib.crc32(name.encode()))
    path = out / f"{name}.onnx"
    data = f"{name}.onnx.data"
    (out / data).unlink(missing_ok=True)
    onnx.save(made, path, save_as_external_data=external, location=data, size_threshold=1024)
    for file in out.glob(f"{name}.onnx*"):
        file.chmod(0o644)
    # One sequence: onnxruntime wants a table of cosines for each, which torch does not write.
    difference = "not run" if dtype == torch.bfloat16 else compare(path, module, example(names, 1, 50))
    print(f"{name}: {path.stat().st_size} bytes, onnxruntime differs by {difference}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "onnx")
    parser.add_argument("names", nargs="*", default=list(EXPORTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        make(name, options.out)


if __name__ == "__main__":
    main()
