#!/usr/bin/env python3
"""Makes test/Unit/Cpu/svd_golden.h: a weight, its inputs, and the singular values of W and of W·L by numpy in fp64.

usage: make_svd_golden.py
"""
from pathlib import Path

import numpy as np

ROWS, COLUMNS, TOKENS = 11, 6, 20


def table(name, values):
    text = ", ".join(repr(float(value)) for value in np.ravel(values))
    return f"inline constexpr double {name}[] = {{{text}}};\n"


def main():
    rng = np.random.default_rng(5)
    # Multiples of 1/64, so that the text has them exactly.
    weight = np.round(rng.normal(size=(ROWS, COLUMNS)) * 64) / 64
    tokens = rng.normal(size=(TOKENS, COLUMNS)) * np.array([4, 2, 1, 1, 0.5, 0.25]) + rng.normal(size=(TOKENS, 1))
    tokens = np.round(tokens * 64) / 64
    whitener = np.linalg.cholesky(tokens.T @ tokens)
    text = "// Made by test/Inputs/make_svd_golden.py.\n#pragma once\n\n#include <cstdint>\n\n"
    text += f"inline constexpr int64_t svdRows = {ROWS}, svdColumns = {COLUMNS};\n"
    text += table("svdWeight", weight) + table("svdInput", tokens)
    text += "// Singular values of W·L, with L Lᵀ the Gram matrix of the input, and of W.\n"
    text += table("svdWhitened", np.linalg.svd(weight @ whitener, compute_uv=False))
    text += table("svdPlain", np.linalg.svd(weight, compute_uv=False))
    (Path(__file__).resolve().parent.parent / "Unit" / "Cpu" / "svd_golden.h").write_text(text)


if __name__ == "__main__":
    main()
