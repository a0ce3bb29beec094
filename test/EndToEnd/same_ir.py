#!/usr/bin/env python3
"""Compares the lm IR of an ONNX graph with that of the safetensors checkpoint it was exported from.

usage: same_ir.py ONNX.mlir SAFETENSORS.mlir --transposed N

The two must be the same text once the graph's names are left out and its N matrices that are stored [K, N], and
read through compress.transpose, are written as [N, K]. Says what differs, with status 1.
"""
import difflib
import re
import sys


def without_transposes(text):
    """Reads matrices as [N, K]; returns how many were not stored so."""
    pattern = re.compile(r"%(\w+)_transposed = lm\.load_param @(\S+) : tensor<(\d+)x(\d+)x(\w+)>\n"
                         r" *%\1 = compress\.transpose %\1_transposed : tensor<\3x\4x\5> -> tensor<\4x\3x\5>\n")
    symbols = []

    def load(match):
        name, symbol, rows, columns, dtype = match.groups()
        symbols.append((symbol, f"{rows}x{columns}x{dtype}", f"{columns}x{rows}x{dtype}"))
        return f"%{name} = lm.load_param @{symbol} : tensor<{columns}x{rows}x{dtype}>\n"

    text = pattern.sub(load, text)
    for symbol, stored, plain in symbols:
        text = text.replace(f"lm.param @{symbol} : tensor<{stored}>", f"lm.param @{symbol} : tensor<{plain}>")
    return text, len(symbols)


def main():
    onnx, safetensors = (open(path).read() for path in sys.argv[1:3])
    onnx, keys = re.subn(r' key "x\d+"', "", onnx)
    onnx, transposed = without_transposes(onnx)
    onnx = re.sub(r'lm\.name = "\w+"', 'lm.name = "model"', onnx)
    safetensors = re.sub(r'lm\.name = "[\w-]+"', 'lm.name = "model"', safetensors)
    difference = list(difflib.unified_diff(onnx.splitlines(), safetensors.splitlines(), lineterm=""))
    print("\n".join(difference))
    if keys != safetensors.count("lm.param @") or transposed != int(sys.argv[4]):
        sys.exit(f"{keys} parameters with names of the graph, {transposed} of them stored transposed")
    sys.exit(1 if difference else 0)


main()
