"""Kills a compilation again and again, and compares what the runs after it write with an undisturbed one's.

usage: kill_and_resume.py UNDISTURBED OUT STORE KILLS COMMAND ...

Half of the kills hit runs with OUT's own store, half runs with --store STORE, which is emptied between them.
Each starts from an empty store, is killed with SIGKILL after a random delay up to the time of a whole run, and
is run again to the end. Prints how many of those wrote the same bytes, and how many finished steps they computed
again.
"""
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path


def same(a, b):
    files = lambda root: sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return files(a) == files(b) and all((a / name).read_bytes() == (b / name).read_bytes() for name in files(a))


def run_and_kill(command, delay):
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main():
    undisturbed, out, named = (Path(argument) for argument in sys.argv[1:4])
    kills, command = int(sys.argv[4]), sys.argv[5:] + ["-o", str(out)]
    start = time.perf_counter()
    subprocess.run(command + ["--no-store"], check=True, stderr=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    equal = again = 0
    for kill in range(kills):
        own = kill % 2 == 0
        store = Path(f"{out}.store") if own else named
        arguments = command + ([] if own else ["--store", str(named)])
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(store, ignore_errors=True)
        delay = chance.uniform(0, whole)
        run_and_kill(arguments, delay)
        finished = len(list(store.glob("*.results")))  # none when it came to its end and removed its own store
        result = subprocess.run(arguments, check=True, stderr=subprocess.PIPE, text=True)
        found = re.search(r"(\d+) of \d+ steps are there", result.stderr)
        again += finished - (int(found[1]) if found else 0)
        left = [path.name for path in out.parent.glob(f"{out.name}.*")]
        left += [path.name for path in named.glob("*") if path.suffix != ".results" and path.name != "lock"]
        if left:
            sys.exit(f"killed after {delay} s (seed {seed}): {left} were left behind")
        if same(undisturbed, out):
            equal += 1
        else:
            print(f"killed after {delay} s (seed {seed}): other bytes")
    print(f"{kills} kills, {equal} times the same bytes")
    print(f"finished steps computed again: {again}")


if __name__ == "__main__":
    main()
