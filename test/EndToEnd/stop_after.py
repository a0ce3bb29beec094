#!/usr/bin/env python3
"""Runs a command that can make no file larger. usage: stop_after.py kill|fail BYTES COMMAND ...

kill: the write beyond that kills it in the middle of a line, and the exit code is 0 when it did; fail: the write is
refused, and the exit code is the command's.
"""
import resource
import signal
import subprocess
import sys

kind, limit, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def prepare():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kind == "kill" else signal.SIG_IGN)


code = subprocess.run(command, preexec_fn=prepare).returncode
sys.exit(code != -signal.SIGXFSZ if kind == "kill" else code)
