"""The tiny model, as it is and compressed, by the program in COMPRESSC or PATH."""
from pathlib import Path

import pytest

from compressc import Compressed, compress

INPUTS = Path(__file__).resolve().parents[2] / "test" / "Inputs"
# Without a compiler: the same results, sooner.
OPTIONS = ["--threads=2", "--host-compiler=none"]


@pytest.fixture(scope="session")
def inputs() -> Path:
    return INPUTS


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    return compress(INPUTS / "models/llama", tmp_path_factory.mktemp("base") / "out", options=OPTIONS)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    return compress(INPUTS / "models/llama", tmp_path_factory.mktemp("small") / "out",
                    passes="awq{bits=4 group-size=16}", calibration=INPUTS / "text/calibration.jsonl", samples=2,
                    sequence_length=64, options=OPTIONS)
