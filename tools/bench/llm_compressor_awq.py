#!/usr/bin/env python3
"""The peer of bench_compress.py: llm-compressor's AWQ, asymmetric, lm_head and embedding kept, on the processor.

usage: llm_compressor_awq.py MODEL OUT --calibration FILE [options]

MODEL is a Hugging Face directory. Runs in a Python that has llm-compressor (measured with 0.14.0.1), which needs
versions of torch and compressed-tensors that differ from those of tools/requirements-reference.txt. The calibration
tokens are the ones that compressc cuts: each text and two newlines tokenised alone, joined, in samples of one
length. Prints one JSON line: versions, and seconds of the compression alone, without imports, loading and saving.
"""
import argparse
import gzip
import json
import time
from pathlib import Path


def calibration_tokens(path, tokenizer, samples, length):
    ids = []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as rows:
        for row in rows:
            ids += tokenizer(json.loads(row)["text"] + "\n\n", add_special_tokens=False).input_ids
            if len(ids) >= samples * length:
                return [ids[start * length:(start + 1) * length] for start in range(samples)]
    raise SystemExit(f"{path} has {len(ids)} tokens, {samples * length} are needed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, help="JSON lines with `text`, gzipped or not")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--grid", type=int, default=20, help="points of the search (llm-compressor's default: 20)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    import llmcompressor
    import torch
    import transformers
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.cuda.is_available():  # 0.14.0.1 pins memory, which needs a GPU's driver
        IntermediatesCache.pin_memory = lambda *arguments, **keywords: None
    torch.set_num_threads(options.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    tokens = calibration_tokens(options.calibration, tokenizer, options.samples, options.sequence_length)
    data = Dataset.from_list([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in tokens])
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(
        num_bits=options.bits, type="int", symmetric=False, strategy="group", group_size=options.group_size))
    start = time.perf_counter()
    oneshot(model=model, dataset=data, num_calibration_samples=options.samples,
            max_seq_length=options.sequence_length, shuffle_calibration_samples=False,
            recipe=[AWQModifier(n_grid=options.grid),
                    QuantizationModifier(config_groups={"group_0": scheme}, ignore=["lm_head"])])
    seconds = time.perf_counter() - start
    model.save_pretrained(options.out, save_compressed=True)
    tokenizer.save_pretrained(options.out)
    print(json.dumps({"llm_compressor": llmcompressor.__version__, "torch": torch.__version__,
                      "transformers": transformers.__version__, "grid": options.grid,
                      "compression_seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
