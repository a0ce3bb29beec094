#!/usr/bin/env python3
"""Makes tokenizer.json files from GGUF vocabularies, to compare tokenizers on real vocabularies.

    make_tokenizers.py OUTPUT [--smollm2 FILE.gguf] [--qwen2 FILE.gguf] [--llama3 FILE.gguf]

A GGUF file holds the tokens, their types and the merges; the pipeline around them is known for each
family. Writes OUTPUT/<family>/tokenizer.json.
"""

import argparse
import json
import os

import gguf

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = (
    CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL, USER_DEFINED, UNUSED = 3, 4, 5


def byteLevel(useRegex):
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": useRegex,
    }


def split(pattern):
    return {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": pattern},
                "behavior": "Isolated",
                "invert": False,
            },
            byteLevel(False),
        ],
    }


def bos(token, id):
    return {
        "type": "Sequence",
        "processors": [
            byteLevel(True),
            {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": token, "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                ],
                "pair": [
                    {"SpecialToken": {"id": token, "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": token, "type_id": 1}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
            },
        ],
    }


FAMILIES = {
    "smollm2": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byteLevel(True)],
        },
        "in_vocabulary": True,
        "merges": "strings",
    },
    "qwen2": {
        "pre_tokenizer": split(WORDS % r"\p{N}"),
        "normalizer": {"type": "NFC"},
        "in_vocabulary": False,
        "merges": "strings",
    },
    "llama3": {
        "pre_tokenizer": split(WORDS % r"\p{N}{1,3}"),
        "bos": "<|begin_of_text|>",
        "ignore_merges": True,
        "in_vocabulary": False,
        "merges": "pairs",
    },
}


def make(family, path):
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields["tokenizer.ggml." + name].contents()
    tokens, types, merges = field("tokens"), field("token_type"), field("merges")
    options = FAMILIES[family]
    added = [
        {
            "id": i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == CONTROL,
        }
        for i, (token, kind) in enumerate(zip(tokens, types))
        if kind in (CONTROL, USER_DEFINED)
    ]
    isAdded = {token["id"] for token in added}
    vocab = {
        token: i
        for i, (token, kind) in enumerate(zip(tokens, types))
        if kind != UNUSED and (options["in_vocabulary"] or i not in isAdded)
    }
    if options["merges"] == "pairs":
        merges = [merge.split(" ") for merge in merges]
    post = byteLevel(True)
    if "bos" in options:
        post = bos(options["bos"], tokens.index(options["bos"]))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": options.get("normalizer"),
        "pre_tokenizer": options["pre_tokenizer"],
        "post_processor": post,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": options.get("ignore_merges", False),
            "vocab": vocab,
            "merges": merges,
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    for family in FAMILIES:
        parser.add_argument("--" + family)
    arguments = parser.parse_args()
    for family in FAMILIES:
        path = getattr(arguments, family)
        if path:
            directory = os.path.join(arguments.output, family)
            os.makedirs(directory, exist_ok=True)
            made = make(family, path)
            with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as out:
                json.dump(made, out, ensure_ascii=False)
            print(
                f"{family}: {len(made['model']['vocab'])} tokens, "
                f"{len(made['added_tokens'])} added, "
                f"{len(made['model']['merges'])} merges"
            )


main()
