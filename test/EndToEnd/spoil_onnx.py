#!/usr/bin/env python3
"""Writes changed copies of an ONNX model into a directory, each named after what was changed: broken but for `window`.

usage: spoil_onnx.py MODEL.onnx DIRECTORY
"""
import sys
from pathlib import Path

import onnx


def operator(model):
    next(n for n in model.graph.node if n.op_type == "Sigmoid").op_type = "Sqrt"


def version(model):
    model.opset_import[0].version = 17


def missing(model):
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    model.graph.initializer.remove(largest)


def cycle(model):
    last = model.graph.node[-1]
    node = next(n for n in model.graph.node if n.op_type == "MatMul")
    node.input[0] = last.output[0]


def huge(model):
    model.graph.initializer[0].dims[:] = [2**40, 2**40]


def outside(model):
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location="../x")
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def noncausal(model):
    next(n for n in model.graph.node if n.op_type == "LessOrEqual").op_type = "GreaterOrEqual"


def rotatedvalue(model):
    """Rotates the values of an attention as its queries are."""
    nodes = model.graph.node
    at = next(i for i, node in enumerate(nodes) if node.op_type == "Attention")
    rotation = next(node for node in nodes if node.output[0] == nodes[at].input[0])
    if rotation.op_type != "RotaryEmbedding":
        return
    nodes[at].input[2], value = "rotated", nodes[at].input[2]
    nodes.insert(at, onnx.helper.make_node("RotaryEmbedding", [value, *rotation.input[1:]], ["rotated"]))


def slide(model, length):
    """Limits the causal mask to the last `length` positions, as transformers does: key > query - length."""
    nodes = model.graph.node
    at = next(i for i, node in enumerate(nodes) if node.op_type == "LessOrEqual")
    key, query = nodes[at].input
    masked = nodes[at].output[0]
    nodes[at].output[0] = "causal"
    model.graph.initializer.append(onnx.helper.make_tensor("length", onnx.TensorProto.INT64, [], [length]))
    for node in (onnx.helper.make_node("And", ["causal", "near"], [masked]),
                 onnx.helper.make_node("Less", ["limit", key], ["near"]),
                 onnx.helper.make_node("Sub", [query, "length"], ["limit"])):
        nodes.insert(at + 1, node)


def window(model):
    slide(model, 5)


def longwindow(model):
    slide(model, 4096)


def main():
    for spoil in (operator, version, missing, cycle, huge, outside, noncausal, rotatedvalue, window, longwindow):
        model = onnx.load(sys.argv[1])
        spoil(model)
        (Path(sys.argv[2]) / f"{spoil.__name__}.onnx").write_bytes(model.SerializeToString())


main()
