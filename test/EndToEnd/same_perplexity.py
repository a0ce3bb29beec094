#!/usr/bin/env python3
"""Fails unless two results of `run perplexity` agree. usage: same_perplexity.py A.json B.json [RELATIVE]"""
import json
import sys

first, second = (json.load(open(path))["perplexity"] for path in sys.argv[1:3])
tolerance = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-5
print(first, second)
sys.exit(abs(first - second) > tolerance * first)
