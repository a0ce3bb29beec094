#!/usr/bin/env python3
"""Fails unless the passes' errors in two reports, summed, agree. usage: same_errors.py A.json B.json RELATIVE"""
import json
import sys

first, second = ([d["error"] for d in json.load(open(path))["decisions"] if "error" in d] for path in sys.argv[1:3])
print(sum(first), sum(second))
sys.exit(len(first) != len(second) or abs(sum(first) - sum(second)) > float(sys.argv[3]) * sum(first))
