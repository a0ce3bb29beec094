"""Runs a command on a fixed number of processors and says how long it took and how much memory it held."""
import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass
class Measured:
    seconds: float
    peak_rss_mb: int
    output: str


def run(command, threads, environment=None):
    """Ends the program when the command fails; its standard error is passed on as it comes."""
    processors = sorted(os.sched_getaffinity(0))[:threads]
    if len(processors) < threads:
        print(f"note: {threads} threads wanted, {len(processors)} processors there", file=sys.stderr)
    print("+ " + " ".join(str(word) for word in command), file=sys.stderr, flush=True)
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), **(environment or {})},
        preexec_fn=lambda: os.sched_setaffinity(0, processors))
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code != 0:
        sys.exit(f"{command[0]} failed with status {code}\n{output}")
    return Measured(seconds, usage.ru_maxrss // 1024, output)
