"""Speed of the linear kernel beside PyTorch's: gemm_bench.py PATH/TO/gemm_bench [options]

Each line is a shape [M, N, K], a type of weight and a `compute`; the peer is torch.nn.functional.linear in
fp32, and in bf16 for compute=bf16 (torch._int_mm for int8, which scales nothing). The two take turns several
times, and the best of each counts, because other work may share the cores; one thread is measured in CPU time.
"""
import argparse
import json
import subprocess
import sys
import time

import torch

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--kinds", default="f16,w4g64", help="types of weight: f32, f16, bf16, q4_0, w4g64 ...")
parser.add_argument("--compute", default="f32,bf16,int8")
parser.add_argument("--rows", default="1,4,512,2048")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--head", action="store_true", help="also one row of a [49152, 576] head")
parser.add_argument("--json", help="write the table to this file too")
options = parser.parse_args()

shapes = [(int(M), N, K) for M in options.rows.split(",")
          for N, K in ((576, 576), (1536, 576), (576, 1536), (1536, 1536))]
if options.head:
    shapes.append((1, 49152, 576))
torch.set_num_threads(options.threads)
clock = time.process_time if options.threads == 1 else time.perf_counter


def repeats(M, N, K):
    return max(4, min(200, int(4e9 / (M * N * K))))


def peer(compute, M, N, K):
    if compute == "int8":
        if M <= 16:
            return 0.0
        x, w = torch.randint(-127, 127, (M, K), dtype=torch.int8), torch.randint(-127, 127, (K, N), dtype=torch.int8)
        run = lambda: torch._int_mm(x, w)
    else:
        dtype = torch.bfloat16 if compute == "bf16" else torch.float32
        x, w = torch.rand(M, K, dtype=dtype), torch.rand(N, K, dtype=dtype)
        run = lambda: torch.nn.functional.linear(x, w)
    best = 0.0
    for _ in range(repeats(M, N, K)):
        begin = clock()
        run()
        best = max(best, 2e-9 * M * N * K / (clock() - begin))
    return best


def ours(kind, compute, M, N, K):
    command = [options.program, options.threads, repeats(M, N, K), kind, compute, M, N, K]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return float(result.stdout.split()[3])


print(f"{options.threads} threads, 10^9 operations a second")
print(f"{'weight':>8} {'compute':>8} {'M':>5} {'N':>5} {'K':>5} {'ours':>8} {'torch':>8} {'ratio':>6}")
table = []
for kind in options.kinds.split(","):
    for compute in options.compute.split(","):
        for shape in shapes:
            a = b = 0.0
            for _ in range(options.turns):
                a, b = max(a, ours(kind, compute, *shape)), max(b, peer(compute, *shape))
            ratio = a / b if b else None
            table.append(dict(weight=kind, compute=compute, shape=shape, ours=a, torch=b or None, ratio=ratio))
            print(f"{kind:>8} {compute:>8} {shape[0]:>5} {shape[1]:>5} {shape[2]:>5} {a:>8.1f} "
                  + (f"{b:>8.1f} {ratio:>6.2f}" if b else f"{'-':>8} {'-':>6}"), flush=True)
if options.json:
    with open(options.json, "w") as file:
        json.dump(dict(threads=options.threads, table=table), file, indent=1)
