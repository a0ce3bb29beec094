"""Speed of Gemm beside PyTorch's fp32 matmul: gemm_bench.py PATH/TO/gemm_bench [KIND] [THREADS]

The two take turns several times, and the best of each counts, because other work may share the cores;
one thread is measured in CPU time.
"""
import subprocess
import sys
import time

import torch

program = sys.argv[1]
kind = sys.argv[2] if len(sys.argv) > 2 else "f16"
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
SHAPES = [(M, N, K) for M in (1, 4, 512, 2048, 8192)
          for N, K in ((576, 576), (1536, 576), (576, 1536), (1536, 1536))]
TURNS = 3

torch.set_num_threads(threads)
clock = time.process_time if threads == 1 else time.perf_counter


def peer(M, N, K):
    x, w = torch.rand(M, K), torch.rand(N, K)
    best = 0.0
    for _ in range(max(4, min(200, int(4e9 / (M * N * K))))):
        begin = clock()
        torch.nn.functional.linear(x, w)
        best = max(best, 2e-9 * M * N * K / (clock() - begin))
    return best


def ours(M, N, K):
    repeats = max(4, min(200, int(4e9 / (M * N * K))))
    line = subprocess.run([program, str(threads), str(repeats), kind, str(M), str(N), str(K)],
                          capture_output=True, text=True, check=True).stdout
    return float(line.split()[3])


print(f"{kind}, {threads} threads, GFLOP/s\n{'M':>5} {'N':>5} {'K':>5} {'ours':>8} {'torch':>8} {'ratio':>6}")
for shape in SHAPES:
    a = b = 0.0
    for _ in range(TURNS):
        a, b = max(a, ours(*shape)), max(b, peer(*shape))
    print(f"{shape[0]:>5} {shape[1]:>5} {shape[2]:>5} {a:>8.1f} {b:>8.1f} {a / b:>6.2f}", flush=True)
