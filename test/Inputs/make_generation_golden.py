#!/usr/bin/env python3
"""Makes models/generation.golden.json: what transformers' generate says.

"greedy": tiny models with prompts, the tokens that follow greedily, and why they end. Each prompt is continued
alone. "sampling": logits, sampling options and the probabilities that transformers draws from.

usage: make_generation_golden.py (needs tools/requirements-reference.txt)
"""
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

HERE = Path(__file__).resolve().parent
TOKENS = 24
PROMPTS = [
    "The mill by the river",
    "Answer: A\n\nAnswer:",
    "x",
    "She wrote the letter in the evening, read it again in the morning, and then burned it. In the end the whole "
    "town came to see what the baker and the carpenter had built together.",
    "A number is even if",
    "naïve Ångström — 東京 🙂",
    "Water that is heated in an open pan",
]
# A different implementation may differ by rounding: no choice may be closer than this.
MARGIN = 1e-3


@torch.no_grad()
def greedy(name):
    directory = HERE / "models" / name
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    results, closest = [], []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS,
                             output_logits=True, return_dict_in_generate=True,
                             pad_token_id=model.config.eos_token_id)
        margins = [float(top[0, 0] - top[0, 1]) for top in (step.topk(2).values for step in out.logits)]
        closest.append(min(margins))
        if closest[-1] < MARGIN:
            print(f"{name}: {prompt[:20]!r} left out: the two best logits differ by {closest[-1]:.1e} only")
            continue
        tokens = out.sequences[0, ids.shape[1]:].tolist()
        ended = tokens[-1] == model.config.eos_token_id
        results.append({"prompt": prompt, "tokens": tokens[:-1] if ended else tokens,
                        "finish": "end token" if ended else "length"})
    if len(results) < 4:
        sys.exit(f"{name}: too few prompts are left")
    print(f"{name}: {len(results)} prompts, {sum(r['finish'] == 'end token' for r in results)} end")
    return {"model": name, "max_tokens": TOKENS, "results": results}


def sampling():
    generator = torch.Generator().manual_seed(5)
    cases = []
    for temperature, top_k, top_p in [(1, 0, 1), (0.7, 0, 1), (1.5, 6, 1), (1, 1, 1), (1, 0, 0.5), (0.8, 0, 0.9),
                                      (1.3, 10, 0.8), (0.6, 5, 0.95), (2, 40, 0.3), (1, 0, 0.01)]:
        logits = (2.5 * torch.randn(24, generator=generator)).tolist()
        logits[7] = logits[3]  # equal ones
        logits[11] = float("-inf")
        scores = torch.tensor([logits])
        if temperature != 1:
            scores = TemperatureLogitsWarper(float(temperature))(None, scores)
        if top_k:
            scores = TopKLogitsWarper(top_k)(None, scores)
        if top_p < 1:
            scores = TopPLogitsWarper(top_p)(None, scores)
        logits[11] = None  # JSON has no infinity
        cases.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "logits": logits,
                      "probabilities": scores.double().softmax(-1)[0].tolist()})
    return cases


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    golden = {"greedy": [greedy(name) for name in ("llama", "qwen2", "qwen3")], "sampling": sampling()}
    path = HERE / "models" / "generation.golden.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
