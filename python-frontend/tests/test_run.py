import dataclasses
import json
from pathlib import Path

import pytest

from compressc import Compressed, MmluResult, ProgramError, score


def test_mmlu_and_perplexity_are_the_reference_s(base: Compressed, inputs: Path) -> None:
    # Goldens of transformers in fp32; the program stores weights at 16 bits, hence the tolerance.
    golden = json.loads((inputs / "models/llama/golden.json").read_text())["tasks"]
    found = base.mmlu(data=inputs / "questions", shots=5, threads=2)
    rows = golden["mmlu"]["rows"]
    assert len(found.questions) == len(rows) == 40
    for question, row in zip(found.questions, rows):
        assert question.logprobs == pytest.approx(row["lp"], abs=0.05)
    perplexity = base.perplexity(data=inputs / "text/evaluation.txt", context=128, windows=8, threads=2)
    assert perplexity.tokens == 8 * 127
    assert perplexity.nll is not None
    assert perplexity.nll / perplexity.tokens == pytest.approx(golden["perplexity"]["mean_nll"], abs=0.01)


def test_mmlu_options(small: Compressed, inputs: Path) -> None:
    found = small.mmlu(data=inputs / "questions", shots=1, subjects=["arithmetic"], limit=3, threads=2,
                       options=["--normalise", "answers"])
    assert [(question.row, question.subject) for question in found.questions] == [
        (0, "arithmetic"), (1, "arithmetic"), (2, "arithmetic")]
    assert (found.shots, found.raw["normalised_over"]) == (1, "answers")
    right = sum(question.gold == question.prediction for question in found.questions)
    assert found.accuracy == right / 3 == found.subjects["arithmetic"].accuracy
    assert found.subjects["arithmetic"].correct == right


def test_one_question_has_no_standard_error(small: Compressed, inputs: Path) -> None:
    assert small.mmlu(data=inputs / "questions", shots=0, limit=1).accuracy_stderr is None


def test_score(base: Compressed, small: Compressed, inputs: Path) -> None:
    before = base.mmlu(data=inputs / "questions", threads=2)
    after = small.mmlu(data=inputs / "questions", threads=2)

    def with_accuracy(result: MmluResult, accuracy: float) -> MmluResult:
        return dataclasses.replace(result, accuracy=accuracy)

    ratio = small.report.ratio
    assert score(with_accuracy(before, 0.5), with_accuracy(after, 0.5)) == pytest.approx(ratio)
    assert score(with_accuracy(before, 0.5), with_accuracy(after, 0.4)) == pytest.approx(ratio / 1.2)
    assert score(with_accuracy(before, 0.4), with_accuracy(after, 0.5)) == pytest.approx(ratio / 0.75)
    with pytest.raises(ValueError, match="no question right"):
        score(with_accuracy(before, 0.0), after)
    with pytest.raises(ValueError, match="twice"):
        score(with_accuracy(before, 0.25), with_accuracy(after, 0.5))
    with pytest.raises(ValueError, match="different questions"):
        score(before, dataclasses.replace(after, questions=after.questions[1:]))


def test_generate(base: Compressed, inputs: Path) -> None:
    golden = json.loads((inputs / "models/generation.golden.json").read_text())
    case = next(case for case in golden["greedy"] if case["model"] == "llama")
    for wanted in case["results"]:
        found = base.generate(wanted["prompt"], max_tokens=case["max_tokens"], threads=2)
        assert (list(found.tokens), found.finish) == (wanted["tokens"], wanted["finish"])


def test_sampling_is_the_seed_s(base: Compressed) -> None:
    def tokens(seed: int, threads: int) -> tuple[int, ...]:
        return base.generate("-x", max_tokens=8, temperature=1, seed=seed, threads=threads).tokens

    assert tokens(7, 1) == tokens(7, 2) != tokens(8, 1)


def test_a_prompt_longer_than_an_argument_can_be(base: Compressed) -> None:
    with pytest.raises(ProgramError, match="run: error: .*token"):
        base.generate("a " * 100000)


def test_stop_is_a_list(base: Compressed) -> None:
    with pytest.raises(TypeError, match="list"):
        base.generate("a", stop="abc")


def test_bench(small: Compressed) -> None:
    found = small.bench(prompt=8, decode=2, repeats=2, threads=1)
    assert (found.prompt_tokens, found.decode_tokens, found.repeats, found.threads) == (8, 2, 2, 1)
    speed = found.prefill_tokens_per_second
    assert 0 < speed.least <= speed.median <= speed.most


def test_info(small: Compressed) -> None:
    info = small.info()
    assert (info.architecture, info.vocabulary_size, info.pipeline) == (
        "LlamaForCausalLM", 320, "awq{bits=4 group-size=16}")
    assert info.weight_bytes == small.report.weight_bytes
    assert info.kernels["linear"] > 0


def test_failure(small: Compressed, tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        small.perplexity(data=tmp_path / "none")
    assert caught.value.status == 1
    assert caught.value.message.startswith(f"run: error: {tmp_path}/none: cannot open")
    with pytest.raises(ProgramError) as caught:
        small.mmlu(options=["--no-such"])
    assert caught.value.status == 2
