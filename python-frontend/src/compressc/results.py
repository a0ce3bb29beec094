"""What the commands of OUT/run found, and the score that weighs size against accuracy."""
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import Record


@dataclass(frozen=True)
class Accuracy:
    """Of a subject or a group. `accuracy_stderr` is None for a single question."""
    questions: int
    correct: int
    accuracy: float
    accuracy_stderr: float | None


@dataclass(frozen=True)
class Question:
    """`row` counts from 0 in the split's file; `gold` and `prediction` are 0 to 3; `logprobs` those of " A" to
    " D", None where not finite."""
    row: int
    subject: str
    gold: int
    prediction: int
    logprobs: tuple[float | None, ...]


@dataclass(frozen=True)
class MmluResult:
    model: str
    pipeline: str
    accuracy: float
    accuracy_stderr: float | None
    weight_bytes: int
    original_weight_bytes: int
    split: str
    shots: int
    seconds: float
    groups: Mapping[str, Accuracy]
    subjects: Mapping[str, Accuracy]
    questions: tuple[Question, ...] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class PerplexityResult:
    """`nll` is the summed loss over `tokens` predictions; it and `perplexity` are None where not finite."""
    model: str
    pipeline: str
    perplexity: float | None
    nll: float | None
    tokens: int
    windows: int
    context: int
    weight_bytes: int
    original_weight_bytes: int
    seconds: float
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class GenerateResult:
    """`finish` says why the text ended: an end token, a stop string, the length."""
    text: str
    tokens: tuple[int, ...]
    finish: str
    prompt_tokens: int
    prefill_seconds: float
    decode_seconds: float
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Spread:
    """Over the repeated runs."""
    median: float
    least: float
    most: float


@dataclass(frozen=True)
class BenchResult:
    model: str
    pipeline: str
    compiled: bool
    instruction_set: str
    threads: int
    prompt_tokens: int
    decode_tokens: int
    batch: int
    repeats: int
    time_to_first_token_seconds: Spread
    prefill_tokens_per_second: Spread
    decode_tokens_per_second: Spread
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class InfoResult:
    """`kernels` and `entry_points` count calls."""
    name: str
    architecture: str
    pipeline: str
    weight_bytes: int
    original_weight_bytes: int
    context_length: int
    vocabulary_size: int
    end_tokens: tuple[int, ...]
    entry_points: Mapping[str, int]
    kernels: Mapping[str, int]
    instruction_set: str
    threads: int
    raw: Mapping[str, Any] = field(repr=False)


def score(base: MmluResult, new: MmluResult) -> float:
    """How many times smaller, divided by 1 + the relative loss of accuracy; as `compressc compare` computes it.

    ValueError if the two were not asked the same questions, or if the base answered none of them right."""
    if {(q.row, q.subject, q.gold) for q in base.questions} != {(q.row, q.subject, q.gold) for q in new.questions}:
        raise ValueError("the two results are of different questions: score both with the same data and options")
    if base.accuracy <= 0:
        raise ValueError("the base answered no question right, so there is no relative loss of accuracy")
    divisor = 1 + (base.accuracy - new.accuracy) / base.accuracy
    if divisor <= 0:
        raise ValueError("the new accuracy is twice the base's or more: these questions are too few for a score")
    return base.original_weight_bytes / new.weight_bytes / divisor


def mmlu_result(record: Record) -> MmluResult:
    return MmluResult(
        model=record.text("model"), pipeline=record.text("pipeline"), accuracy=record.number("accuracy"),
        accuracy_stderr=record.optional_number("accuracy_stderr"), weight_bytes=record.integer("weight_bytes"),
        original_weight_bytes=record.integer("original_weight_bytes"), split=record.text("split"),
        shots=record.integer("shots"), seconds=record.number("seconds"),
        groups={name: _accuracy(row) for name, row in record.named_records("groups").items()},
        subjects={name: _accuracy(row) for name, row in record.named_records("subjects").items()},
        questions=tuple(_question(row) for row in record.records("questions")), raw=record.raw)


def _accuracy(record: Record) -> Accuracy:
    return Accuracy(questions=record.integer("questions"), correct=record.integer("correct"),
                    accuracy=record.number("accuracy"), accuracy_stderr=record.optional_number("accuracy_stderr"))


def _question(record: Record) -> Question:
    return Question(row=record.integer("row"), subject=record.text("subject"), gold=record.integer("gold"),
                    prediction=record.integer("prediction"), logprobs=record.numbers("logprobs"))


def perplexity_result(record: Record) -> PerplexityResult:
    return PerplexityResult(
        model=record.text("model"), pipeline=record.text("pipeline"), perplexity=record.optional_number("perplexity"),
        nll=record.optional_number("nll"), tokens=record.integer("tokens"), windows=record.integer("windows"),
        context=record.integer("context"), weight_bytes=record.integer("weight_bytes"),
        original_weight_bytes=record.integer("original_weight_bytes"), seconds=record.number("seconds"),
        raw=record.raw)


def generate_result(record: Record) -> GenerateResult:
    return GenerateResult(
        text=record.text("text"), tokens=record.integers("tokens"), finish=record.text("finish"),
        prompt_tokens=record.integer("prompt_tokens"), prefill_seconds=record.number("prefill_seconds"),
        decode_seconds=record.number("decode_seconds"), raw=record.raw)


def bench_result(record: Record) -> BenchResult:
    return BenchResult(
        model=record.text("model"), pipeline=record.text("pipeline"), compiled=record.boolean("compiled"),
        instruction_set=record.text("instruction_set"), threads=record.integer("threads"),
        prompt_tokens=record.integer("prompt_tokens"), decode_tokens=record.integer("decode_tokens"),
        batch=record.integer("batch"), repeats=record.integer("repeats"),
        time_to_first_token_seconds=_spread(record.record("time_to_first_token_seconds")),
        prefill_tokens_per_second=_spread(record.record("prefill_tokens_per_second")),
        decode_tokens_per_second=_spread(record.record("decode_tokens_per_second")), raw=record.raw)


def _spread(record: Record) -> Spread:
    return Spread(median=record.number("median"), least=record.number("least"), most=record.number("most"))


def info_result(record: Record) -> InfoResult:
    return InfoResult(
        name=record.text("name"), architecture=record.text("architecture"), pipeline=record.text("pipeline"),
        weight_bytes=record.integer("weight_bytes"), original_weight_bytes=record.integer("original_weight_bytes"),
        context_length=record.integer("context_length"), vocabulary_size=record.integer("vocabulary_size"),
        end_tokens=record.integers("end_tokens"), entry_points=record.counts("entry_points"),
        kernels=record.counts("kernels"), instruction_set=record.text("instruction_set"),
        threads=record.integer("threads"), raw=record.raw)
