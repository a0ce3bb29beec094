#!/usr/bin/env python3
"""usage: check_tensors.py MODEL OTHER [PART]: tensors of MODEL whose name has PART are the same bytes in OTHER."""
import json
import sys
from pathlib import Path


def tensors(directory):
    data = (Path(directory) / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"],
                   data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]])
            for name, entry in header.items()}


left, right = tensors(sys.argv[1]), tensors(sys.argv[2])
part = sys.argv[3] if len(sys.argv) > 3 else ""
names = [name for name in left if part in name]
if not names:
    sys.exit(f"no tensor has {part!r} in its name")
different = [name for name in names if left[name] != right.get(name)]
if different:
    sys.exit(f"changed: {', '.join(different)}")
