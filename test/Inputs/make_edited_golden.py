#!/usr/bin/env python3
"""Makes models/qwen2-edited.golden.json: what transformers says of `qwen2` without its first layer and with
relu in place of silu. test/EndToEnd/edited-ir.test makes the same change to the IR.

usage: make_edited_golden.py (needs tools/requirements-reference.txt)
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent


def main():
    source = HERE / "models" / "qwen2"
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        shutil.copytree(source, model)
        config = json.loads((model / "config.json").read_text())
        config["num_hidden_layers"] = 1
        config["hidden_act"] = "relu"
        if "layer_types" in config:
            config["layer_types"] = config["layer_types"][1:]
        (model / "config.json").write_text(json.dumps(config))
        tensors = {}
        for name, tensor in load_file(model / "model.safetensors").items():
            if name.startswith("model.layers.0."):
                continue
            tensors[name.replace("model.layers.1.", "model.layers.0.")] = tensor
        save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
        out = subprocess.run(
            [sys.executable, HERE.parent / "EndToEnd" / "reference.py", model, "--perplexity",
             HERE / "text" / "evaluation.txt", "--context", "128", "--windows", "8"],
            check=True, capture_output=True, text=True)
    result = json.loads(out.stdout)
    print(result)
    perplexity = result["perplexity"]
    loss = perplexity["mean_nll"] if isinstance(perplexity, dict) else result["mean_nll"]
    golden = {"tasks": {"perplexity": {"mean_nll": round(loss, 6)}}}
    (HERE / "models" / "qwen2-edited.golden.json").write_text(json.dumps(golden) + "\n")


main()
