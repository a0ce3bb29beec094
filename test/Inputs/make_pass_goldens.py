#!/usr/bin/env python3
"""Makes goldens/: what transformers and peft say of a model after a structural pass, worked out on other software.

  pruned.json   `qwen2-bf16` without the layer of least block influence on the calibration tokens, and the influences
  factorised.json  the same model, the head replaced by its product of rank 16 by SVD-LLM's formula, and the error
  lora.json     `qwen2-bf16` with the adapter adapters/lora merged (also written here), ranks and alphas by pattern:
                logits of the last position of three sequences
  rslora.json   the same of adapters/rslora, which is rank-stabilised
  pruned-lora.json  lora.json's model without the layer of least influence, of the base model and of the merged one
  last-pruned.json  the same of adapters/last, which makes the last layer more influential than another; influences

usage: make_pass_goldens.py (needs tools/requirements-reference.txt)
"""
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
SAMPLES, LENGTH = 8, 64  # of calibration
CONTEXT, WINDOWS = 128, 8  # of perplexity
LENGTHS = 5, 33, 97  # of the sequences whose last logits are told


def load(name):
    return AutoModelForCausalLM.from_pretrained(HERE / "models" / name, dtype=torch.float32).eval()


def tokenizer(name):
    return Tokenizer.from_file(str(HERE / "models" / name / "tokenizer.json"))


def calibration_tokens(name):
    ids = []
    for line in (HERE / "text" / "calibration.jsonl").read_text().splitlines():
        ids += tokenizer(name).encode(json.loads(line)["text"] + "\n\n", add_special_tokens=False).ids
        if len(ids) >= SAMPLES * LENGTH:
            break
    return torch.tensor(ids[: SAMPLES * LENGTH]).reshape(SAMPLES, LENGTH)


def evaluation_tokens(name):
    text = (HERE / "text" / "evaluation.txt").read_text()
    return tokenizer(name).encode(text, add_special_tokens=False).ids


@torch.no_grad()
def mean_loss(model, name):
    windows = torch.tensor(evaluation_tokens(name)[: CONTEXT * WINDOWS]).reshape(WINDOWS, CONTEXT)
    losses = [torch.nn.functional.cross_entropy(model(w[None]).logits[0, :-1].double(), w[1:], reduction="mean")
              for w in windows]
    return round(float(torch.stack(losses).mean()), 6)


@torch.no_grad()
def last_logits(model, name):
    ids = evaluation_tokens(name)
    sequences = [ids[sum(LENGTHS[:i]):][:length] for i, length in enumerate(LENGTHS)]
    return [{"tokens": tokens, "logits": [round(x, 6) for x in model(torch.tensor([tokens])).logits[0, -1].tolist()]}
            for tokens in sequences]


def write(name, **golden):
    (HERE / "goldens").mkdir(exist_ok=True)
    (HERE / "goldens" / f"{name}.json").write_text(json.dumps(golden) + "\n")
    print(name, str(golden)[:200])


def perplexity(loss):
    return {"perplexity": {"mean_nll": loss}}


@torch.no_grad()
def influences(model, name):
    """Of each layer, 1 - cos(input, output) in the mean over the calibration tokens."""
    layers = model.model.layers
    sums = [0.0] * len(layers)

    def hook(index):
        def measure(module, inputs, output):
            x, y = inputs[0].double(), (output[0] if isinstance(output, tuple) else output).double()
            sums[index] += float((1 - torch.nn.functional.cosine_similarity(x, y, dim=-1)).sum())
        return measure

    hooks = [layer.register_forward_hook(hook(index)) for index, layer in enumerate(layers)]
    model(calibration_tokens(name))
    for handle in hooks:
        handle.remove()
    return [s / (SAMPLES * LENGTH) for s in sums]


def drop(model, dropped):
    kept = torch.nn.ModuleList(layer for index, layer in enumerate(model.model.layers) if index != dropped)
    for index, layer in enumerate(kept):
        layer.self_attn.layer_idx = index
    model.model.layers = kept
    model.config.num_hidden_layers = len(kept)


def without_the_least(model, name):
    """Drops a layer; what `prune-layers` reports."""
    influence = influences(model, name)
    least = influence.index(min(influence))
    drop(model, least)
    return {"influence": [round(i, 6) for i in influence], "dropped": least}


def pruned():
    name = "qwen2-bf16"
    model = load(name)
    decision = without_the_least(model, name)
    write("pruned", tasks=perplexity(mean_loss(model, name)), **decision)


@torch.no_grad()
def factorised():
    name, rank = "qwen2-bf16", 16
    model = load(name)
    head = model.lm_head
    model.config.tie_word_embeddings = False
    inputs = []
    hook = head.register_forward_pre_hook(lambda module, args: inputs.append(args[0].double().flatten(0, -2).numpy()))
    model(calibration_tokens(name))
    hook.remove()
    (x,) = inputs
    gram = x.T @ x
    gram += 1e-6 * np.diag(gram).mean() * np.eye(len(gram))
    whitener = np.linalg.cholesky(gram)
    weight = head.weight.double().numpy()
    u, sigma, vt = np.linalg.svd(weight @ whitener, full_matrices=False)
    product = (u[:, :rank] * sigma[:rank]) @ np.linalg.solve(whitener.T, vt[:rank].T).T
    head.weight = torch.nn.Parameter(torch.tensor(product, dtype=torch.float32))
    error = float((sigma[rank:] ** 2).sum() / (sigma**2).sum())
    write("factorised", tasks=perplexity(mean_loss(model, name)), rank=rank, error=error)


@torch.no_grad()
def adapted(name, **config):
    """A random update, saved as a trained one would be."""
    base = "qwen2-bf16"
    torch.manual_seed(11)
    model = get_peft_model(load(base), LoraConfig(base_model_name_or_path=base, **config))
    for parameter, value in model.named_parameters():
        if "lora_" in parameter:
            value.copy_(torch.randn_like(value) * 0.1)
    directory = HERE / "adapters" / name
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        directory.mkdir(parents=True, exist_ok=True)
        settings = json.loads((Path(saved) / "adapter_config.json").read_text())
        settings["base_model_name_or_path"] = base
        settings["target_modules"].sort()
        (directory / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
        weights = (Path(saved) / "adapter_model.safetensors").read_bytes()
        (directory / "adapter_model.safetensors").write_bytes(weights)


def merged(name):
    return PeftModel.from_pretrained(load("qwen2-bf16"), HERE / "adapters" / name).merge_and_unload()


def adapted_and_pruned():
    base = "qwen2-bf16"
    model = merged("lora")
    decision = without_the_least(model, base)
    assert decision["dropped"] == without_the_least(load(base), base)["dropped"]
    write("pruned-lora", sequences=last_logits(model, base))
    model = merged("last")
    decision = without_the_least(model, base)
    assert decision["dropped"] != without_the_least(load(base), base)["dropped"]
    write("last-pruned", sequences=last_logits(model, base), **decision)


if __name__ == "__main__":
    pruned()
    factorised()
    adapted("lora", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"],
            rank_pattern={"v_proj": 2}, alpha_pattern={"layers.1.self_attn.v_proj": 3})
    adapted("rslora", r=4, lora_alpha=2, use_rslora=True, target_modules=["k_proj", "o_proj", "gate_proj", "up_proj"])
    for name in "lora", "rslora":
        write(name, sequences=last_logits(merged(name), "qwen2-bf16"))
    adapted("last", r=2, lora_alpha=32, target_modules=["o_proj", "down_proj"], layers_to_transform=[2])
    adapted_and_pruned()
