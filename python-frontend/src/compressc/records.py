"""Typed access to the fields of JSON that a program wrote. Unknown fields are left alone."""
import json
from collections.abc import Mapping
from typing import Any


class Record:
    """An object of JSON; errors name where it comes from and the field."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: not a JSON object")
        self.raw: dict[str, Any] = value
        self.where = where

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> "Record":
        try:
            return cls(json.loads(text), where)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise ValueError(f"{where}: not JSON: {failure}") from None

    def __contains__(self, key: str) -> bool:
        return self.raw.get(key) is not None

    def _get(self, key: str, kinds: type | tuple[type, ...], name: str) -> Any:
        value = self.raw.get(key)
        # A bool is an int in Python, but not in JSON.
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise ValueError(f"{self.where}: `{key}` should be {name}")
        return value

    def text(self, key: str) -> str:
        return str(self._get(key, str, "a string"))

    def integer(self, key: str) -> int:
        return int(self._get(key, int, "an integer"))

    def number(self, key: str) -> float:
        return float(self._get(key, (int, float), "a number"))

    def boolean(self, key: str) -> bool:
        return bool(self._get(key, bool, "true or false"))

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self else None

    def optional_number(self, key: str) -> float | None:
        """None where the program wrote null: a figure that is not finite."""
        return self.number(key) if key in self else None

    def record(self, key: str) -> "Record":
        return Record(self.raw.get(key), f"{self.where}: `{key}`")

    def records(self, key: str) -> list["Record"]:
        rows = self._get(key, list, "a list")
        return [Record(row, f"{self.where}: `{key}`[{i}]") for i, row in enumerate(rows)]

    def named_records(self, key: str) -> dict[str, "Record"]:
        rows: Mapping[str, object] = self._get(key, dict, "an object")
        return {name: Record(row, f"{self.where}: `{key}`.{name}") for name, row in rows.items()}

    def texts(self, key: str) -> tuple[str, ...]:
        return self._list(key, str, "strings")

    def integers(self, key: str) -> tuple[int, ...]:
        return self._list(key, int, "integers")

    def numbers(self, key: str) -> tuple[float | None, ...]:
        rows = self._get(key, list, "a list of numbers")
        if not all(row is None or type(row) in (int, float) for row in rows):
            raise ValueError(f"{self.where}: `{key}` should be a list of numbers")
        return tuple(None if row is None else float(row) for row in rows)

    def counts(self, key: str) -> dict[str, int]:
        rows: dict[str, Any] = self._get(key, dict, "an object of integers")
        if not all(type(row) is int for row in rows.values()):
            raise ValueError(f"{self.where}: `{key}` should be an object of integers")
        return dict(rows)

    def _list(self, key: str, kind: type, name: str) -> tuple[Any, ...]:
        rows = self._get(key, list, f"a list of {name}")
        if not all(type(row) is kind for row in rows):
            raise ValueError(f"{self.where}: `{key}` should be a list of {name}")
        return tuple(rows)
