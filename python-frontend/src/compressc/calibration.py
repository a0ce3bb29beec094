"""Texts for calibration, from files of several kinds, as the lines of JSON that compressc reads."""
import gzip
import importlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

StrPath = str | os.PathLike[str]

# How the messages of a chat become a text: one line of this each.
CHAT_TEMPLATE = "{role}: {content}"


def write_calibration(rows: Iterable[str], output: StrPath) -> int:
    """Writes {"text": row} for each row that is not blank, one a line; returns how many. The same rows give the
    same bytes. The file appears under its name only when it is complete; without rows, ValueError."""
    path = os.fspath(output)
    temporary = f"{path}.{os.getpid()}.tmp"
    count = 0
    try:
        with open(temporary, "wb") as file:
            for row in rows:
                if row.strip():
                    file.write(_line(row, count))
                    count += 1
            if count == 0:
                raise ValueError(f"{path}: there is no text to write")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(os.path.dirname(path) or os.curdir)
    return count


def read_rows(path: StrPath, *, field: str = "text", template: str = CHAT_TEMPLATE) -> Iterator[str]:
    """The texts of a file, by its name: .txt and .md, .json and .jsonl, each gzipped too (.gz), or .parquet."""
    name = Path(path).name.removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix in (".txt", ".md"):
        return text_rows(path)
    if suffix == ".jsonl":
        return jsonl_rows(path, field=field, template=template)
    if suffix == ".json":
        return json_rows(path, field=field, template=template)
    if suffix == ".parquet":
        return parquet_rows(path, field=field, template=template)
    raise ValueError(f"{os.fspath(path)}: its name should end in .txt, .md, .json, .jsonl or .parquet")


def text_rows(path: StrPath) -> Iterator[str]:
    """The paragraphs of a text: what blank lines separate."""
    paragraph: list[str] = []
    for line in _lines(path):
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)


def jsonl_rows(path: StrPath, *, field: str = "text", template: str = CHAT_TEMPLATE) -> Iterator[str]:
    """`field` of each line, an object of JSON: a string, or chat messages that `template` makes one of."""
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            where = f"{os.fspath(path)}:{number}"
            yield _row(_parse(line, where), field, template, where)


def json_rows(path: StrPath, *, field: str = "text", template: str = CHAT_TEMPLATE) -> Iterator[str]:
    """The same of each object in one list of JSON."""
    where = os.fspath(path)
    rows = _parse("\n".join(_lines(path)), where)
    if not isinstance(rows, list):
        raise ValueError(f"{where}: expected a list of objects")
    for index, row in enumerate(rows):
        yield _row(row, field, template, f"{where}[{index}]")


def parquet_rows(path: StrPath, *, field: str = "text", template: str = CHAT_TEMPLATE) -> Iterator[str]:
    """The same of each row of a parquet file; needs pyarrow."""
    where = os.fspath(path)
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        arrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise RuntimeError(f"{where}: parquet needs pyarrow: pip install 'compressc[parquet]'") from None
    try:
        with parquet.ParquetFile(where) as file:
            names = file.schema_arrow.names
            if field not in names:
                raise ValueError(f"{where}: no column `{field}`; there is {', '.join(names)}")
            index = 0
            for batch in file.iter_batches(columns=[field]):
                for row in batch.to_pylist():
                    yield _row(row, field, template, f"{where}[{index}]")
                    index += 1
    except arrow.ArrowInvalid as failure:
        raise ValueError(f"{where}: {failure}") from None


def join_messages(messages: Iterable[object], template: str = CHAT_TEMPLATE, where: str = "messages") -> str:
    """One text from a chat's messages, objects with `role` and `content`: a line of `template` for each."""
    lines = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(role, str) or not isinstance(content, str):
            raise ValueError(f"{where}: a message should have the strings `role` and `content`")
        try:
            lines.append(template.format(role=role, content=content))
        except (LookupError, ValueError, AttributeError):
            raise ValueError(f"the template {template!r} should hold {{role}} and {{content}} only") from None
    return "\n".join(lines)


def _row(row: object, field: str, template: str, where: str) -> str:
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not an object of JSON")
    if field not in row:
        raise ValueError(f"{where}: no field `{field}`; there is {', '.join(map(str, row)) or 'none'}")
    value = row[field]
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return join_messages(value, template, f"{where}: `{field}`")
    raise ValueError(f"{where}: `{field}` should be a string or a list of messages")


def _parse(text: str, where: str) -> object:
    try:
        value: object = json.loads(text)
        return value
    except (json.JSONDecodeError, RecursionError) as failure:
        raise ValueError(f"{where}: not JSON: {failure}") from None


def _lines(path: StrPath) -> Iterator[str]:
    """Lines without their ends. Only \\n and \\r\\n end one, whatever else Unicode calls a line's end."""
    where = os.fspath(path)
    try:
        with gzip.open(path, "rb") if where.endswith(".gz") else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{where}:{number}: not UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise ValueError(f"{where}: {failure}") from None


def _line(row: str, index: int) -> bytes:
    try:
        return (json.dumps({"text": row}, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        raise ValueError(f"row {index}: half of a surrogate pair is no text") from None


def _sync_directory(path: str) -> None:
    """Makes a new name in it durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
