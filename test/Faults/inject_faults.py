#!/usr/bin/env python3
"""Runs a command again and again, each time with another file operation failing, and looks at what is left.

usage: inject_faults.py LIBFAULT DIRECTORY -- COMMAND ...

The command writes into DIRECTORY and nowhere else, which is emptied before each run; "@" in it stands for that
directory. For each kind of operation the first one fails, then the second, until one run meets no fault any more.
A run with a fault must end with a status other than 0 and exactly one line "... error: ..."; or, where the fault
hit something that is not needed, succeed with the very files of an undisturbed run. After a failure the directory
must hold what it held before: nothing half-written under its name. Every fourth run is followed by an undisturbed one
in the same directory, which must give the files of an undisturbed run.
"""
import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

KINDS = {"write": errno.ENOSPC, "fsync": errno.EIO, "rename": errno.EACCES, "mmap": errno.ENOMEM,
         "open": errno.EMFILE, "truncate": errno.ENOSPC}


def digest(directory):
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*")) if path.is_file()}


def run(command, directory, environment=None):
    words = [word.replace("@", str(directory)) for word in command]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={**os.environ, **(environment or {})}, timeout=60)


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def main():
    library, directory, dashes, *command = sys.argv[1:]
    if dashes != "--" or not command:
        sys.exit(__doc__)
    directory = Path(directory)
    log = directory.with_suffix(".log")
    fresh(directory)
    result = run(command, directory)
    if result.returncode:
        sys.exit(f"the undisturbed run failed: {result.stdout}")
    good, problems, faults = digest(directory), [], 0
    for kind, code in KINDS.items():
        for number in range(1, 2000):
            fresh(directory)
            log.unlink(missing_ok=True)
            result = run(command, directory, {"LD_PRELOAD": library, "FAULT_KIND": kind, "FAULT_NUMBER": str(number),
                                              "FAULT_ERROR": str(code), "FAULT_LOG": str(log)})
            if not log.exists():
                break
            faults += 1
            here, left = f"{kind} {number}: ", digest(directory)
            errors = [line for line in result.stdout.splitlines() if "error: " in line]
            if result.returncode == 0 and left != good:
                problems.append(here + "status 0, but not the files of an undisturbed run")
            if result.returncode != 0 and (len(errors) != 1 or result.returncode < 0):
                problems.append(here + f"status {result.returncode}, output: {result.stdout.strip()!r}")
            if result.returncode != 0 and any(name in left and left[name] != good[name] for name in good):
                problems.append(here + "a file is half-written under its name")
            if number % 4 != 1:
                continue
            again = run(command, directory)
            if again.returncode or not good.items() <= digest(directory).items():
                problems.append(here + f"the run after it: status {again.returncode}, {again.stdout.strip()!r}")
    print(f"{faults} faults, {len(problems)} problems")
    for problem in problems:
        print(problem)
    sys.exit(bool(problems) or faults < 10)


if __name__ == "__main__":
    main()
