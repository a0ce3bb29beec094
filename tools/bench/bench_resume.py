#!/usr/bin/env python3
"""Measures what compressc holds in memory against its plan, and what being killed costs.

usage: bench_resume.py COMPRESSC MODEL --calibration FILE [options]
       bench_resume.py --make-model DIR --tokenizer FILE [--layers N ...]

Compresses MODEL without a store, sampling anonymous memory (RssAnon: mapped files are not counted), and asks
--dry-run for its plan. Then, until --kills times killed: an empty store, --kills-each runs that are killed after
random delays, and one to the end; the bytes must be the same, and each run must find every step that was finished
before. Each kill adds a whole run's work divided by --kills-each, so several make a large model affordable. Prints
one JSON line.

--make-model writes a random checkpoint in the shape of Qwen3-0.6B, of a few layers, to measure memory on.
"""
import argparse
import json
import random
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import measure


def make_model(directory, tokenizer, layers, hidden, intermediate, vocabulary):
    import numpy
    from safetensors.numpy import save_file
    heads, kv_heads, head_dim = 16, 8, 128
    generator = numpy.random.default_rng(0)

    def matrix(rows, columns):
        return (generator.standard_normal((rows, columns), dtype=numpy.float32) / columns ** 0.5).astype(numpy.float16)

    tensors = {"model.embed_tokens.weight": matrix(vocabulary, hidden),
               "model.norm.weight": numpy.ones(hidden, numpy.float16)}
    for layer in range(layers):
        shapes = {"self_attn.q_proj": (heads * head_dim, hidden), "self_attn.k_proj": (kv_heads * head_dim, hidden),
                  "self_attn.v_proj": (kv_heads * head_dim, hidden), "self_attn.o_proj": (hidden, heads * head_dim),
                  "mlp.gate_proj": (intermediate, hidden), "mlp.up_proj": (intermediate, hidden),
                  "mlp.down_proj": (hidden, intermediate)}
        norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden, "self_attn.q_norm": head_dim,
                 "self_attn.k_norm": head_dim}
        for name, shape in shapes.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = matrix(*shape)
        for name, width in norms.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = numpy.ones(width, numpy.float16)
    directory.mkdir(parents=True)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "float16",
              "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
              "vocab_size": vocabulary, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
              "rope_theta": 1e6, "hidden_act": "silu", "tie_word_embeddings": True, "attention_bias": False,
              "eos_token_id": 2, "bos_token_id": 1}
    (directory / "config.json").write_text(json.dumps(config))
    shutil.copy(tokenizer, directory / "tokenizer.json")


def same(a, b):
    files = sorted(path.relative_to(a) for path in a.rglob("*") if path.is_file())
    return (files == sorted(path.relative_to(b) for path in b.rglob("*") if path.is_file())
            and all((a / name).read_bytes() == (b / name).read_bytes() for name in files))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc", type=Path, nargs="?")
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--passes", default="awq{bits=4 group-size=64}")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--kills-each", type=int, default=1, help="of one compilation before it runs to its end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make-model", type=Path, metavar="DIR")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json for --make-model")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--intermediate", type=int, default=3072)
    parser.add_argument("--vocabulary", type=int, default=151936)
    options = parser.parse_args()
    if options.make_model:
        make_model(options.make_model, options.tokenizer, options.layers, options.hidden, options.intermediate,
                   options.vocabulary)
        return

    command = [options.compressc.resolve(), options.model, f"--passes={options.passes}",
               "--calibration", options.calibration, "--samples", options.samples,
               "--sequence-length", options.sequence_length, "--threads", options.threads]
    plan = measure.run(command + ["--dry-run"], options.threads).output
    planned = float(re.search(r"peak memory +([\d.]+) MB", plan)[1])
    size = int(re.search(r"output +(\d+) bytes", plan)[1])
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as directory:
        undisturbed, out = Path(directory) / "undisturbed", Path(directory) / "out"
        store = Path(f"{out}.store")
        whole = measure.run_sampled(command + ["-o", undisturbed, "--no-store"], options.threads)
        kept = measure.run_sampled(command + ["-o", out], options.threads)
        compilations = equal = kills = again = 0
        overheads = []
        while kills < options.kills:
            shutil.rmtree(out)
            compilations += 1
            seconds = finished = 0
            for turn in range(options.kills_each + 1):
                last = turn == options.kills_each
                delay = None if last else chance.uniform(0, 0.97) * kept.seconds / options.kills_each
                run = measure.run_sampled(command + ["-o", out], options.threads, kill_after=delay)
                seconds += run.seconds
                found = re.search(r"(\d+) of \d+ steps are there", run.errors)
                if last or found:  # else it was killed before it looked
                    again += finished - (int(found[1]) if found else 0)
                if out.exists():
                    break
                finished = len(list(store.glob("*.results")))
                kills += 1
                print(f"killed after {delay:.1f} s with {finished} steps finished", file=sys.stderr, flush=True)
            equal += same(undisturbed, out)
            overheads.append(seconds - kept.seconds)
            print(f"to the end in {run.seconds:.1f} s", file=sys.stderr, flush=True)
        written = (undisturbed / "model" / "model.safetensors").stat().st_size
    print(json.dumps({
        "benchmark": "resume", "model": options.model.name, "passes": options.passes, "samples": options.samples,
        "sequence_length": options.sequence_length, "threads": options.threads,
        "planned_peak_mb": planned, "peak_anonymous_mb": round(whole.peak_anonymous_mb, 1),
        "planned_bytes": size, "bytes": written,
        "seconds": round(whole.seconds, 2), "seconds_with_store": round(kept.seconds, 2),
        "peak_anonymous_mb_with_store": round(kept.peak_anonymous_mb, 1),
        "kills": kills, "compilations": compilations, "same_bytes": equal, "finished_steps_computed_again": again,
        "overhead_seconds_median": round(statistics.median(overheads), 2) if overheads else None,
        "overhead_seconds_most": round(max(overheads), 2) if overheads else None}))


if __name__ == "__main__":
    main()
