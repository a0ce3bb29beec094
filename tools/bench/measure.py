"""Runs a command on a fixed number of processors and says how long it took and how much memory it held."""
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Measured:
    seconds: float
    cpu_seconds: float  # user and system, of the command and what it waited for
    peak_rss_mb: int
    output: str
    errors: str = ""


def run(command, threads, environment=None, keep_errors=False):
    """Ends the program when the command fails; its standard error is passed on as it comes, or kept."""
    processors = sorted(os.sched_getaffinity(0))[:threads]
    if len(processors) < threads:
        print(f"note: {threads} threads wanted, {len(processors)} processors there", file=sys.stderr)
    print("+ " + " ".join(str(word) for word in command), file=sys.stderr, flush=True)
    start = time.perf_counter()
    errors = tempfile.TemporaryFile("w+") if keep_errors else None
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=errors, text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), **(environment or {})},
        preexec_fn=lambda: os.sched_setaffinity(0, processors))
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    code = process.returncode = os.waitstatus_to_exitcode(status)
    said = ""
    if errors:
        errors.seek(0)
        said = errors.read()
    if code != 0:
        sys.exit(f"{command[0]} failed with status {code}\n{output}{said}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, output, said)


@dataclass
class Sampled:
    seconds: float
    peak_anonymous_mb: float  # 10^6 bytes
    errors: str


def run_sampled(command, threads, kill_after=None):
    """Samples the process's anonymous memory every 5 ms; kills it after `kill_after` seconds, if given."""
    processors = sorted(os.sched_getaffinity(0))[:threads]
    print("+ " + " ".join(str(word) for word in command), file=sys.stderr, flush=True)
    peak = 0
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=errors,
                                   preexec_fn=lambda: os.sched_setaffinity(0, processors))
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("RssAnon:")])
            except OSError:
                pass
            if kill_after is not None and time.perf_counter() - start > kill_after:
                process.kill()
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        errors.seek(0)
        text = errors.read()
    if process.returncode != 0 and kill_after is None:
        sys.exit(f"{command[0]} failed with status {process.returncode}\n{text}")
    return Sampled(seconds, peak * 1024 / 1e6, text)
