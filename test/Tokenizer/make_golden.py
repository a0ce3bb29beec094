#!/usr/bin/env python3
"""Makes the small committed test data of the tokenizer, with what the tokenizers package gives.

    make_golden.py OUTPUT_DIRECTORY

tokenizer.json is a byte-level BPE trained on the sentences below. golden.json holds variants of it
(other components in its place) with texts, ids and decoded texts, cuts of
pre-tokenizers, and NFC forms.
"""

import json
import os
import sys

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SENTENCES = [
    "The tokenizer cuts a text into words and each word into pieces.",
    "It's the same text that we're testing: they'll see what we've got, and I'd say it's fine.",
    "There are 12 months, 365 days and 24 hours; 1234567 is a larger number.",
    "Die Wörter größer, schöner und über sind deutsch. Ça va très bien, là-bas à Orléans.",
    "Пример русского текста и ещё один пример текста.",
    "这是一个中文句子。这是另一个句子。",
    "int main() { return 0; }\n\n\tfor (int i = 0; i < n; ++i) {\n\t\tsum += i;\n\t}\n",
] * 3

TEXTS = SENTENCES[1:7:2] + [
    "",
    " ",
    "  ",
    "a",
    "\n",
    " \n \n\n  x  ",
    "tabs\t\tand  spaces   ",
    "It'S WE'RE they'Ll I'\u017f",
    "12 345 6789 x1y22z333",
    "\u0661\u0662\u0663 \u00bd \u2160 \u0967 \U00011de0\U00011de1",
    "e\u0301 \u00e9 e\u0323\u0301 e\u0301\u0323 \u1112\u1161\u11ab \u212b \u0958 \u0344",
    "\U0001f468\u200d\U0001f469\u200d\U0001f466 \U0001f1e9\U0001f1ea \u2603\ufe0f",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05b8\u05dc\u05d5\u05b9\u05dd \u202eabc\u202c",
    "\x00\x01\x7f\u0085\u00a0\u1680\u2028\u3000\u180e\u200bx",
    "\ufeffBOM \ufffd \U0010ffff",
    "\u1c89\u1c8a \ua7cb \ua7ce \U00010d4a \U0001cc00",
    "<|start|>hello<|end|> <|start|>",
    "<|start|><|startle|> x<mask> <mask>y <mask> , \t<mask>\u3000!",
    "a<sep> b <sep>c<sep>",
    "\u00c5ngstr\u00f6m A\u030angstro\u0308m nfcA\u030a nfc\u00c5",
    "the text  TEXT<tool>text</tool>",
    "x" * 70,
    "==--==" * 9,
    "word" * 10,
    "\u4e2d" * 33,
]

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byteLevel(useRegex, prefix=False):
    return {
        "type": "ByteLevel",
        "add_prefix_space": prefix,
        "trim_offsets": True,
        "use_regex": useRegex,
    }


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def added(id, content, **options):
    token = {
        "id": id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {**token, **options}


def template(size):
    special = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {
        "type": "Sequence",
        "processors": [
            byteLevel(True),
            {
                "type": "TemplateProcessing",
                "single": [
                    special("<|start|>"),
                    {"Sequence": {"id": "A", "type_id": 0}},
                    special("<|end|>"),
                ],
                "pair": [
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {
                    name: {"id": name, "ids": [size + i], "tokens": [name]}
                    for i, name in enumerate(("<|start|>", "<|end|>"))
                },
            },
        ],
    }


def variants(size):
    """Components in the place of the base file's, by the top-level key or "model"."""
    boundaries = [added(size, "<|start|>"), added(size + 1, "<|end|>")]
    yield "digits, then GPT-2's pattern", {
        "added_tokens": boundaries,
        "pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byteLevel(True)),
    }
    yield "digits in runs", {
        "pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, byteLevel(True))
    }
    yield "NFC and a pattern", {
        "added_tokens": boundaries,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": sequence(split(WORDS % r"\p{N}"), byteLevel(False)),
    }
    yield "whole words and a template", {
        "added_tokens": boundaries,
        "post_processor": template(size),
        "model": {"ignore_merges": True},
        "pre_tokenizer": sequence(split(WORDS % r"\p{N}{1,3}"), byteLevel(False)),
    }
    yield "a space before every stretch", {
        "added_tokens": boundaries,
        "pre_tokenizer": byteLevel(True, prefix=True),
    }
    yield "a space before every piece, no pattern", {
        "pre_tokenizer": sequence(split(r"\d+"), byteLevel(False, prefix=True))
    }
    yield "options of added tokens", {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
        "added_tokens": boundaries
        + [
            added(size + 2, "<|startle|>"),
            added(size + 3, "<mask>", lstrip=True, rstrip=True),
            added(size + 4, "<sep>", single_word=True, special=False),
            added(size + 5, "A\u030a", normalized=True, special=False),
            added(size + 6, "<tool>", special=False, normalized=True, rstrip=True),
            added(size + 7, "</tool>", special=False, normalized=True, lstrip=True),
            added(size + 8, " x ", special=False),
        ],
    }
    yield "nothing around the model", {
        "pre_tokenizer": None,
        "decoder": None,
        "post_processor": None,
        "model": {"unk_token": "?", "fuse_unk": True},
    }
    yield "unknown characters apart", {
        "pre_tokenizer": split(" "),
        "decoder": None,
        "model": {"unk_token": "?"},
    }


CUTS = [
    (WORDS % r"\p{N}", "Isolated", False),
    (WORDS % r"\p{N}{1,3}", "Isolated", False),
    (GPT4O, "Isolated", False),
    (r"\d", "Removed", False),
    (r"\d", "MergedWithPrevious", False),
    (r"\d", "MergedWithNext", False),
    (r"\d", "Contiguous", False),
    (r"\d", "Removed", True),
    (r"\d+", "MergedWithPrevious", True),
    (r"\d+", "MergedWithNext", True),
    (r"(?=\p{Lu})", "Isolated", False),
    (r"x*", "Isolated", False),
    (r"(?:ab|a)b?c*|[^\W\d_]{2,}", "Isolated", False),
    (r"'(?i:[sdmt]|ll|ve|re)|\p{L}++|\P{L}?+\d", "Contiguous", False),
    (r"(?i:k)+|\p{^L}", "Removed", False),
    (r"[\p{L}\p{M}]+|[\u4e00-\u9fff]|\x{1F468}|[\-\]\^a-c]|.", "Isolated", False),
    (r"(the |text )*|(?:wo(?=rd))", "Isolated", False),
    (r"\S+|\s{2,3}|\w", "MergedWithNext", False),
    (r"\p{P}|\p{S}|\p{Zs}|\p{Cf}|\p{Cn}", "Removed", False),
]


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trained.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=420,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    base = json.loads(trained.to_str())
    size = len(base["model"]["vocab"])
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as out:
        json.dump(base, out, ensure_ascii=False, separators=(",", ":"))
        out.write("\n")

    golden = {"texts": TEXTS, "variants": [], "cuts": [], "nfc": []}
    for name, changes in variants(size):
        model = {**base["model"], **changes.get("model", {})}
        tokenizer = Tokenizer.from_str(json.dumps({**base, **changes, "model": model}))
        cases = []
        for text in TEXTS:
            case = {"ids": tokenizer.encode(text).ids}
            without = tokenizer.encode(text, add_special_tokens=False).ids
            decoded = tokenizer.decode(case["ids"])
            everything = tokenizer.decode(case["ids"], skip_special_tokens=False)
            # What is left out is the same as ids, text and decoded.
            if without != case["ids"]:
                case["without"] = without
            if decoded != text:
                case["decoded"] = decoded
            if everything != decoded:
                case["all"] = everything
            cases.append(case)
        golden["variants"].append({"name": name, "changes": changes, "cases": cases})
    behaviors = {
        "Removed": "removed",
        "Isolated": "isolated",
        "MergedWithPrevious": "merged_with_previous",
        "MergedWithNext": "merged_with_next",
        "Contiguous": "contiguous",
    }
    for pattern, behavior, invert in CUTS:
        cutter = pre_tokenizers.Split(Regex(pattern), behaviors[behavior], invert)
        golden["cuts"].append(
            {
                "split": split(pattern, behavior, invert),
                "pieces": [[piece for piece, _ in cutter.pre_tokenize_str(text)] for text in TEXTS],
            }
        )
    cutter = pre_tokenizers.Split(". ", "merged_with_previous")
    golden["cuts"].append(
        {
            "split": split(". ", "MergedWithPrevious", kind="String"),
            "pieces": [[piece for piece, _ in cutter.pre_tokenize_str(text)] for text in TEXTS],
        }
    )
    nfc = normalizers.NFC()
    golden["nfc"] = [
        [text, nfc.normalize_str(text)]
        for text in TEXTS
        + [
            "\u1100\u1161\u11a8\u11a8",
            "\uac00\u11a7\uac00\u11a8\uac01\u11a8",
            "a\u0328\u0301\u0327",
            "\u0b47\u0300\u0b3e",
            "q\u0323\u0307\u0334",
            "\U000110a5\U000110ba",
            "\U00011938",
            "a\u1df6\u0301",
            "a\U0001e94a\u0323",
            "\u0f71\u0f72\u0f74\u0f80",
            "\u2126\u2f800\U0002f800",
        ]
    ]
    with open(os.path.join(directory, "golden.json"), "w", encoding="ascii") as out:

        def lines(items):
            return ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)

        out.write(
            "{" + ",\n".join(f'"{key}":[\n{lines(value)}]' for key, value in golden.items()) + "}\n"
        )
    print(
        f"{size} tokens, {len(golden['variants'])} variants, {len(golden['cuts'])} patterns, "
        f"{len(TEXTS)} texts"
    )


main()
