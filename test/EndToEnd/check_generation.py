#!/usr/bin/env python3
"""What `run generate --prompts` should say by generation.golden.json (from transformers).

usage: check_generation.py GOLDEN.json MODEL prompts FILE.jsonl     writes the prompts
       check_generation.py GOLDEN.json MODEL results FILE.jsonl     compares the results
"""
import json
import sys

golden_path, model, what, path = sys.argv[1:]
with open(golden_path) as file:
    (golden,) = (item["results"] for item in json.load(file)["greedy"] if item["model"] == model)
if what == "prompts":
    with open(path, "w") as file:
        file.writelines(json.dumps({"prompt": item["prompt"]}) + "\n" for item in golden)
    sys.exit()
with open(path) as file:
    results = [json.loads(line) for line in file]
if len(results) != len(golden):
    sys.exit(f"{len(results)} results, expected {len(golden)}")
for index, (result, wanted) in enumerate(zip(results, golden)):
    if result["index"] != index or any(result[key] != wanted[key] for key in ("prompt", "tokens", "finish")):
        sys.exit(f"prompt {index}: {result}, expected {wanted}")
