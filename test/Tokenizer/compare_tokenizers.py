#!/usr/bin/env python3
"""Compares compressc-tokenize with the tokenizers package: prints the differences of each corpus.

    compare_tokenizers.py --tool compressc-tokenize --data DIRECTORY TOKENIZER.json...

DIRECTORY holds the evaluation and calibration data (*.jsonl.gz, *.raw.gz). Every string in them is
encoded, as are few-shot prompts, whole documents, every code point in several surroundings, and
random strings. The ids are decoded as well. Exit code 1 when anything differs.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys

from tokenizers import Tokenizer

SHOWN = 5


def rows(directory, name):
    with gzip.open(os.path.join(directory, name + ".jsonl.gz"), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def mmluPrompts(directory):
    """Zero- and five-shot prompts in the harness's form."""

    def example(row):
        lines = [row["question"].strip()] + [f"{l}. {c}" for l, c in zip("ABCD", row["choices"])]
        return "\n".join(lines) + "\nAnswer:"

    shots = {}
    for row in rows(directory, "mmlu_dev"):
        shots.setdefault(row["subject"], []).append(example(row) + f" {'ABCD'[row['answer']]}\n\n")
    for row in rows(directory, "mmlu_test"):
        subject = row["subject"].replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        yield head + example(row)
        yield head + "".join(shots[row["subject"]]) + example(row)


def corpora(directory):
    for name in (
        "mmlu_test",
        "mmlu_dev",
        "mmlu_val",
        "mmlu_auxiliary_train_norace",
        "math500",
        "calib_math_1500",
        "calib_text_en",
        "lawbench_zero_shot",
    ):
        yield name, list(strings(rows(directory, name)))
    yield "mmlu prompts", list(mmluPrompts(directory))
    yield "lawbench prompts", [
        row["instruction"] + "\n" + row["question"] for row in rows(directory, "lawbench_zero_shot")
    ]
    with gzip.open(
        os.path.join(directory, "wikitext2_test.raw.gz"), "rt", encoding="utf-8", newline=""
    ) as file:
        text = file.read()
    yield "wikitext2", text.splitlines(keepends=True) + [text]


SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def everyCodePoint():
    """Each code point between letters, marks, digits, spaces and punctuation."""
    for i in range(0, len(SCALARS), 256):
        chars = [chr(c) for c in SCALARS[i : i + 256]]
        yield "".join(chars)
        yield "".join(f"a{c}" for c in chars)
        yield "".join(f" {c}1{c}" for c in chars)
        yield "".join(f"'s{c}'{c}.\n{c}" for c in chars)
        yield "".join(f"e\u0345{c}\u0301 \u1100{c}\u11a8" for c in chars)
        yield "".join(f"{c} {c}\n{c}{c}" for c in chars)


# Where scripts, marks, emoji, controls, joiners and recently assigned characters are dense.
BLOCKS = [
    (0, 0x7F),
    (0, 0x7F),
    (0x80, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x5FF),
    (0x590, 0x6FF),
    (0x700, 0x8FF),
    (0x900, 0xDFF),
    (0xE00, 0xFFF),
    (0x1100, 0x11FF),
    (0x1A00, 0x1CFF),
    (0x1D00, 0x1FFF),
    (0x2000, 0x206F),
    (0x2070, 0x2BFF),
    (0x2E00, 0x30FF),
    (0x3400, 0x9FFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7FF),
    (0xE000, 0xF8FF),
    (0xF900, 0xFFFF),
    (0x10000, 0x10FFF),
    (0x11000, 0x11FFF),
    (0x12000, 0x16FFF),
    (0x17000, 0x1BFFF),
    (0x1CC00, 0x1DFFF),
    (0x1E000, 0x1EFFF),
    (0x1F000, 0x1FBFF),
    (0x20000, 0x33FFF),
    (0xE0000, 0xE01FF),
    (0xF0000, 0x10FFFF),
]
PIECES = [
    "'s",
    "'S",
    "'\u017f",
    "'LL",
    "'re",
    "'Ve",
    "\r\n",
    "\n\n",
    "  ",
    "\t",
    "\u00a0",
    "\u3000",
    "\u0085",
    "\u180e",
    "\u200b",
    "\u200d",
    "\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea",
    "e\u0301\u0323",
    "\u1100\u1161\u11a8",
    "\u0958",
    "\u212b",
    "\u0344",
    "\u05d0\u05b8\u05bc",
    "\u0645\u064e\u0651",
    "\u202e",
    "\ufeff",
    "\x00",
    "123456",
    "\u0661\u0662",
    "\u2160\u00bd",
    "word",
    " Word",
    "...",
    "\u4e2d\u6587",
    " \u0438",
    "\ufffd",
    "<|",
    "|>",
    "_",
]


def fuzz(random, specials, count):
    pieces = PIECES + specials * 2
    for _ in range(count):
        style = random.randrange(4)
        blocks = random.sample(BLOCKS, random.randint(1, 4))
        text = []
        for _ in range(random.choice((1, 3, 10, 40, 120))):
            if style == 0:
                text.append(chr(random.choice(SCALARS)))
            elif style == 1 or random.random() < 0.7:
                c = random.randint(*random.choice(blocks))
                text.append(chr(c) if not 0xD800 <= c < 0xE000 else " ")
            else:
                text.append(random.choice(pieces))
            if random.random() < 0.1:
                text.append(text[-1] * random.randint(1, 12))
        yield "".join(text)


def fuzzBytes(random, count):
    """Bytes that are partly UTF-8: valid text with bytes changed, cut or inserted."""
    for text in fuzz(random, [], count):
        data = bytearray(text.encode("utf-8"))
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(data) + 1)
            choice = random.randrange(3)
            if choice == 0:
                data.insert(
                    at, random.choice((0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF))
                )
            elif choice == 1:
                data[at : at + 1] = bytes([random.randrange(256)])
            else:
                del data[at : at + 1]
        yield bytes(data)


def longWords(random):
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield "a" * 100000
    yield " " * 100000 + "x"
    yield "\n" * 50000
    yield "ab" * 50000
    yield "=" * 30000 + "-" * 30000
    yield "\u4e00" * 30000
    yield "e\u0301" * 20000 + "\u0301" * 3000 + "\u0323" * 3000
    yield "".join(random.choice(letters) for _ in range(100000))
    yield "".join(chr(random.randint(0x4E00, 0x9FFF)) for _ in range(50000))


def referenceIds(reference, texts, addSpecial=True):
    # In parts: the package's encodings take far more memory than their ids.
    ids = []
    for i in range(0, len(texts), 256):
        encodings = reference.encode_batch_fast(texts[i : i + 256], add_special_tokens=addSpecial)
        ids += [encoding.ids for encoding in encodings]
    return ids


class Tool:
    def __init__(self, tool, file):
        self.tool, self.file, self.report = tool, file, ""

    def run(self, values, *options):
        lines = "".join(json.dumps(value) + "\n" for value in values)
        done = subprocess.run(
            [self.tool, *options, self.file],
            input=lines.encode(),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.report = ", ".join(done.stderr.decode().split("\n")[:-1])
        results = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
        assert len(results) == len(values)
        return results


class Comparison:
    def __init__(self):
        self.differences = 0

    def check(self, corpus, inputs, ours, theirs, report):
        differences = [i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]]
        print(
            f"  {corpus}: {len(inputs)} texts, {len(differences)} differences ({report})",
            flush=True,
        )
        for i in differences[:SHOWN]:
            print(
                f"    {ascii(inputs[i])[:300]}\n      ours   {ascii(ours[i])[:300]}"
                f"\n      theirs {ascii(theirs[i])[:300]}"
            )
        self.differences += len(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz", type=int, default=20000, help="random strings of each kind")
    parser.add_argument("tokenizers", nargs="+")
    arguments = parser.parse_args()
    comparison = Comparison()
    for file in arguments.tokenizers:
        print(file, flush=True)
        reference = Tokenizer.from_file(file)
        reference.no_truncation()
        reference.no_padding()
        tool = Tool(arguments.tool, file)
        added = [token.content for token in reference.get_added_tokens_decoder().values()]
        rng = random.Random(arguments.seed)
        specials = rng.sample(added, min(len(added), 20))

        def encode(corpus, texts, addSpecial=True, decode=True):
            theirs = referenceIds(reference, texts, addSpecial)
            ours = tool.run(texts, *([] if addSpecial else ["--no-special"]))
            comparison.check(corpus, texts, ours, theirs, tool.report)
            for skip in (True, False) if decode else ():
                theirTexts = reference.decode_batch(theirs, skip_special_tokens=skip)
                ourTexts = tool.run(theirs, "--decode", *([] if skip else ["--keep-special"]))
                kind = "decoded" if skip else "decoded with special tokens"
                comparison.check(f"{corpus}, {kind}", texts, ourTexts, theirTexts, tool.report)

        for corpus, texts in corpora(arguments.data) if arguments.data else ():
            encode(corpus, texts, decode=corpus in ("wikitext2", "lawbench_zero_shot", "mmlu_test"))
        encode("every code point", list(everyCodePoint()))
        encode("random strings", list(fuzz(rng, specials, arguments.fuzz)))
        encode(
            "random strings without special tokens",
            list(fuzz(rng, specials, arguments.fuzz)),
            False,
        )
        encode("long words", list(longWords(rng)))

        raw = list(fuzzBytes(rng, arguments.fuzz))
        theirs = referenceIds(reference, [text.decode("utf-8", "replace") for text in raw])
        ours = tool.run([text.decode("latin-1") for text in raw], "--bytes")
        comparison.check("invalid UTF-8", raw, ours, theirs, tool.report)

        size = reference.get_vocab_size()
        ids = [
            [rng.randrange(size + 100) for _ in range(rng.randint(0, 30))]
            for _ in range(arguments.fuzz)
        ]
        comparison.check(
            "random ids, decoded",
            ids,
            tool.run(ids, "--decode"),
            reference.decode_batch(ids),
            tool.report,
        )
    return 1 if comparison.differences else 0


sys.exit(main())
