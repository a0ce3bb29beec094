#!/usr/bin/env python3
"""Fails on an #include that goes up: each layer includes itself and the layers before it.

usage: tools/check_layers.py          (from anywhere; prints each offending line; status 1 if there are any)
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Layers that share a line do not include each other.
RUNTIME = ["base", "text", "ops", "cpu cuda", "session", "tasks"]
COMPILER = ["dialects", "Transforms", "Conversion", "Target", "Formats", "Import", "Materialize", "Export", "Pipelines", "tools"]

# Public headers of the runtime, by the layer that defines what they declare.
RUNTIME_HEADERS = {
    "base": "digest operand_types progress safetensors status tensor text thread_pool",
    "text": "tokenizer",
    "ops": "batch collective device device_usage kernel kernel_row program row_score",
    "session": "model planner schedule session",
}
# What the compiler may use of the runtime: all but its tasks, which only the driver and tools do.
COMPILER_USES_TASKS = {"Pipelines", "tools"}

# lora-merge reads adapters itself; that goes when an adapter is a symbol of the module.
KNOWN = {("lib/Transforms/LoraMerge.cpp", "compressc/Import/Adapter.h")}


def rank_of(layers):
    return {name: rank for rank, line in enumerate(layers) for name in line.split()}


RUNTIME_RANK, COMPILER_RANK = rank_of(RUNTIME), rank_of(COMPILER)
HEADER_LAYER = {name: layer for layer, names in RUNTIME_HEADERS.items() for name in names.split()}


def layer_of(path):
    """("runtime" or "compiler", layer) of a file; None where no layer is meant."""
    parts = path.parts
    if parts[:2] == ("runtime", "include"):
        layer = HEADER_LAYER.get(path.stem)
        if layer is None and path.parent.name == "runtime":
            sys.exit(f"{path}: say in {Path(__file__).name} which layer it belongs to")
        return ("runtime", layer or "tasks")
    if parts[0] == "runtime" and len(parts) > 2:
        return ("runtime", parts[1])
    if parts[0] == "dialects":
        return ("compiler", "dialects")
    if parts[0] == "lib" and len(parts) > 2:
        return ("compiler", parts[1])
    if parts[:2] == ("include", "compressc"):
        return ("compiler", parts[2])
    if parts[0] == "tools" and parts[1] in ("compressc", "compressc-opt"):
        return ("compiler", "tools")
    return None


def resolve(path, name):
    for base in (path.parent, ROOT, ROOT / "include", ROOT / "runtime" / "include"):
        found = (base / name).resolve()
        if found.is_file() and ROOT in found.parents:
            return found.relative_to(ROOT)
    return None


def problem(user, used):
    (side, layer), (other_side, other) = user, used
    if side == "runtime" and other_side == "compiler":
        return "the runtime includes nothing of the compiler"
    if side == "compiler" and other_side == "runtime":
        if other == "tasks" and layer not in COMPILER_USES_TASKS:
            return f"{layer} does not use the runtime's tasks"
        return None
    ranks = RUNTIME_RANK if side == "runtime" else COMPILER_RANK
    if layer != other and ranks[layer] <= ranks[other]:
        return f"{layer} is not above {other}"
    return None


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "runtime", "lib", "include", "dialects", "tools"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    bad = 0
    for name in listed:
        path = Path(name)
        if path.suffix not in (".h", ".cpp", ".cu", ".cuh", ".def") or not (ROOT / path).is_file():
            continue
        user = layer_of(path)
        if user is None:
            continue
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            used = match and resolve(ROOT / path, match.group(1))
            target = used and layer_of(used)
            message = target and problem(user, target)
            if message and (str(path), match.group(1)) not in KNOWN:
                print(f"{path}:{number}: includes {match.group(1)}: {message}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
