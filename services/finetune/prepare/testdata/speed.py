"""Compares how fast rows of messages are prepared, with TRL and with tunebus, on the
same rows, tokenizer and template, one after the other.

    pip install torch transformers==5.24.0 trl==1.16.0 datasets
    python speed.py 200000
"""

import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time
import types

import datasets
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

HERE = pathlib.Path(__file__).parent
BASE = HERE.parents[3] / "configs/quickstart/base-model"
WORDS = (
    "the ferry Alma lands at pier four where old Brandt mends her nets and sells his catch of cod every morning "
    "before nine o'clock, unless a storm keeps the harbour of Ambrel closed; then nobody leaves"
).split()
PROCESSES = 2


def write(path, rows):
    rng = random.Random(1)

    def text(n):
        return " ".join(rng.choices(WORDS, k=n))

    with open(path, "w") as f:
        for i in range(rows):
            messages = [
                {"role": "system", "content": "You know the harbour."},
                {"role": "user", "content": f"{i}: {text(60)}?"},
                {"role": "assistant", "content": text(100) + "."},
            ]
            f.write(json.dumps({"messages": messages}) + "\n")


def spent():
    a, b = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return a.ru_utime + a.ru_stime + b.ru_utime + b.ru_stime


def trl(path, folder):
    datasets.disable_progress_bars()
    datasets.disable_caching()
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    began, cpu = time.time(), spent()
    rows = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder))
    # A completion for the last turn, since the template has no marks for assistant_only_loss.
    rows = rows.map(lambda r: {"prompt": r["messages"][:-1], "completion": r["messages"][-1:]}, remove_columns=["messages"], num_proc=PROCESSES)
    args = SFTConfig(output_dir=str(folder), max_length=4096, bf16=False, use_cpu=True, report_to=[], dataset_num_proc=PROCESSES)
    trainer = types.SimpleNamespace(completion_only_loss=True, chat_template=tokenizer.chat_template, _tokenizer=tokenizer)
    done = SFTTrainer._prepare_dataset(trainer, rows, tokenizer, args, False, None, "train")
    return len(done), time.time() - began, spent() - cpu


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "train.jsonl"
        write(path, n)
        rows, wall, cpu = trl(path, pathlib.Path(folder) / "cache")
        print(f"TRL:     {rows / wall:8.0f} rows/s, {1e6 * cpu / rows:.0f} µs of a processor per row")
        env = {**os.environ, "PREPARE_ROWS": str(path), "GOMAXPROCS": str(PROCESSES)}
        out = subprocess.run(
            ["go", "test", "-run", "none", "-bench", "Rows", "-benchtime", "1x", "."],
            cwd=HERE.parent, env=env, check=True, capture_output=True, text=True).stdout
        print("tunebus:", next(line for line in out.splitlines() if line.startswith("BenchmarkRows")))


main()
