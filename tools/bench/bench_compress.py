#!/usr/bin/env python3
"""Times compressc with a pipeline and measures what it did to perplexity.

usage: bench_compress.py COMPRESSC MODEL --calibration FILE [--text FILE] [options]

Compresses MODEL into a fresh directory with an empty store, then runs the result's perplexity on --text. With
--target=cuda the GPU calibrates and computes the weights, and its memory is given; a model of Qwen3-8B's shape
comes from make_random_model.py. With --peer, transformers in fp32 reads the written checkpoint and measures the same text, so that the figure
does not rest on our runtime alone. With --llm-compressor PYTHON --hf-model DIR, llm-compressor's AWQ compresses the
same model (as a Hugging Face directory) on the same calibration tokens, and the ratios of the times are given: of
wall time, and of processor time, which other jobs on the machine disturb less. Prints one JSON line.
"""
import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import measure

REFERENCE = Path(__file__).resolve().parents[2] / "test" / "EndToEnd" / "reference.py"
LLM_COMPRESSOR = Path(__file__).resolve().parent / "llm_compressor_awq.py"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--passes", default="awq{bits=4 group-size=64}")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--text", type=Path, help="what perplexity is measured on; default: it is not")
    parser.add_argument("--target", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep the result there; default: a temporary directory")
    parser.add_argument("--peer", action="store_true", help="perplexity by transformers too")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with transformers")
    parser.add_argument("--llm-compressor", metavar="PYTHON", help="a Python with llm-compressor: its time too")
    parser.add_argument("--hf-model", type=Path, help="MODEL as a Hugging Face directory, for llm-compressor")
    parser.add_argument("--bits", type=int, default=4, help="of llm-compressor's AWQ")
    parser.add_argument("--group-size", type=int, default=64, help="of llm-compressor's AWQ")
    parser.add_argument("--grid", type=int, default=20, help="points of llm-compressor's search")
    options = parser.parse_args()
    if options.llm_compressor and not options.hf_model:
        parser.error("--llm-compressor needs --hf-model DIR")
    if options.peer and not options.text:
        parser.error("--peer needs --text FILE")

    with tempfile.TemporaryDirectory() as directory:
        out = options.out or Path(directory) / "out"
        for stale in (out, Path(f"{out}.store")):  # a store would make the second run a resumed one
            shutil.rmtree(stale, ignore_errors=True)
        compression = measure.run(
            [options.compressc.resolve(), options.model, "-o", out, f"--passes={options.passes}",
             "--calibration", options.calibration, "--samples", options.samples,
             "--sequence-length", options.sequence_length, "--threads", options.threads,
             f"--target={options.target}"], options.threads, keep_errors=True)
        print(compression.errors, file=sys.stderr)
        files = list((out / "model").glob("*.safetensors"))
        line = {"benchmark": "compress", "model": options.model.name, "passes": options.passes,
                "samples": options.samples, "sequence_length": options.sequence_length,
                "threads": options.threads, "seconds": round(compression.seconds, 2),
                "cpu_seconds": round(compression.cpu_seconds, 2),
                "peak_rss_mb": compression.peak_rss_mb,
                "bytes": sum(path.stat().st_size for path in files)}
        if phases := re.search(r"\(calibration ([\d.]+) s, weights ([\d.]+) s, files ([\d.]+) s\)", compression.errors):
            line |= dict(zip(("calibration_seconds", "weight_seconds", "file_seconds"), map(float, phases.groups())))
        if device := re.search(r"^(.*) computed (\d+) of (\d+) slices, ([\d.]+) GiB", compression.errors, re.MULTILINE):
            line |= {"device": device[1], "slices_on_device": int(device[2]), "slices": int(device[3]),
                     "gpu_gib": float(device[4])}
        if options.text:
            result = Path(directory) / "perplexity.json"
            evaluation = measure.run(
                [out.resolve() / "run", "perplexity", "--data", options.text, "--windows", options.windows,
                 "--context", options.context, "--threads", options.threads, "--quiet", "--json", result],
                options.threads)
            report = json.loads(result.read_text())
            line |= {"perplexity": report["perplexity"], "windows": options.windows,
                     "context": options.context, "perplexity_wall_seconds": round(evaluation.seconds, 2)}
        if options.peer:
            peer = measure.run(
                [options.peer_python, REFERENCE, out / "model", "--perplexity", options.text,
                 "--windows", options.windows, "--context", options.context,
                 "--threads", options.threads], options.threads)
            their = json.loads(peer.output)
            line |= {"peer": f"transformers {their['transformers']} fp32, {their['loader']}",
                     "peer_perplexity": their["perplexity"]["perplexity"],
                     "peer_perplexity_wall_seconds": round(peer.seconds, 2)}
        if options.llm_compressor:
            peer = measure.run(
                [options.llm_compressor, LLM_COMPRESSOR, options.hf_model, Path(directory) / "llm-compressor",
                 "--calibration", options.calibration, "--samples", options.samples,
                 "--sequence-length", options.sequence_length, "--bits", options.bits,
                 "--group-size", options.group_size, "--grid", options.grid,
                 "--threads", options.threads], options.threads)
            their = json.loads(peer.output.splitlines()[-1])
            line |= {"llm_compressor": their, "llm_compressor_seconds": round(peer.seconds, 2),
                     "llm_compressor_cpu_seconds": round(peer.cpu_seconds, 2),
                     "llm_compressor_peak_rss_mb": peer.peak_rss_mb,
                     # Imports, loading and saving are in our time but not in theirs.
                     "times_faster": round(their["compression_seconds"] / compression.seconds, 2),
                     "times_faster_all_in": round(peer.seconds / compression.seconds, 2),
                     "times_faster_cpu": round(peer.cpu_seconds / compression.cpu_seconds, 2)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
