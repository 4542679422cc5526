"""Compares how fast rows of messages are prepared for training, with datasets and TRL
and with tunebus: the same file, tokenizer and chat template, on the same two processors.

    make bench-data ROWS=200000 ROUNDS=1

Both read the file, render it, encode it, mark the answers, and write the tokens to
disk. They take turns, and change the order each round, since other programs may run
meanwhile. It fails unless both count the same tokens.
"""

import json
import os
import pathlib
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
QUICKSTART = HERE.parents[3] / "configs/quickstart/base-model"
WORDS = (
    "the ferry Alma lands at pier four where old Brandt mends her nets and sells his catch of cod every morning "
    "before nine o'clock, unless a storm keeps the harbour of Ambrel closed; then nobody leaves"
).split()
PROCESSORS = 2
# The template of the quickstart, with the marks that TRL needs for assistant_only_loss.
# That is its faster way: with a prompt and a completion it renders and encodes twice.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>\n{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_rows(path, rows):
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


def write_model(folder):
    shutil.copytree(QUICKSTART, folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["chat_template"] = TEMPLATE
    path.write_text(json.dumps(config))


def spent():
    a, b = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return a.ru_utime + a.ru_stime + b.ru_utime + b.ru_stime


def trl(folder, cache):
    """Runs in a process of its own, and measures without its imports."""
    import types

    import datasets
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    began, cpu = time.time(), spent()
    rows = datasets.load_dataset("json", data_files=str(folder / "train.jsonl"), split="train", cache_dir=cache)
    args = SFTConfig(output_dir=cache, max_length=4096, bf16=False, use_cpu=True, report_to=[], dataset_num_proc=PROCESSORS, assistant_only_loss=True)
    trainer = types.SimpleNamespace(completion_only_loss=False, chat_template=tokenizer.chat_template, _tokenizer=tokenizer)
    done = SFTTrainer._prepare_dataset(trainer, rows, tokenizer, args, False, None, "train")
    wall, cpu = time.time() - began, spent() - cpu
    tokens = counted = 0
    for batch in done.with_format("arrow").iter(1000):
        labels = batch["labels"].combine_chunks().flatten().to_numpy()
        tokens, counted = tokens + len(labels), counted + int((labels != -100).sum())
    print(json.dumps({"rows": len(done), "wall": wall, "cpu": cpu, "tokens": tokens, "counted": counted}))


def measure_trl(folder):
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": cache, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
        out = subprocess.run([sys.executable, __file__, "trl", folder, cache], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def measure_tunebus(folder):
    env = {**os.environ, "PREPARE_ROWS": str(folder / "train.jsonl"), "PREPARE_MODEL": str(folder / "model"), "TMPDIR": str(folder)}
    out = subprocess.run(
        [folder / "prepare.test", "-test.run", "none", "-test.bench", "Rows", "-test.benchtime", "1x", "-test.timeout", "1h"],
        cwd=HERE.parent, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    line = next(line for line in out.splitlines() if line.startswith("BenchmarkRows"))
    got = {name: float(value) for value, name in re.findall(r"([\d.e+]+) (\S+)", line)}
    rows = round(got["rows"])
    return {"rows": rows, "wall": rows / got["rows/s"], "cpu": got["µs-processor/row"] * rows / 1e6, "tokens": round(got["tokens"]), "counted": round(got["counted"])}


def main(rows, rounds):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    sides = {"TRL": measure_trl, "tunebus": measure_tunebus}
    ratios = {"wall": [], "cpu": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_rows(folder / "train.jsonl", rows)
        write_model(folder / "model")
        subprocess.run(["go", "test", "-c", "-o", folder / "prepare.test", "."], cwd=HERE.parent, check=True)
        for i in range(rounds):
            got = {}
            for side in sorted(sides, reverse=i % 2 == 1):
                m = got[side] = sides[side](folder)
                print(f"round {i + 1}, {side:8}{m['rows']:8} rows {m['wall']:8.1f} s {m['rows'] / m['wall']:8.0f} rows/s "
                      f"{1e6 * m['cpu'] / m['rows']:6.0f} µs of a processor per row, {m['tokens']} tokens, {m['counted']} counted", flush=True)
            if any(got["TRL"][k] != got["tunebus"][k] for k in ("rows", "tokens", "counted")):
                sys.exit("they do not count the same tokens")
            for k, all in ratios.items():
                all.append(got["TRL"][k] / got["tunebus"][k])
    print("times TRL's speed, median of the rounds: " + ", ".join(
        f"{statistics.median(all):.1f} by {what} ({min(all):.1f} to {max(all):.1f})"
        for what, all in (("the clock", ratios["wall"]), ("processor time", ratios["cpu"]))))
    if statistics.median(ratios["wall"]) < 1:
        sys.exit("tunebus is slower than TRL")


if sys.argv[1] == "trl":
    trl(pathlib.Path(sys.argv[2]), sys.argv[3])
else:
    main(int(sys.argv[1]), int(sys.argv[2]))
