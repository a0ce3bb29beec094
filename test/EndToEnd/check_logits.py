#!/usr/bin/env python3
"""Compares the logits of a model compiled with --emit=so with a golden file's sequences (from transformers).

usage: check_logits.py OUT GOLDEN.json [TOLERANCE] (absolute, 1e-4)
"""
import ctypes
import json
import sys

tolerance = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-4
library = ctypes.CDLL(sys.argv[1] + "/libmodel.so")
library.compressc_open.restype = ctypes.c_void_p
library.compressc_vocabulary_size.restype = ctypes.c_int64
error = ctypes.c_char_p()
model = ctypes.c_void_p(library.compressc_open(None, 2, ctypes.byref(error)))
if not model:
    sys.exit(error.value.decode())
with open(sys.argv[2]) as file:
    sequences = json.load(file)["sequences"]
worst = 0.0
for sequence in sequences:
    tokens, expected = sequence["tokens"], sequence["logits"]
    if library.compressc_vocabulary_size(model) != len(expected):
        sys.exit(f"{len(expected)} logits are expected, not {library.compressc_vocabulary_size(model)}")
    logits = (ctypes.c_float * len(expected))()
    if library.compressc_logits(model, (ctypes.c_int32 * len(tokens))(*tokens), ctypes.c_int64(len(tokens)), logits,
                                ctypes.byref(error)):
        sys.exit(error.value.decode())
    worst = max([worst] + [abs(a - b) for a, b in zip(logits, expected)])
print(f"worst difference {worst:.2e}")
if not worst <= tolerance:
    sys.exit(f"larger than {tolerance:g}")
