#!/usr/bin/env python3
"""Writes an adapter directory as PEFT does, of rank 4, all numbers 1: for tests of what is done with its shapes.

usage: make_adapter.py DIR MODULE:ROWSxCOLUMNS... [KEY=JSON...] (fields of adapter_config.json)
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

directory = Path(sys.argv[1])
config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8}
tensors = {}
for argument in sys.argv[2:]:
    if "=" in argument:
        key, value = argument.split("=", 1)
        config[key] = json.loads(value)
        continue
    module, shape = argument.rsplit(":", 1)
    rows, columns = map(int, shape.split("x"))
    tensors[f"base_model.model.{module}.lora_A.weight"] = np.ones((4, columns), np.float32)
    tensors[f"base_model.model.{module}.lora_B.weight"] = np.ones((rows, 4), np.float32)
directory.mkdir(parents=True, exist_ok=True)
(directory / "adapter_config.json").write_text(json.dumps(config))
save_file(tensors, directory / "adapter_model.safetensors")
