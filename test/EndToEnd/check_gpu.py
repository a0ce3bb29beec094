#!/usr/bin/env python3
"""Log-probabilities on a GPU against transformers in fp32 on the very weights that compressc wrote.

usage: check_gpu.py COMPRESSC MODEL ... --data DATA [--questions N] [--runtime-dir DIR]

For a small random model of each architecture, with the first MODEL's tokenizer (of at most 49152 tokens) and the head
sizes that have kernels of their own, and for each MODEL:
deploys it in 16 bits and in 4, and asks N questions of DATA (MMLU). The compiled program and the walked schedule must
give the same bits; they must be within 0.05 of transformers on average, and so must fp16 (--half=f16), and the program
on the CPU. The line has the GPU's largest difference from the CPU too, to tell whose fault a large one is. Prints a line for each. Needs torch with a GPU and transformers: status 77, which CTest takes for a
skipped test, without.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent / "reference.py"
LIMIT = 0.05
VARIANTS = {"16 bits": [], "4 bits": ["--passes=quantize{bits=4 group-size=64}"]}


def make_models(directory, tokenizer):
    """A random model of each architecture, of 3 layers."""
    import torch
    from transformers import (AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config)
    size = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 3, "vocab_size": 49152,
            "max_position_embeddings": 8192, "bos_token_id": 1, "eos_token_id": 2}
    configs = {
        "llama": LlamaConfig(num_attention_heads=8, num_key_value_heads=2, tie_word_embeddings=True, **size),
        "qwen2": Qwen2Config(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False, **size),
        "qwen3": Qwen3Config(num_attention_heads=4, num_key_value_heads=1, head_dim=128, tie_word_embeddings=False, **size)}
    torch.manual_seed(0)
    for name, config in configs.items():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for key, value in model.named_parameters():
            if value.dim() > 1:
                torch.nn.init.normal_(value, std=0.05)
            elif key.endswith("bias"):
                torch.nn.init.normal_(value, std=0.1)
        model.bfloat16().save_pretrained(directory / name)
        shutil.copy(tokenizer, directory / name / "tokenizer.json")
        yield directory / name


def log_probabilities(out, data, rows, *options):
    result = out / "result.json"
    subprocess.run([out / "run", "mmlu", "--data", data, "--limit", str(rows), "--quiet", "--fresh", "--json", result, *options],
                   check=True, stdout=subprocess.DEVNULL)
    return {question["row"]: question["logprobs"] for question in json.loads(result.read_text())["questions"]}


def differences(left, right):
    return [abs(a - b) for row in left for a, b in zip(left[row], right[row])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc", type=Path)
    parser.add_argument("models", metavar="MODEL", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--runtime-dir")
    options = parser.parse_args()
    try:
        import torch
        import transformers
    except ImportError:
        sys.exit(77)
    if not torch.cuda.is_available():
        print("no GPU")
        sys.exit(77)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        deploy = lambda model, out, *more: subprocess.run(
            [options.compressc, model, "-o", out, "--quiet", *more,
             *([f"--runtime-dir={options.runtime_dir}"] if options.runtime_dir else [])], check=True)
        deploy(options.models[0], Path(directory) / "first")
        for model in [*make_models(Path(directory), Path(directory) / "first/model/tokenizer.json"), *options.models]:
            for variant, passes in VARIANTS.items():
                out = Path(directory) / f"{model.stem}-out"
                deploy(model, out, "--target=cuda", *passes)
                compiled = log_probabilities(out, options.data, options.questions)
                walked = log_probabilities(out, options.data, options.questions, "--interpret")
                rows = out / "rows.jsonl"
                rows.write_text("".join(f"{row}\n" for row in compiled))
                peer = subprocess.run([sys.executable, REFERENCE, out / "model", "--mmlu", options.data, "--rows", rows,
                                       "--loader", "unpack", "--device", "cuda", "--whole-prompts"], check=True, capture_output=True, text=True)
                theirs = {answer["row"]: answer["lp"] for answer in json.loads(peer.stdout)["mmlu"]["rows"]}
                found = {"compiled": compiled, "f16": log_probabilities(out, options.data, options.questions, "--half=f16"),
                         "cpu": log_probabilities(out, options.data, min(options.questions, 8), "--device=cpu")}
                line = {"model": model.stem, "weights": variant, "equal_bits": compiled == walked}
                good = line["equal_bits"]
                for name, values in found.items():
                    all_differences = differences(values, theirs)
                    mean = sum(all_differences) / len(all_differences)
                    line |= {f"{name}_mean": round(mean, 5), f"{name}_max": round(max(all_differences), 5)}
                    good &= mean <= LIMIT
                line["compiled_to_cpu_max"] = round(max(differences(found["cpu"], compiled)), 5)
                failed += not good
                print(json.dumps(line | {"ok": good}), flush=True)
                shutil.rmtree(out)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
