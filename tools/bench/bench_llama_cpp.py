#!/usr/bin/env python3
"""Prompt and decoding speed of a deployed model and of llama.cpp on a GGUF file of the same model, in turns.

usage: bench_llama_cpp.py OUT MODEL.gguf [--prompt 512] [--decode 128] [--threads 2] [--turns 3] [--peer-python PY]

Prints one JSON line: tokens/s of both (the best turn of each) and our ratio to llama.cpp. The peer needs
llama-cpp-python, built from source for this machine (CMAKE_ARGS=-DGGML_NATIVE=ON).
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

import measure

PEER = r"""
import json, sys, time
from llama_cpp import Llama
path, prompt, decode, threads = sys.argv[1], *map(int, sys.argv[2:5])
model = Llama(path, n_ctx=prompt + decode + 8, n_batch=prompt, n_ubatch=prompt, n_threads=threads,
              n_threads_batch=threads, verbose=False)
tokens = [1000 + i * 37 % 20000 for i in range(prompt)]
model.eval(tokens[:8])
model.reset()
start = time.perf_counter(); model.eval(tokens); prefill = time.perf_counter() - start
start = time.perf_counter()
for i in range(decode):
    model.eval([2000 + i])
print(json.dumps({"prefill": prompt / prefill, "decode": decode / (time.perf_counter() - start)}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with llama-cpp-python")
    options = parser.parse_args()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "bench.json"
        for _ in range(options.turns):
            measure.run([options.out.resolve() / "run", "bench", "--prompt", options.prompt, "--decode", options.decode,
                         "--repeats", 1, "--threads", options.threads, "--quiet", "--json", result], options.threads)
            report = json.loads(result.read_text())
            ours.append((report["prefill_tokens_per_second"]["median"],
                         report["decode_tokens_per_second"]["median"]))
            peer = json.loads(measure.run([options.peer_python, "-c", PEER, options.gguf, options.prompt, options.decode,
                                           options.threads], options.threads).output.strip().split("\n")[-1])
            theirs.append((peer["prefill"], peer["decode"]))
    line = {"benchmark": "llama.cpp", "model": str(options.out.name), "gguf": options.gguf.name,
            "threads": options.threads, "prompt": options.prompt, "decode": options.decode}
    for index, name in enumerate(("prefill", "decode")):
        mine, peer = max(turn[index] for turn in ours), max(turn[index] for turn in theirs)
        line |= {f"{name}_tokens_per_second": round(mine, 1), f"peer_{name}_tokens_per_second": round(peer, 1),
                 f"{name}_ratio": round(mine / peer, 3)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
