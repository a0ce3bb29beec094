import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compressc import compress
from compressc.__main__ import main
from compressc.calibration import read_rows, write_calibration


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    assert write_calibration(["a \"b\"\n", " \n", "Ω\u2028x"], file) == 2
    assert file.read_bytes() == '{"text": "a \\"b\\"\\n"}\n{"text": "Ω\u2028x"}\n'.encode()
    assert list(read_rows(file)) == ["a \"b\"\n", "Ω\u2028x"]


def test_nothing_half_written(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("before")

    def broken() -> Iterator[str]:
        yield "a"
        raise OSError("the disk went away")

    for rows in (broken(), iter(["", " "]), iter(["a", "\ud800"])):
        with pytest.raises((OSError, ValueError)):
            write_calibration(rows, file)
        assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
        assert file.read_text() == "before"


def test_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\n\n three\x0b\n")
    assert list(read_rows(tmp_path / "a.txt")) == ["one\ntwo", " three\x0b"]


def test_json(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "{role}?"}, {"role": "assistant", "content": "Yes."}]
    rows = [{"body": "one"}, {"body": chat}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write("\n".join(json.dumps(row) for row in rows) + "\n\n")
    for name in ("a.json", "a.jsonl.gz"):
        assert list(read_rows(tmp_path / name, field="body")) == ["one", "user: {role}?\nassistant: Yes."]
        assert list(read_rows(tmp_path / name, field="body", template="<{role}>{content}")) == [
            "one", "<user>{role}?\n<assistant>Yes."]
    with pytest.raises(ValueError, match="template"):
        list(read_rows(tmp_path / "a.json", field="body", template="{name}"))


@pytest.mark.parametrize("name, contents, message", [
    ("a.jsonl", b'{"text": "a"}\n{"body": "b"}\n', r"a\.jsonl:2: no field `text`; there is body"),
    ("a.jsonl", b'{"text": "a"}\n{"text"\n', r"a\.jsonl:2: not JSON"),
    ("a.jsonl", b'{"text": 3}\n', r"a\.jsonl:1: `text` should be a string or a list"),
    ("a.jsonl", b'{"text": [{"role": "user"}]}\n', "should have the strings"),
    ("a.jsonl", b"[1]\n", r"a\.jsonl:1: not an object"),
    ("a.json", b"{}", "expected a list"),
    ("a.json", b"[" * 100000, "not JSON"),
    ("a.txt", b"good\n\xff\n", r"a\.txt:2: not UTF-8"),
    ("a.txt.gz", b"not gzip", r"a\.txt\.gz: "),
    ("a.csv", b"text\n", "should end in"),
])
def test_bad_input(name: str, contents: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        list(read_rows(tmp_path / name))


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"text": ["one", "two"], "n": [1, 2]}), file)
    assert list(read_rows(file)) == ["one", "two"]
    with pytest.raises(ValueError, match="no column `body`; there is text, n"):
        list(read_rows(file, field="body"))
    file.write_bytes(b"not parquet")
    with pytest.raises(ValueError, match="a.parquet"):
        list(read_rows(file))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(RuntimeError, match=r"pip install 'compressc\[parquet\]'"):
        list(read_rows(tmp_path / "a.parquet"))


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n')
    out = tmp_path / "out.jsonl"
    assert main(["calibration", str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl"), "-o", str(out)]) == 0
    assert list(read_rows(out)) == ["one", "two", "three"]
    assert main(["calibration", str(tmp_path / "none.txt"), "-o", str(out)]) == 1
    assert "compressc: error: " in capsys.readouterr().err
    shown = subprocess.run([sys.executable, "-m", "compressc", "calibration", "--help"], check=True, text=True,
                           capture_output=True).stdout
    assert "--field" in shown and "--template" in shown


def test_compressc_reads_it(inputs: Path, tmp_path: Path) -> None:
    rows = list(read_rows(inputs / "text/calibration.jsonl"))
    write_calibration(rows, tmp_path / "same.jsonl")

    def tokens(calibration: Path) -> str:
        report = compress(inputs / "models/llama", tmp_path / calibration.stem, passes="awq{bits=4 group-size=16}",
                          calibration=calibration, samples=2, sequence_length=64,
                          options=["--threads=2", "--host-compiler=none"]).report
        assert report.calibration is not None
        return report.calibration.tokens_sha256

    assert tokens(tmp_path / "same.jsonl") == tokens(inputs / "text/calibration.jsonl")
