"""A directory that compressc wrote: OUT/run, OUT/report.json, OUT/model."""
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from .programs import ProgramError, option_arguments, path_argument, run_program
from .records import Record
from .report import Report, read_report
from .results import (BenchResult, GenerateResult, InfoResult, MmluResult, PerplexityResult, bench_result,
                      generate_result, info_result, mmlu_result, perplexity_result)

StrPath = str | os.PathLike[str]


class Compressed:
    """A compressed model. Its methods are the commands of OUT/run: an argument that is left out has the
    program's default (`OUT/run help COMMAND`), `options` are more arguments for it, progress comes on stderr,
    and a failure raises ProgramError with the program's error line."""

    def __init__(self, path: StrPath) -> None:
        # Absolute: a program named without a slash would be looked for in PATH.
        self.path = Path(path).absolute()
        self.program = self.path / "run"
        if not os.access(self.program, os.X_OK) or not self.program.is_file():
            raise FileNotFoundError(f"{path} has no program `run`: it is not a directory that `compressc MODEL -o` "
                                    "wrote")

    def __repr__(self) -> str:
        return f"Compressed({str(self.path)!r})"

    @cached_property
    def report(self) -> Report:
        return read_report(self.path / "report.json")

    def mmlu(self, *, data: StrPath | None = None, shots: int | None = None, split: str | None = None,
             subjects: Sequence[str] = (), fraction: float | None = None, seed: int | None = None,
             per_subject: int | None = None, limit: int | None = None, threads: int | None = None,
             options: Sequence[str] = ()) -> MmluResult:
        """Scores four-choice questions."""
        return mmlu_result(self._run("mmlu", option_arguments(
            data=_path(data), shots=shots, split=split, subjects=",".join(subjects) or None, fraction=fraction,
            seed=seed, per_subject=per_subject, limit=limit, threads=threads), options))

    def perplexity(self, *, data: StrPath | None = None, context: int | None = None, windows: int | None = None,
                   threads: int | None = None, options: Sequence[str] = ()) -> PerplexityResult:
        """Measures the perplexity of a text: windows of `context` tokens, one after the other."""
        return perplexity_result(self._run("perplexity", option_arguments(
            data=_path(data), context=context, windows=windows, threads=threads), options))

    def generate(self, prompt: str, *, max_tokens: int | None = None, temperature: float | None = None,
                 top_k: int | None = None, top_p: float | None = None, seed: int | None = None,
                 stop: Sequence[str] = (), threads: int | None = None,
                 options: Sequence[str] = ()) -> GenerateResult:
        """Continues a text, which the result does not repeat."""
        if isinstance(stop, str):
            raise TypeError("stop is a list of strings, not one string")
        arguments = option_arguments(max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
                                     seed=seed, threads=threads)
        for text in stop:
            arguments += ["--stop", text]
        # As a file: a prompt may be longer than an argument can be, or begin as an option does.
        with tempfile.NamedTemporaryFile(prefix="compressc-prompt-") as file:
            file.write(prompt.encode())
            file.flush()
            return generate_result(self._run("generate", ["--prompt-file", file.name, *arguments], options))

    def bench(self, *, prompt: int | None = None, decode: int | None = None, batch: int | None = None,
              repeats: int | None = None, threads: int | None = None,
              options: Sequence[str] = ()) -> BenchResult:
        """Measures speed: `prompt` tokens in, then `decode` tokens out."""
        return bench_result(self._run("bench", option_arguments(
            prompt=prompt, decode=decode, batch=batch, repeats=repeats, threads=threads), options))

    def info(self) -> InfoResult:
        """Sizes, pipeline and kernels, as the program itself holds them."""
        return info_result(self._run("info", [], ()))

    def _run(self, command: str, arguments: Sequence[str], options: Sequence[str]) -> Record:
        output = run_program([str(self.program), command, *arguments, *options, "--json", "-"], ProgramError)
        return Record.parse(output, f"{self.program} {command} --json -")


def _path(path: StrPath | None) -> str | None:
    return None if path is None else path_argument(path)
