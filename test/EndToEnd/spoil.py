#!/usr/bin/env python3
"""Copies a model directory and spoils one thing in it.

usage: spoil.py SOURCE TARGET KIND [ARGUMENT ...]
  truncate FILE BYTES      keep the first bytes of a file
  header LENGTH            the safetensors header's length field
  replace FILE OLD NEW     text of a file
  nan TENSOR               its first element
  nan-in FILE TENSOR       the same of a file below the directory
  remove FILE
"""
import json
import shutil
import struct
import sys
from pathlib import Path


def main():
    source, target, kind, *arguments = sys.argv[1:]
    target = Path(target)
    shutil.copytree(source, target)
    if kind == "truncate":
        path = target / arguments[0]
        path.write_bytes(path.read_bytes()[: int(arguments[1])])
    elif kind == "header":
        path = target / "model.safetensors"
        path.write_bytes(struct.pack("<Q", int(arguments[0])) + path.read_bytes()[8:])
    elif kind == "replace":
        path = target / arguments[0]
        text = path.read_text()
        if arguments[1] not in text:
            sys.exit(f"{path} does not contain {arguments[1]}")
        path.write_text(text.replace(arguments[1], arguments[2]))
    elif kind in ("nan", "nan-in"):
        path = target / (arguments.pop(0) if kind == "nan-in" else "model.safetensors")
        data = bytearray(path.read_bytes())
        length = struct.unpack("<Q", data[:8])[0]
        begin = 8 + length + json.loads(data[8 : 8 + length])[arguments[0]]["data_offsets"][0]
        data[begin : begin + 4] = struct.pack("<f", float("nan"))
        path.write_bytes(data)
    elif kind == "remove":
        (target / arguments[0]).unlink()
    else:
        sys.exit(__doc__)


main()
