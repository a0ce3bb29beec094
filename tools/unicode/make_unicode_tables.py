#!/usr/bin/env python3
"""Writes runtime/text/unicode_tables.inc: the Unicode properties that token ids depend on.

    make_unicode_tables.py OUTPUT

The tokenizers package takes its properties from several Unicode versions at once (one for its
regular expressions, one for Digits, one for added tokens, an old one for NFC), and token ids must
not depend on which version another library brings. So the tables are read from the package itself,
by asking it about every code point; decompositions come from Python's unicodedata, and what the
package does not know of them is left out. The script fails when the two contradict each other, and
prints the Unicode version that each table corresponds to.
"""

import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CATEGORIES = (
    "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po " "Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co"
).split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CHUNK = 4096
SPACE, NUMERIC, WORD, ADDED_WORD, NFC_CHECK = (1 << bit for bit in range(5, 10))

# First assigned in the version: (code point, property it has there).
LETTER_OF_VERSION = [
    ("9.0", 0x1E900),
    ("10.0", 0x0860),
    ("11.0", 0x10D00),
    ("12.0", 0x1E100),
    ("13.0", 0x08BE),
    ("14.0", 0x0870),
    ("15.0", 0x1E030),
    ("15.1", 0x2EBF0),
    ("16.0", 0x1C89),
    ("17.0", 0xA7CE),
]
DIGIT_OF_VERSION = [
    ("9.0", 0x1E950),
    ("10.0", 0x11D50),
    ("11.0", 0x10D30),
    ("12.0", 0x1E140),
    ("13.0", 0x11950),
    ("15.0", 0x1E4F0),
    ("16.0", 0x10D40),
    ("17.0", 0x11DE0),
]
MARK_OF_VERSION = [
    ("9.0", 0x1E947),
    ("10.0", 0x1DF6),
    ("11.0", 0x07FD),
    ("12.0", 0x0EBA),
    ("13.0", 0x1ABF),
    ("14.0", 0x0898),
    ("15.0", 0x10EFD),
    ("16.0", 0x0897),
]


def chunks():
    for i in range(0, len(CODE_POINTS), CHUNK):
        yield CODE_POINTS[i : i + CHUNK]


def matching(pattern):
    """The code points that a one-character pattern of Split matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    found = set()
    for chunk in chunks():
        kept = set()
        for piece, _ in split.pre_tokenize_str("".join(map(chr, chunk))):
            kept.update(map(ord, piece))
        found.update(c for c in chunk if c not in kept)
    return found


def numeric():
    """What Digits takes for a digit."""
    digits, found = pre_tokenizers.Digits(individual_digits=True), set()
    for chunk in chunks():
        for piece, _ in digits.pre_tokenize_str("a" + "a".join(map(chr, chunk)) + "a"):
            if len(piece) == 1 and piece != "a":
                found.add(ord(piece))
    return found


def aroundAddedToken(before, after, **options):
    """(code point, place of T, start of the token) in the text before + code point + T + after."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.add_tokens([AddedToken("T", normalized=False, special=True, **options)])
    for chunk in chunks():
        text = "".join(before + chr(c) + "T" + after for c in chunk)
        step = len(before) + 2 + len(after)
        ends = {end: start for start, end in tokenizer.encode(text).offsets}
        for i, c in enumerate(chunk):
            at = i * step + len(before) + 1
            yield c, at, ends.get(at + 1)


def version(table, known):
    newest = "older than 9.0"
    for name, c in table:
        if known(c):
            newest = name
    return newest


def normalization():
    """The package's combining classes and decompositions (first, second or 0, composes)."""
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    classes, pairs = {}, {}
    for c in CODE_POINTS:
        char = chr(c)
        combining = unicodedata.combining(char)
        # U+0345 has the highest class of all, U+0301 a lower one: a mark moves past one of them.
        probe = "a\u0345" + char if combining < 240 else "a" + char + "\u0301"
        if combining and nfd.normalize_str(probe) != probe:
            classes[c] = combining
        elif not combining:
            assert (
                nfd.normalize_str(char) != char
                or nfd.normalize_str("a\u0345" + char) == "a\u0345" + char
            ), f"U+{c:04X} is a mark that unicodedata does not know"
        if 0xAC00 <= c < 0xAC00 + 11172:
            continue
        decomposed = nfd.normalize_str(char)
        if decomposed == char:
            continue
        assert decomposed == unicodedata.normalize("NFD", char), f"U+{c:04X} decomposes otherwise"
        parts = [int(part, 16) for part in unicodedata.decomposition(char).split()]
        assert len(parts) in (1, 2)
        composes = len(parts) == 2 and nfc.normalize_str("".join(map(chr, parts))) == char
        pairs[c] = (parts[0], parts[1] if len(parts) == 2 else 0, composes)
    return classes, pairs


def main():
    output = sys.argv[1]
    properties = [0] * 0x110000
    for c in range(0xD800, 0xE000):
        properties[c] = CATEGORIES.index("Cs")
    letters = set()
    seen = 0
    for index, name in enumerate(CATEGORIES):
        if name in ("Cs", "Cn"):
            continue
        found = matching(r"\p{%s}" % name)
        seen += len(found)
        letters |= found if name[0] == "L" else set()
        for c in found:
            assert properties[c] == 0, f"U+{c:04X} has two categories"
            properties[c] = index
    assert seen + len(matching(r"\p{Cn}")) == len(CODE_POINTS)

    spaces, digits, words = matching(r"\s"), numeric(), matching(r"\w")
    addedSpaces = {c for c, at, start in aroundAddedToken("x", "x", lstrip=True) if start == at - 1}
    assert (
        spaces == addedSpaces
    ), "white space differs between the regular expressions and added tokens"
    addedWords = {
        c for c, at, start in aroundAddedToken(" ", " ", single_word=True) if start is None
    }
    for flag, members in (
        (SPACE, spaces),
        (NUMERIC, digits),
        (WORD, words),
        (ADDED_WORD, addedWords),
    ):
        for c in members:
            properties[c] |= flag

    classes, pairs = normalization()
    check = set(classes) | {second for _, second, composes in pairs.values() if composes}
    check |= {c for c, (_, _, composes) in pairs.items() if not composes}
    check |= set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # vowels and tails of Hangul
    for c in check:
        properties[c] |= NFC_CHECK

    versions = {
        "regular expressions": version(LETTER_OF_VERSION, lambda c: c in letters),
        "Digits": version(DIGIT_OF_VERSION, lambda c: c in digits),
        "single_word": version(LETTER_OF_VERSION, lambda c: c in addedWords),
        "NFC": version(MARK_OF_VERSION, lambda c: c in classes),
    }
    stated = ", ".join(f"{what} {which}" for what, which in versions.items())
    print(f"tokenizers {tokenizers.__version__}: Unicode versions: {stated}")

    with open(output, "w", encoding="ascii") as out:
        out.write(
            "// Written by tools/unicode/make_unicode_tables.py from the behaviour of tokenizers "
            f"{tokenizers.__version__}.\n// Unicode versions: {stated}.\n"
        )
        out.write("// clang-format off\n\n")

        def table(declaration, rows):
            out.write(f"{declaration} = {{\n")
            line = ""
            for row in rows:
                if len(line) + len(row) > 100:
                    out.write(line.rstrip() + "\n")
                    line = ""
                line += row + " "
            out.write(line.rstrip() + "\n};\n\n")

        starts = [c for c in range(0x110000) if c == 0 or properties[c] != properties[c - 1]]
        table(
            "constexpr PropertyRange propertyRanges[]",
            [f"{{0x{c:X},{properties[c]}}}," for c in starts],
        )
        runs = []
        for c, combining in sorted(classes.items()):
            if runs and runs[-1][1] == c - 1 and runs[-1][2] == combining:
                runs[-1][1] = c
            else:
                runs.append([c, c, combining])
        table(
            "constexpr CombiningRange combiningRanges[]",
            [f"{{0x{first:X},0x{last:X},{combining}}}," for first, last, combining in runs],
        )
        table(
            "constexpr Decomposition decompositions[]",
            [
                f"{{0x{c:X},0x{a:X},{f'0x{b:X}' if b else 0},{int(composes)}}},"
                for c, (a, b, composes) in sorted(pairs.items())
            ],
        )


main()
