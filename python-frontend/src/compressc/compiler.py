"""Compressing a model."""
from collections.abc import Sequence

from .deployment import Compressed, StrPath
from .programs import CompressError, find_program, path_argument, run_program


def compress(model: StrPath, output: StrPath, *, passes: str = "", calibration: StrPath | None = None,
             samples: int | None = None, sequence_length: int | None = None, options: Sequence[str] = (),
             program: StrPath | None = None) -> Compressed:
    """Compresses a model (a Hugging Face directory, .gguf or .onnx) into the directory `output`.

    `passes` is a pipeline such as "awq{bits=4 group-size=64}"; without passes the model is deployed as it is.
    Calibration takes `samples` sequences of `sequence_length` tokens from the file `calibration`. `options` are
    more arguments for compressc (`compressc --help`). `program` is compressc: otherwise the environment's
    COMPRESSC, or the one in PATH. Progress comes on stderr.

    ProgramNotFoundError if there is no compressc; CompressError with its error line if it failed, and then
    nothing was written."""
    command = [find_program(program), path_argument(model), "-o", path_argument(output)]
    if passes:
        command.append(f"--passes={passes}")
    if calibration is not None:
        command.append(f"--calibration={path_argument(calibration)}")
    if samples is not None:
        command.append(f"--samples={samples}")
    if sequence_length is not None:
        command.append(f"--sequence-length={sequence_length}")
    run_program([*command, *options], CompressError)
    return Compressed(output)
