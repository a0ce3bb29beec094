#!/usr/bin/env python3
"""Makes Qwen's tokenizer.json from a vocabulary-only GGUF, for machines that can fetch no checkpoint.

usage: make_qwen_tokenizer.py ggml-vocab-qwen2.gguf tokenizer.json

The file is in the source archive of llama-cpp-python (vendor/llama.cpp/models). Ids, merges and the split expression are
those of Qwen2 and Qwen3; tokens that Qwen3 added behind 151645 are missing, which prompts without chat templates never
have. Needs gguf and tokenizers.
"""
import sys

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def main():
    fields = GGUFReader(sys.argv[1]).fields
    strings = lambda name: [bytes(fields[name].parts[i]).decode() for i in fields[name].data]
    tokens, merges = strings("tokenizer.ggml.tokens"), strings("tokenizer.ggml.merges")
    kinds = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    vocabulary = {token: index for index, token in enumerate(tokens) if kinds[index] == 1}
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, kinds) if kind == 3])
    tokenizer.save(sys.argv[2])


if __name__ == "__main__":
    main()
