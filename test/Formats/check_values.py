#!/usr/bin/env python3
"""Whether a plain F16 checkpoint holds the values of a dense F32 one, each rounded once.

usage: check_values.py PLAIN DENSE
"""
import sys

import numpy as np
from safetensors.numpy import load_file

plain, dense = (load_file(directory + "/model.safetensors") for directory in sys.argv[1:])
if plain.keys() != dense.keys():
    sys.exit(f"names differ: {plain.keys() ^ dense.keys()}")
for name, values in dense.items():
    if plain[name].dtype != np.float16 or (plain[name] != values.astype(np.float16)).any():
        sys.exit(f"{name}: not the same values")
