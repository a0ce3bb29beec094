#!/usr/bin/env python3
"""Compares report.json's decision of svd-factorize with a golden file's rank and error.

usage: check_factors.py REPORT.json GOLDEN.json
"""
import json
import sys

with open(sys.argv[1]) as file:
    (row,) = [row for row in json.load(file)["decisions"] if row["pass"] == "svd-factorize"]
with open(sys.argv[2]) as file:
    golden = json.load(file)
near = lambda a, b: abs(a - b) < 1e-4 * b
if (row["weights"] != ["lm_head.weight"] or row["rank"] != golden["rank"] or not near(row["error"], golden["error"])
        or not near(row["energy"], 1 - golden["error"])):
    sys.exit(f"{row}\nexpected {golden}")
print(row)
