#!/usr/bin/env python3
"""Compares report.json's decisions of prune-layers with a golden file's influences.

usage: check_decisions.py REPORT.json GOLDEN.json
"""
import json
import sys

with open(sys.argv[1]) as file:
    rows = [row for row in json.load(file)["decisions"] if row["pass"] == "prune-layers"]
with open(sys.argv[2]) as file:
    golden = json.load(file)
if [row["weights"] for row in rows] != [[f"layer {i}"] for i in range(len(golden["influence"]))]:
    sys.exit(f"unexpected candidates: {rows}")
worst = max(abs(row["influence"] - i) for row, i in zip(rows, golden["influence"]))
if [row["chosen"] for row in rows] != [float(i == golden["dropped"]) for i in range(len(rows))] or worst > 1e-4:
    sys.exit(f"{rows}\nexpected {golden}")
print(f"worst difference {worst:.2e}")
