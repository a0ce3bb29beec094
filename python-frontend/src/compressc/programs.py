"""Running compressc and the programs that it writes."""
import codecs
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

# How much of what a program wrote to stderr is kept to find its error line in.
KEPT_CHARACTERS = 65536


class ProgramError(Exception):
    """A program failed. `message` is its one line of error, `status` its exit status (negative: the signal
    that ended it), `command` what was run."""

    def __init__(self, message: str, status: int, command: Sequence[str]) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.command = tuple(command)

    def __str__(self) -> str:
        return f"{self.message} (exit status {self.status})"

    def __reduce__(self) -> tuple[type["ProgramError"], tuple[str, int, tuple[str, ...]]]:
        # Exceptions are pickled by `args`, which holds the message alone.
        return type(self), (self.message, self.status, self.command)


class CompressError(ProgramError):
    """compressc itself failed: nothing was written."""


class ProgramNotFoundError(FileNotFoundError):
    """The program compressc is not there, or cannot be executed."""


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """The program to compress with: the argument, the environment's COMPRESSC, or `compressc` in PATH."""
    if program is not None:
        name, origin = os.fspath(program), "program="
    elif os.environ.get("COMPRESSC"):
        name, origin = os.environ["COMPRESSC"], "the environment's COMPRESSC"
    else:
        name, origin = "compressc", "PATH"
    found = shutil.which(name)
    if found is None:
        raise ProgramNotFoundError(f"{name} (from {origin}) is no program that can be run; build compressc and name "
                                   "it in program= or COMPRESSC, or put it into PATH")
    return found


def path_argument(path: str | os.PathLike[str]) -> str:
    """A path that no program takes for an option."""
    text = os.fspath(path)
    return os.path.join(os.curdir, text) if text.startswith("-") else text


def option_arguments(**options: object) -> list[str]:
    """`max_tokens=3` as `--max-tokens 3`; None leaves the default to the program."""
    arguments: list[str] = []
    for name, value in options.items():
        if value is not None:
            arguments += ["--" + name.replace("_", "-"), str(value)]
    return arguments


def run_program(command: Sequence[str], error: type[ProgramError]) -> bytes:
    """Runs a program, passes on what it says on stderr as it comes, and returns its stdout."""
    # A file for stdout: with a pipe, whoever is not read while the other is would stop the program.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE)
        with process:
            assert process.stderr is not None
            try:
                messages = _pass_on(process.stderr)
            except BaseException:
                process.terminate()  # leaving the block waits for it
                raise
        if process.returncode != 0:
            raise error(_error_line(messages, command[0], process.returncode), process.returncode, command)
        output.seek(0)
        return output.read()


def _pass_on(stream: IO[bytes]) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    kept = ""
    while True:
        piece = os.read(stream.fileno(), 4096)
        text = decoder.decode(piece, final=not piece)
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
        kept = (kept + text)[-KEPT_CHARACTERS:]
        if not piece:
            return kept


def _error_line(messages: str, program: str, status: int) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if ": error: " in line]
    if errors:
        return errors[-1]
    if status < 0:
        return f"{program}: ended by signal {-status}"
    return lines[-1] if lines else f"{program}: failed without a message"
