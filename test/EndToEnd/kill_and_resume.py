"""Kills a compilation again and again, and compares what the runs after it write with an undisturbed one's.

usage: kill_and_resume.py UNDISTURBED OUT STORE WHEN COMMAND ...

WHEN is a number of kills, each after a random delay up to the time of a whole run; or libcompressc-fault.so, with
which a run is killed before its first rename, then before its second, until one comes to its end, and the same with
the files that it removes. Kills hit runs with OUT's own store and runs with --store STORE. Each run starts without a
store, is killed with SIGKILL, and is run again to the end: that must write UNDISTURBED's bytes, compute no finished
step again, and leave nothing behind but STORE's finished steps. Prints how many kills there were, and each problem.
"""
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path


def same(a, b):
    files = lambda root: sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return files(a) == files(b) and all((a / name).read_bytes() == (b / name).read_bytes() for name in files(a))


def run(command, **environment):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                          env={**os.environ, **environment})


class Compilation:
    def __init__(self, undisturbed, out, named, command):
        self.undisturbed, self.out, self.named = undisturbed, out, named
        self.own = command + ["-o", str(out)]
        self.kills, self.problems = 0, []

    def command(self, own):
        return self.own if own else self.own + ["--store", str(self.named)]

    def clear(self):
        for path in (self.out, self.named, *self.out.parent.glob(f"{self.out.name}.*")):
            shutil.rmtree(path, ignore_errors=True)

    def resume(self, own, when):
        """Runs to the end what was killed."""
        self.kills += 1
        store = Path(f"{self.out}.store") if own else self.named
        found = sorted(path.name for path in store.glob("*"))
        finished = sum(name.endswith(".results") for name in found)  # none when it removed its own store at its end
        result = run(self.command(own))
        there = re.search(r"(\d+) of \d+ steps are there", result.stderr)
        again = finished - (int(there[1]) if there else 0)
        left = [path.name for path in self.out.parent.glob(f"{self.out.name}.*")]
        left += [path.name for path in self.named.glob("*") if path.suffix != ".results" and path.name != "lock"]
        problems = []
        if result.returncode:
            problems.append(f"status {result.returncode}: {result.stderr.strip()!r}")
        elif not same(self.undisturbed, self.out):
            problems.append("other bytes")
        if again:
            problems.append(f"{again} finished steps computed again")
        if left:
            problems.append(f"left behind: {left}")
        place = f"killed {when}, {'own' if own else 'named'} store with {found}"
        self.problems += [f"{place}: {problem}" for problem in problems]

    def kill_at_random(self, kills):
        self.clear()
        start = time.perf_counter()
        result = run(self.own + ["--no-store"])
        whole = time.perf_counter() - start
        if result.returncode:
            self.problems.append(f"without a kill: status {result.returncode}: {result.stderr.strip()!r}")
            return
        for kill in range(kills):
            self.clear()
            delay, own = random.uniform(0, whole), kill % 2 == 0
            try:
                subprocess.run(self.command(own), stderr=subprocess.DEVNULL, timeout=delay)
            except subprocess.TimeoutExpired:
                pass
            self.resume(own, f"after {delay:.4f} s of {whole:.4f} s")

    def kill_before_each(self, operation, own, library):
        for number in itertools.count(1):
            self.clear()
            if run(self.command(own), LD_PRELOAD=library, FAULT_KIND=operation, FAULT_NUMBER=str(number),
                   FAULT_SIGNAL=str(int(signal.SIGKILL))).returncode != -signal.SIGKILL:
                break
            self.resume(own, f"before {operation} {number}")


def main():
    when = sys.argv[4]
    compilation = Compilation(*(Path(argument) for argument in sys.argv[1:4]), sys.argv[5:])
    if when.isdigit():
        compilation.kill_at_random(int(when))
    else:
        for operation, own in itertools.product(("rename", "remove"), (True, False)):
            compilation.kill_before_each(operation, own, when)
    # On standard output, which the test shows.
    print(f"{compilation.kills} kills, {len(compilation.problems)} problems", *compilation.problems, sep="\n")
    sys.exit(bool(compilation.problems))


if __name__ == "__main__":
    main()
