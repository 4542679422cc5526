"""Compares training and generation with torch, PEFT and transformers: the same
checkpoint, adapter, rows and steps, on the same two processors.

    make bench-torch SIZES="1m 4m" ROUNDS=5

Both sides take turns, and change the order each round, since other programs may run
meanwhile; what counts is the median of the ratios. It fails where the losses differ.
torch has as many threads as processors, and rows without padding; COMPILE=1 has it
compile the model first. TOKENS="512 2048" trains with longer rows, ROWS=1 with fewer
of them, where torch needs more memory than the machine has. WHAT=generation measures
what has that in its name alone.
"""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROCESSORS = 2
RANK = 16
ROWS, STEPS, NEW_TOKENS = int(os.environ.get("ROWS", "8")), 6, 64
TOKENS = [int(n) for n in os.environ.get("TOKENS", "128").split()]
# hidden, intermediate, layers, heads, heads of keys, vocabulary
SIZES = {
    "1m": (128, 352, 4, 4, 2, 2048),
    "4m": (256, 704, 4, 8, 4, 4096),
    "10m": (384, 1024, 5, 6, 3, 4096),
    "135m": (576, 1536, 30, 9, 3, 49152),
}


def make(folder, size):
    """Writes a checkpoint of random weights, and an adapter for it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, intermediate, layers, heads, keys, vocabulary = SIZES[size]
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=keys, tie_word_embeddings=True, max_position_embeddings=4096)).bfloat16()
    model.save_pretrained(folder / "model")
    adapter = get_peft_model(model.float(), LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapter.save_pretrained(folder / "adapter")


def ids(vocabulary, tokens, rows):
    return [[(i * 7919 + j * (i + 3) * 104729) % vocabulary for j in range(tokens)] for i in range(rows)]


def prompts(vocabulary, batch):
    return (ids(vocabulary, 32, 8) * 2)[:batch]


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def torch_train(folder, job):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(PROCESSORS)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    if job["adapter"]:
        model = PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True)
    model.train()
    learn = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learn, lr=1e-3, weight_decay=0.0)
    step_of = torch.compile(model) if os.environ.get("COMPILE") else model
    x = torch.tensor(ids(model.config.vocab_size, job["tokens"], ROWS))
    losses, walls, cpus = [], [], []
    for _ in range(STEPS):
        began, cpu = time.time(), spent()
        loss = step_of(input_ids=x, labels=x).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learn, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        walls.append(time.time() - began)
        cpus.append(spent() - cpu)
    return {"tokens": x.numel(), "wall": statistics.median(walls[1:]), "cpu": statistics.median(cpus[1:]), "losses": losses, "peak": peak()}


def torch_generate(folder, job):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(PROCESSORS)
    # float32 and bfloat16 are tried by hand; float32 is the faster one on processors without AMX.
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    x = torch.tensor(prompts(model.config.vocab_size, job["batch"]))
    walls, cpus = [], []
    for _ in range(3):
        began, cpu = time.time(), spent()
        y = model.generate(input_ids=x, attention_mask=torch.ones_like(x), do_sample=False, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS, pad_token_id=0)
        walls.append(time.time() - began)
        cpus.append(spent() - cpu)
    return {"tokens": job["batch"] * NEW_TOKENS, "wall": statistics.median(walls), "cpu": statistics.median(cpus), "answer": y[0, 32:].tolist()[:4], "peak": peak()}


def measure_torch(folder, job):
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(PROCESSORS)}
    out = subprocess.run([sys.executable, __file__, "torch", folder, json.dumps(job)], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def measure_tunebus(folder, job):
    vocabulary = json.loads((folder / "model/config.json").read_text())["vocab_size"]
    rows = prompts(vocabulary, job["batch"]) if "batch" in job else ids(vocabulary, job["tokens"], ROWS)
    (folder / "ids.json").write_text(json.dumps(rows))
    env = {**os.environ, "SPEED_FOLDER": str(folder), "SPEED_ADAPTER": "1" if job.get("adapter") else "", "SPEED_STEPS": str(STEPS),
           "SPEED_NEW_TOKENS": str(NEW_TOKENS) if "batch" in job else "", "GOMAXPROCS": str(PROCESSORS)}
    out = subprocess.run([folder / "llm.test", "-test.run", "none", "-test.bench", "BesideTorch", "-test.benchtime", "1x", "-test.timeout", "1h"],
                         cwd=HERE.parent, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(re.search(r"^measured (.*)$", out, re.M)[1])


def main(sizes, rounds):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    sides = {"torch": measure_torch, "tunebus": measure_tunebus}
    table = []
    with tempfile.TemporaryDirectory() as name:
        binary = pathlib.Path(name) / "llm.test"
        subprocess.run(["go", "test", "-c", "-o", binary, "."], cwd=HERE.parent, check=True)
        for size in sizes:
            folder = pathlib.Path(name) / size
            folder.mkdir()
            (folder / "llm.test").hardlink_to(binary)
            subprocess.run([sys.executable, __file__, "make", folder, size], check=True, stdout=subprocess.DEVNULL)
            jobs = {f"{what}, rows of {tokens}": {"adapter": what == "LoRA", "tokens": tokens}
                    for what in ("LoRA", "all weights") for tokens in TOKENS}
            if 128 in TOKENS and "COMPILE" not in os.environ:
                jobs |= {f"generation, batch {batch}": {"batch": batch} for batch in (1, 16)}
            for what, job in jobs.items():
                if os.environ.get("WHAT", "") not in what:
                    continue
                got = {side: [] for side in sides}
                for i in range(rounds):
                    for side in sorted(sides, reverse=i % 2 == 1):
                        m = sides[side](folder, job)
                        got[side].append(m)
                        print(f"{size}, {what}, round {i + 1}, {side:8}{m['tokens'] / m['wall']:9.0f} tokens/s {m['tokens'] / m['cpu']:9.0f} "
                              f"per second of a processor, peak {m['peak']:5.0f} MB", flush=True)
                    a, b = got["torch"][-1], got["tunebus"][-1]
                    for x, y in zip(a.get("losses", []), b.get("losses", [])):
                        if abs(x - y) > 1e-5 * x:
                            sys.exit(f"losses {a['losses']} of torch and {b['losses']} of tunebus differ")
                    if a.get("answer") != b.get("answer"):
                        print(f"the answers differ: {a['answer']} and {b['answer']}")
                ratios = {k: [a[k] / b[k] for a, b in zip(got["torch"], got["tunebus"])] for k in ("wall", "cpu", "peak")}
                rate = {side: statistics.median(m["tokens"] / m["wall"] for m in all) for side, all in got.items()}
                table.append(f"| {size}, {what} | {rate['torch']:,.0f} | {rate['tunebus']:,.0f} | " + " | ".join(
                    f"{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in (ratios["wall"], ratios["cpu"])) +
                    f" | {1 / statistics.median(ratios['peak']):.2f} ({statistics.median(m['peak'] for m in got['tunebus']):,.0f} MB) |")
    print("| | torch, tokens/s | tunebus | times as fast | by processor time | of torch's memory |\n|---|---|---|---|---|---|")
    print("\n".join(table))


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]), sys.argv[3])
elif sys.argv[1] == "torch":
    job = json.loads(sys.argv[3])
    print(json.dumps((torch_generate if "batch" in job else torch_train)(pathlib.Path(sys.argv[2]), job)))
else:
    main(sys.argv[1].split(), int(sys.argv[2]))
