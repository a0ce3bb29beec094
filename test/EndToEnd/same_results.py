#!/usr/bin/env python3
"""Fails unless results of `run` are equal in all but their times and their use of GPUs. usage: same_results.py A.json B.json ..."""
import json
import sys


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if "second" not in key and not key.startswith("gpu")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


first, *others = (timeless(json.load(open(path))) for path in sys.argv[1:])
sys.exit(any(other != first for other in others))
