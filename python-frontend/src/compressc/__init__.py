"""Compresses language models with the program compressc, and runs what it wrote.

    from compressc import Compressed, compress, score

    base = compress("model.gguf", "base")
    small = compress("model.gguf", "w4", passes="awq{bits=4 group-size=64}", calibration="text.jsonl")
    print(small.report.ratio, small.generate("The capital of France is", max_tokens=20).text)
    print(score(base.mmlu(data="data"), small.mmlu(data="data")))
"""
from .compiler import compress
from .deployment import Compressed
from .programs import CompressError, ProgramError, ProgramNotFoundError
from .report import Calibration, Decision, Report
from .results import (Accuracy, BenchResult, GenerateResult, InfoResult, MmluResult, PerplexityResult, Question,
                      Spread, score)

__all__ = [
    "Accuracy", "BenchResult", "Calibration", "CompressError", "Compressed", "Decision", "GenerateResult",
    "InfoResult", "MmluResult", "PerplexityResult", "ProgramError", "ProgramNotFoundError", "Question", "Report",
    "Spread", "compress", "score",
]
