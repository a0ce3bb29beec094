#!/usr/bin/env python3
"""Fails unless log-probabilities of two results of `run mmlu` are close. usage: same_answers.py A.json B.json TOLERANCE"""
import json
import sys

first, second = (json.load(open(path))["questions"] for path in sys.argv[1:3])
worst = max(abs(x - y) for a, b in zip(first, second, strict=True) for x, y in zip(a["logprobs"], b["logprobs"], strict=True))
print(worst)
sys.exit(worst > float(sys.argv[3]))
