#!/usr/bin/env python3
"""Exports a GGUF model to ONNX with torch and checks that compressc makes the same of both files.

usage: check_onnx.py COMPRESSC MODEL.gguf FOLDER [--data TEXT] [--windows 16] [--threads 2]

transformers reads the GGUF file, torch exports it into FOLDER/onnx (weights as external data, operator set 23).
Prints one JSON line: the perplexity of both imports on the text, whether their weights are the same bytes, and for
each of a few prompts how far the log-probability of its tokens lies from onnxruntime's on the exported graph.
The status is 1 when the perplexities or a log-probability a token differ by more than 0.0001. Needs
tools/requirements-reference.txt.
"""
import argparse
import filecmp
import json
import shutil
import sys
from pathlib import Path

import measure
import numpy
import onnxruntime
import tokenizers
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "Inputs"))
import make_onnx  # noqa: E402

TOLERANCE = 1e-4  # in nats a token, and in perplexity
PROMPTS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5\n",
    "In 1905 a clerk in the patent office of Bern published four papers. Each of them changed physics; the third "
    "said that no signal travels faster than light, and the fourth that mass is energy.",
]


def export(gguf, compiled, folder):
    """The graph, with the configuration and tokenizer that the compiler reads from the GGUF file beside it."""
    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    program = make_onnx.export(make_onnx.Logits(model, ["input_ids"]).eval())
    program.save(folder / "model.onnx", external_data=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(compiled / "model" / name, folder)


def perplexity(out, data, options):
    report = out.with_suffix(".json")
    measure.run([out / "run", "perplexity", "--data", data, "--threads", options.threads, "--quiet", "--json", report,
                 *options.extra], options.threads)
    return json.loads(report.read_text())


def reference(session, ids):
    """The sum of the log-probabilities of every token but the first."""
    name = session.get_inputs()[0].name
    logits = session.run(None, {name: numpy.array([ids], numpy.int64)})[0][0].astype(numpy.float64)
    logits -= logits.max(-1, keepdims=True)
    logits -= numpy.log(numpy.exp(logits).sum(-1, keepdims=True))
    return sum(logits[i, ids[i + 1]] for i in range(len(ids) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="a text for perplexity")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    def compile_model(source, out):
        measure.run([options.compressc.resolve(), source, "-o", out, "--dtype=f32", "--quiet", "--threads",
                     options.threads], options.threads)

    from_gguf, from_onnx, onnx = folder / "from-gguf", folder / "from-onnx", folder / "onnx"
    compile_model(options.gguf.resolve(), from_gguf)
    export(options.gguf.resolve(), from_gguf, onnx)
    compile_model(onnx, from_onnx)
    result = {"same_weights": filecmp.cmp(from_gguf / "model" / "model.safetensors",
                                          from_onnx / "model" / "model.safetensors", shallow=False)}
    good = True
    if options.data:
        options.extra = ["--windows", options.windows]
        values = [perplexity(out, options.data.resolve(), options)["perplexity"] for out in (from_gguf, from_onnx)]
        result["perplexity"] = {"gguf": values[0], "onnx": values[1]}
        good = abs(values[0] - values[1]) < TOLERANCE

    tokenizer = tokenizers.Tokenizer.from_file(str(onnx / "tokenizer.json"))
    session = onnxruntime.InferenceSession(str(onnx / "model.onnx"), providers=["CPUExecutionProvider"])
    result["prompts"] = []
    for index, prompt in enumerate(PROMPTS):
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        text = folder / f"prompt-{index}.txt"
        text.write_text(prompt)
        options.extra = ["--context", len(ids), "--windows", 1]
        ours, theirs = -perplexity(from_onnx, text, options)["nll"], reference(session, ids)
        result["prompts"].append({"tokens": len(ids), "compressc": ours, "onnxruntime": theirs})
        good = good and abs(ours - theirs) < TOLERANCE * len(ids)
    print(json.dumps(result))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
