#!/usr/bin/env python3
"""Perplexity and MMLU log-probabilities of a Hugging Face model directory, by transformers in fp32.

usage: reference.py MODEL [--perplexity TEXT] [--mmlu DATA] [options]; prints one JSON object

The protocol is the one that `run` follows, written a second time on other software:
  perplexity  the raw file tokenised as a whole, no special tokens; its first windows x context tokens in
              non-overlapping windows; loss over context - 1 positions of each
  MMLU        description, shots from the dev split in order, question, `Answer:`; log-softmax over the
              whole vocabulary at the last position; " A" to " D". What a subject's prompts share is
              computed once and kept as a cache, but with --whole-prompts.

MODEL may be dense or compressed-tensors `pack-quantized` (`OUT/model` of compressc). Needs
tools/requirements-reference.txt.
"""
import argparse
import gzip
import json
import math
import random
import re
import resource
import sys
import time
from pathlib import Path

import torch

LETTERS = "ABCD"


# --- loading ------------------------------------------------------------------------------------------

def quantization_of(directory):
    """The weight schemes of a pack-quantized checkpoint, or None for a dense one."""
    config = json.loads((directory / "config.json").read_text()).get("quantization_config")
    if config is None:
        return None
    if config.get("quant_method") != "compressed-tensors" or config.get("format") != "pack-quantized":
        sys.exit(f"{directory}: only compressed-tensors pack-quantized checkpoints are read here")
    return [group["weights"] for group in config["config_groups"].values()]


def unpack(words, bits, count):
    """Codes of a little-endian bit stream along the last dimension of int32 words."""
    words = words.to(torch.int64) & 0xFFFFFFFF
    start = torch.arange(count, device=words.device) * bits
    low = words[..., start // 32] >> (start % 32)
    spill = (start // 32 + 1).clamp(max=words.shape[-1] - 1)
    high = words[..., spill] << (32 - start % 32)
    return (low | high) & ((1 << bits) - 1)


def dequantise(tensors, schemes):
    """fp32 tensors under their plain names from a pack-quantized checkpoint's."""
    result = {}
    for name, tensor in tensors.items():
        if not re.search(r"\.weight_(packed|scale|zero_point|shape)$", name):
            result[name] = tensor.float()
        elif name.endswith(".weight_packed"):
            module = name.removesuffix(".weight_packed")
            rows, columns = tensors[module + ".weight_shape"].tolist()
            scale = tensors[module + ".weight_scale"].float()
            fitting = [s for s in schemes if math.ceil(columns * s["num_bits"] / 32) == tensor.shape[1]]
            if not fitting:
                sys.exit(f"{name}: {tensor.shape[1]} words a row fit none of the configured bit widths")
            bits = fitting[0]["num_bits"]
            group = columns // scale.shape[1]
            codes = unpack(tensor, bits, columns).float()
            if module + ".weight_zero_point" in tensors:
                zero = unpack(tensors[module + ".weight_zero_point"].T.contiguous(), bits, rows).T.float()
            else:
                zero = torch.full_like(scale, 2 ** (bits - 1))
            expand = lambda x: x.repeat_interleave(group, dim=1)
            result[module + ".weight"] = (codes - expand(zero)) * expand(scale)
    return result


def load_unpacked(directory, schemes, device):
    """The dense model filled with weights dequantised here: for what the installed library cannot read."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM
    config = AutoConfig.from_pretrained(directory)
    del config.quantization_config
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = {}
    for path in sorted(directory.glob("*.safetensors")):
        tensors.update(load_file(path, device=device))
    missing, unexpected = model.load_state_dict(dequantise(tensors, schemes), strict=False)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    if unexpected or set(missing) - tied:
        sys.exit(f"{directory}: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def load(directory, loader, device="cpu"):
    """The model in fp32 on a device, and the name of the way it was loaded."""
    from transformers import AutoModelForCausalLM, logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    schemes = quantization_of(directory)
    if schemes is None:
        return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval().to(device), "dense"
    if loader == "unpack":
        return load_unpacked(directory, schemes, device).eval(), "unpack"
    import compressed_tensors
    version = tuple(int(x) for x in compressed_tensors.__version__.split(".")[:2])
    # Before 0.18 the library padded each word of widths that do not divide 32 instead of packing a
    # bit stream; from 0.18 its default load of a zero point fails, but dequantising at load works.
    dense_stream = any(32 % s["num_bits"] for s in schemes)
    if loader == "auto":
        loader = "unpack" if dense_stream and version < (0, 18) else "transformers"
    if loader == "unpack":
        return load_unpacked(directory, schemes, device).eval(), "unpack"
    options = {}
    if version >= (0, 18) and not all(s.get("symmetric", True) for s in schemes):
        from transformers import CompressedTensorsConfig
        options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, **options).eval()
    return model.to(device), f"compressed-tensors {compressed_tensors.__version__}"


class Encoder:
    """tokenizer.json itself, without what transformers adds to it."""

    def __init__(self, directory, special):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.special = special

    def plain(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, text):
        return self.tokenizer.encode(text, add_special_tokens=self.special).ids


# --- perplexity ---------------------------------------------------------------------------------------

def read_text(path):
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode("utf-8")


@torch.no_grad()
def perplexity(model, encoder, path, context, windows):
    ids = encoder.plain(read_text(path))
    windows = min(windows, len(ids) // context) if windows else len(ids) // context
    if windows == 0:
        sys.exit(f"{path}: {len(ids)} tokens are less than one window of {context}")
    start = time.perf_counter()
    losses = []
    for index in range(windows):
        window = torch.tensor([ids[index * context:(index + 1) * context]], device=model.device)
        logits = model(input_ids=window).logits[0, :-1].float()
        losses.append(torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="sum").item())
    mean = sum(losses) / (windows * (context - 1))
    return {"perplexity": math.exp(mean), "mean_nll": mean, "windows": windows, "context": context,
            "seconds": time.perf_counter() - start,
            "window_nll": [round(x / (context - 1), 6) for x in losses]}


# --- MMLU ---------------------------------------------------------------------------------------------

def parse_lines(path):
    # Not splitlines(): it also cuts at U+2028 and its like, which JSON strings may hold as they are.
    return [json.loads(line) for line in read_text(path).split("\n") if line.strip()]


def read_lines(directory, name):
    for candidate in (directory / f"{name}.jsonl.gz", directory / f"{name}.jsonl"):
        if candidate.exists():
            return parse_lines(candidate)
    sys.exit(f"{directory}: neither {name}.jsonl.gz nor {name}.jsonl is there")


def render(question, answered):
    lines = [question["question"].strip()]
    lines += [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question["choices"])]
    text = "\n".join(lines) + "\nAnswer:"
    return text + f" {LETTERS[question['answer']]}\n\n" if answered else text


def subject_prefix(subject, examples, shots):
    topic = subject.replace("_", " ")
    return (f"The following are multiple choice questions (with answers) about {topic}.\n\n"
            + "".join(render(example, True) for example in examples[:shots]))


def common_prefix(sequences):
    shortest = min(map(len, sequences))
    for index in range(shortest):
        if any(s[index] != sequences[0][index] for s in sequences):
            return index
    return shortest


def letter_tokens(encoder, prompt, prompt_ids):
    """The token each letter becomes behind this prompt."""
    result = []
    for letter in LETTERS:
        whole = encoder.prompt(f"{prompt} {letter}")
        if whole[:len(prompt_ids)] != prompt_ids or len(whole) != len(prompt_ids) + 1:
            sys.exit(f"' {letter}' is not one token behind a prompt of this tokenizer")
        result.append(whole[-1])
    return result


@torch.no_grad()
def mmlu(model, encoder, data, rows, shots, whole):
    test = read_lines(data, "mmlu_test")
    examples = {}
    for question in read_lines(data, "mmlu_dev"):
        examples.setdefault(question["subject"], []).append(question)
    subjects = {}
    for row in rows:
        if not 0 <= row < len(test):
            sys.exit(f"row {row}: {data} has {len(test)} test rows")
        subjects.setdefault(test[row]["subject"], []).append(row)
    start, cpu = time.perf_counter(), time.process_time()
    answers = []
    prompt_tokens = computed_tokens = 0
    for subject, members in subjects.items():
        prefix = subject_prefix(subject, examples.get(subject, []), shots)
        prompts = [prefix + render(test[row], False) for row in members]
        ids = [encoder.prompt(prompt) for prompt in prompts]
        # At least one token of each prompt is left to compute.
        shared = 0 if whole else min([common_prefix(ids + [encoder.prompt(prefix)])] + [len(x) - 1 for x in ids])
        cache = None
        if shared > 0:
            cache = model.model(input_ids=torch.tensor([ids[0][:shared]], device=model.device), use_cache=True).past_key_values
        computed_tokens += shared
        for row, prompt, tokens in zip(members, prompts, ids):
            hidden = model.model(input_ids=torch.tensor([tokens[shared:]], device=model.device), past_key_values=cache,
                                 use_cache=cache is not None).last_hidden_state[:, -1]
            if cache is not None:
                cache.crop(shared)
            scores = model.lm_head(hidden)[0].float().log_softmax(-1)
            scores = scores[letter_tokens(encoder, prompt, tokens)].tolist()
            answers.append({"row": row, "subject": subject, "pred": scores.index(max(scores)),
                            "gold": test[row]["answer"], "lp": [round(x, 6) for x in scores]})
            prompt_tokens += len(tokens)
            computed_tokens += len(tokens) - shared
    correct = sum(answer["pred"] == answer["gold"] for answer in answers)
    return {"shots": shots, "questions": len(answers), "correct": correct,
            "accuracy": correct / len(answers), "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu,
            "prompt_tokens": prompt_tokens, "computed_tokens": computed_tokens,
            "rows": sorted(answers, key=lambda answer: answer["row"])}


def choose_rows(options, data):
    if options.rows:
        return [v["row"] if isinstance(v, dict) else v for v in parse_lines(options.rows)]
    count = len(read_lines(data, "mmlu_test"))
    if options.sample and options.sample < count:
        return sorted(random.Random(options.seed).sample(range(count), options.sample))
    return list(range(count))


# --- driver -------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="directory with config.json, safetensors, tokenizer.json")
    parser.add_argument("--perplexity", metavar="TEXT", help="text file, plain or gzip")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=16, help="0: all of the text")
    parser.add_argument("--mmlu", metavar="DATA", type=Path, help="directory of mmlu_{dev,test}.jsonl[.gz]")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--whole-prompts", action="store_true", help="share nothing among a subject's prompts")
    parser.add_argument("--rows", help="JSON lines: row numbers of the test split, or objects with `row`")
    parser.add_argument("--sample", type=int, help="so many rows, drawn with --seed")
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--add-special-tokens", action="store_true", help="for MMLU prompts (BOS)")
    parser.add_argument("--loader", choices=["auto", "transformers", "unpack"], default="auto",
                        help="of quantised checkpoints; `unpack` dequantises here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="torch's name of it, cuda for a GPU")
    options = parser.parse_args()
    if not (options.model / "config.json").exists():
        parser.error(f"{options.model}: no config.json there")
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    import transformers
    model, loader = load(options.model, options.loader, options.device)
    encoder = Encoder(options.model, options.add_special_tokens)
    result = {"model": options.model.resolve().name, "loader": loader, "threads": options.threads,
              "torch": torch.__version__, "transformers": transformers.__version__,
              "load_seconds": time.perf_counter() - start}
    if options.perplexity:
        result["perplexity"] = perplexity(model, encoder, options.perplexity, options.context,
                                          options.windows)
    if options.mmlu:
        rows = choose_rows(options, options.mmlu)
        result["mmlu"] = mmlu(model, encoder, options.mmlu, rows, options.shots, options.whole_prompts)
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
