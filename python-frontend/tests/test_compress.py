import json
import os
import pickle
import stat
from pathlib import Path

import pytest

from compressc import Compressed, CompressError, ProgramError, ProgramNotFoundError, compress
from compressc.programs import find_program, run_program


def script(path: Path, text: str) -> str:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_report(base: Compressed, small: Compressed) -> None:
    report = small.report
    assert report.passes == "awq{bits=4 group-size=16}"
    assert report.original_weight_bytes == base.report.weight_bytes
    assert report.ratio == report.original_weight_bytes / report.weight_bytes > 1.9
    assert report.calibration is not None
    assert (report.calibration.file, report.calibration.samples, report.calibration.sequence_length) == \
        ("calibration.jsonl", 2, 64)
    # Seven linears in each of the two layers, every one rounded once.
    quantized = [decision for decision in report.decisions if decision.pass_name == "quantize"]
    assert len({decision.weights for decision in quantized}) == len(quantized) == 14
    assert all(0 < decision.numbers["error"] < 0.01 for decision in quantized)
    scales = [decision for decision in report.decisions if decision.pass_name == "awq-scale"]
    assert all(set(scale.labels) == {"kind"} and 0 <= scale.numbers["ratio"] <= 1 for scale in scales)
    assert base.report.decisions == () and base.report.calibration is None
    assert report.raw == json.loads((small.path / "report.json").read_text())


def test_report_may_lack_or_have_more(small: Compressed, tmp_path: Path) -> None:
    def deployed(report: dict[str, object]) -> Compressed:
        script(tmp_path / "run", "")
        (tmp_path / "report.json").write_text(json.dumps(report))
        return Compressed(tmp_path)

    known = dict(small.report.raw)
    for key in ("compute", "activations", "calibration"):
        del known[key]
    report = deployed({**known, "new": {"nested": 1}}).report
    assert (report.compute, report.activations, report.calibration) == (None, None, None)
    assert report.raw["new"] == {"nested": 1}
    broken: list[dict[str, object]] = [
        {**known, "weight_bytes": "many"}, {**known, "parameters": True}, {"model": "x"}]
    for spoiled in broken:
        with pytest.raises(ValueError, match=r"report\.json: `\w+` should be"):
            deployed(spoiled).report
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(ValueError, match="report.json: not JSON"):
        Compressed(tmp_path).report


def test_progress_is_passed_on(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compress(inputs / "models/llama", tmp_path / "out", options=["--host-compiler=none"])
    assert "out: llama, 0.2 MB" in capsys.readouterr().err


def test_failure(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CompressError) as caught:
        compress(inputs / "models/llama", tmp_path / "out", passes="shrink")
    assert caught.value.status == 1
    assert caught.value.message.startswith("compressc: error: --passes='shrink'")
    assert caught.value.message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_named_as_an_option_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompressError, match="./--help: there is no such file or directory"):
        compress("--help", "out")


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = script(tmp_path / "compressc", "exit 3")
    other = script(tmp_path / "other", "exit 4")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("COMPRESSC", raising=False)
    assert find_program() == here
    monkeypatch.setenv("COMPRESSC", other)
    assert find_program() == other
    assert find_program(here) == here
    with pytest.raises(ProgramNotFoundError, match="program="):
        find_program(tmp_path / "none")
    monkeypatch.setenv("COMPRESSC", str(tmp_path / "none"))
    with pytest.raises(ProgramNotFoundError, match="COMPRESSC"):
        compress("model", "out")


def test_failures_without_an_error_line(tmp_path: Path) -> None:
    def failure(text: str) -> ProgramError:
        with pytest.raises(ProgramError) as caught:
            run_program([script(tmp_path / "program", text)], ProgramError)
        return caught.value

    assert "failed without a message" in failure("exit 3").message
    assert failure("echo why >&2; exit 3").message == "why"
    assert failure("echo 'x: error: why' >&2; echo more >&2; exit 3").message == "x: error: why"
    killed = failure("kill -9 $$")
    assert killed.status == -9 and killed.message.endswith("ended by signal 9")
    copy = pickle.loads(pickle.dumps(killed))
    assert (str(copy), copy.status, copy.command) == (str(killed), -9, killed.command)


def test_much_output_on_both_streams(tmp_path: Path) -> None:
    lines = run_program([script(tmp_path / "program", "seq 100000; seq 100000 >&2; seq 100000")], ProgramError)
    assert len(lines.split()) == 200000


def test_not_a_deployment(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no program `run`"):
        Compressed(tmp_path)
