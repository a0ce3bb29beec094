#!/usr/bin/env python3
"""What OUT/run does on a GPU, beside transformers in bf16 on the same machine and shape.

usage: bench_gpu.py OUT --data DATA [options]

Prints one JSON line for each: all of MMLU from process start (the peer's time is that of its tokens for a second, of 32
prompts of 700, over all prompts' tokens: it shares no prefixes), log-probabilities of --questions questions against
transformers in fp32 on OUT/model itself, and generation behind 512 tokens, of one sequence and of eight. Needs torch
with a GPU and transformers; OUT was compiled with --target=cuda.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import measure

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "test" / "EndToEnd" / "reference.py"


def run(command, directory):
    """Its JSON result and the seconds of the whole process."""
    result = Path(directory) / "result.json"
    start = time.perf_counter()
    subprocess.run([str(word) for word in command] + ["--quiet", "--json", str(result)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(result.read_text()), time.perf_counter() - start


def milliseconds(compute, repeats=3):
    compute()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(repeats):
        compute()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / repeats


def peer_speeds(directory):
    """Tokens a second of transformers in bf16, with random weights of the model's shape: prompts, generation."""
    from transformers import AutoConfig, AutoModelForCausalLM
    config = AutoConfig.from_pretrained(directory)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    ids = torch.randint(0, config.vocab_size, (32, 700), device="cuda")
    with torch.inference_mode():
        prompts = 32 * 700 / milliseconds(lambda: model(ids, use_cache=False, logits_to_keep=1)) * 1000
        options = {"max_new_tokens": 64, "min_new_tokens": 64, "do_sample": False}
        generation = 64 / milliseconds(lambda: model.generate(ids[:1, :512], **options), 1) * 1000
    del model
    torch.cuda.empty_cache()
    return prompts, generation


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=60, help="whose log-probabilities are compared; 0: none")
    parser.add_argument("--no-peer", action="store_true", help="do not measure transformers")
    parser.add_argument("--options", nargs="*", default=[], help="of OUT/run mmlu, such as --half=f16")
    options = parser.parse_args()
    program = options.out.resolve() / "run"
    with tempfile.TemporaryDirectory() as directory:
        scored, seconds = run([program, "mmlu", "--data", options.data, "--shots", "5", *options.options], directory)
        line = {"benchmark": "mmlu", "model": scored["model"], "pipeline": scored["pipeline"], "device": scored["device"],
                "questions": len(scored["questions"]), "wall_seconds": round(seconds, 2), "seconds": round(scored["seconds"], 2),
                "prompt_tokens": scored["prompt_tokens"], "computed_tokens": scored["computed_tokens"],
                "tokens_per_second": round(scored["computed_tokens"] / scored["seconds"]),
                "gpu_memory_mib": round(scored["gpu_memory_bytes"] / 2**20)}
        _, one = run([program, "mmlu", "--data", options.data, "--limit", "1", *options.options], directory)
        line["one_question_wall_seconds"] = round(one, 2)
        speeds = {batch: run([program, "bench", "--prompt", "512", "--decode", "128", "--batch", batch], directory)[0] for batch in (1, 8)}
        if not options.no_peer:
            prompts, generation = peer_speeds(options.out / "model")
            line |= {"peer": "transformers bf16", "peer_tokens_per_second": round(prompts),
                     "peer_seconds": round(scored["prompt_tokens"] / prompts, 1),
                     "ratio": round(scored["prompt_tokens"] / prompts / seconds, 2)}
        print(json.dumps(line), flush=True)
        for batch, speed in speeds.items():
            line = {"benchmark": "generation", "sequences": batch, "compiled": speed["compiled"],
                    "tokens_per_second": round(speed["decode_tokens_per_second"]["median"], 1),
                    "prefill_tokens_per_second": round(speed["prefill_tokens_per_second"]["median"])}
            if batch == 1 and not options.no_peer:
                line |= {"peer_tokens_per_second": round(generation, 1),
                         "ratio": round(line["tokens_per_second"] / generation, 1)}
            print(json.dumps(line), flush=True)
        if options.questions:
            mine = {question["row"]: question["logprobs"] for question in scored["questions"]}
            rows = Path(directory) / "rows.jsonl"
            chosen = sorted(random.Random(1).sample(sorted(mine), min(options.questions, len(mine))))
            rows.write_text("".join(f"{row}\n" for row in chosen))
            peer = measure.run([sys.executable, REFERENCE, options.out / "model", "--mmlu", options.data, "--rows", rows,
                                "--loader", "unpack", "--device", "cuda"], 2)
            theirs = {answer["row"]: answer["lp"] for answer in json.loads(peer.output)["mmlu"]["rows"]}
            differences = [abs(a - b) for row in chosen for a, b in zip(mine[row], theirs[row])]
            best = lambda values: values.index(max(values))
            print(json.dumps({"benchmark": "agreement", "peer": "transformers fp32, the same weights", "questions": len(chosen),
                              "mean_logprob_difference": round(sum(differences) / len(differences), 5),
                              "max_logprob_difference": round(max(differences), 5),
                              "equal_answers": sum(best(mine[row]) == best(theirs[row]) for row in chosen)}))


if __name__ == "__main__":
    main()
