"""OUT/report.json: what compression chose for each weight, and what it cost."""
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .records import Record


@dataclass(frozen=True)
class Calibration:
    """The text that was calibrated on: `samples` sequences of `sequence_length` tokens."""
    file: str
    samples: int
    sequence_length: int
    tokens_sha256: str


@dataclass(frozen=True)
class Decision:
    """What one pass chose for some weights: figures in `numbers`, names (`kind`) in `labels`."""
    pass_name: str
    weights: tuple[str, ...]
    numbers: Mapping[str, float]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """Sizes are in bytes; `original_weight_bytes` is the model's at 16 bits. `raw` is the whole file."""
    model: str
    architecture: str
    passes: str
    checkpoint_type: str
    parameters: int
    original_weight_bytes: int
    weight_bytes: int
    ratio: float
    decisions: tuple[Decision, ...]
    compute: str | None
    activations: str | None
    calibration: Calibration | None
    raw: Mapping[str, Any] = field(repr=False)


def read_report(path: str | os.PathLike[str]) -> Report:
    record = Record.parse(Path(path).read_bytes(), os.fspath(path))
    return Report(
        model=record.text("model"), architecture=record.text("architecture"), passes=record.text("passes"),
        checkpoint_type=record.text("checkpoint_type"), parameters=record.integer("parameters"),
        original_weight_bytes=record.integer("original_weight_bytes"), weight_bytes=record.integer("weight_bytes"),
        ratio=record.number("ratio"), decisions=tuple(_decision(row) for row in record.records("decisions")),
        compute=record.optional_text("compute"), activations=record.optional_text("activations"),
        calibration=_calibration(record.record("calibration")) if "calibration" in record else None,
        raw=record.raw)


def _calibration(record: Record) -> Calibration:
    return Calibration(file=record.text("file"), samples=record.integer("samples"),
                       sequence_length=record.integer("sequence_length"), tokens_sha256=record.text("tokens_sha256"))


def _decision(record: Record) -> Decision:
    chosen = {key: value for key, value in record.raw.items() if key not in ("pass", "weights")}
    return Decision(pass_name=record.text("pass"), weights=record.texts("weights"),
                    numbers={key: float(value) for key, value in chosen.items() if type(value) in (int, float)},
                    labels={key: value for key, value in chosen.items() if isinstance(value, str)})
