"""A trainer for tunebus that has Axolotl train.

It promises: LoRA, 4 and 8 bits and full fine-tuning, the loss of each step, and checkpoints
from which a later attempt goes on, also one at a stop: Axolotl saves one when it finds a
certain file. (SIGINT would have it save the weights alone.) It cannot promise the total
number of steps before the end.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

from trainer import Message, Stop, Worker
from wrapper import Wrapped, dataset, is_whole, main, modules, numbers, step_of

# The file that Axolotl looks for, in an earlier and in a later version.
TRIGGERS = (".axolotl_save_checkpoint", "axolotl_checkpoint.save")

DESCRIPTION: Message = {
    "protocol": 1,
    "name": "axolotl",
    "rows": "messages",
    "methods": ["lora", "qlora", "full"],
    "quantisation": ["4bit", "8bit"],
    "keys": [
        "max_sequence_length", "full_finetuning", "load_in_4bit", "load_in_8bit", "rank", "lora_alpha", "lora_dropout", "target_modules",
        "packing", "device_train_batch_size", "grad_accumulation", "epochs", "learning_rate", "warmup_steps", "weight_decay", "lr_scheduler_type",
        "optimizer", "seed", "save_steps", "max_grad_norm",
    ],
}


def config(job: Message, data: Path, output: Path) -> Message:
    """The configuration, which is YAML as JSON is."""
    keys = job["keys"]
    out: Message = {
        "base_model": job["model"]["folder"], "output_dir": str(output), "sequence_len": keys["max_sequence_length"],
        "datasets": [{"path": str(data / "rows.jsonl"), "ds_type": "json", "type": "chat_template"}], "shuffle_merged_datasets": False,
        "micro_batch_size": keys["device_train_batch_size"], "gradient_accumulation_steps": keys["grad_accumulation"],
        "num_epochs": keys["epochs"], "learning_rate": keys["learning_rate"], "warmup_steps": keys["warmup_steps"],
        "weight_decay": keys["weight_decay"], "lr_scheduler": keys["lr_scheduler_type"], "optimizer": keys["optimizer"],
        "max_grad_norm": keys["max_grad_norm"], "seed": job["seed"], "sample_packing": keys["packing"], "logging_steps": 1,
        "save_strategy": "steps", "save_steps": keys["save_steps"], "load_in_4bit": keys["load_in_4bit"], "load_in_8bit": keys["load_in_8bit"],
        "dynamic_checkpoint": {"enabled": True, "check_interval": 1},
    }
    if not keys["full_finetuning"]:
        out |= {
            "adapter": "qlora" if keys["load_in_4bit"] else "lora", "lora_r": keys["rank"], "lora_alpha": keys["lora_alpha"],
            "lora_dropout": keys["lora_dropout"],
        }
        out |= {"lora_target_modules": modules(job)} if modules(job) else {"lora_target_linear": True}
    if job["resume"]:
        out["resume_from_checkpoint"] = job["resume"]["folder"]
    return out


def unknown(config: Message) -> list[str]:
    """The keys that the installed Axolotl does not have, by the JSON Schema that it prints. It
    would refuse them after it has loaded the model, or ignore them."""
    printed = subprocess.run(["axolotl", "config-schema"], capture_output=True, text=True, check=True).stdout
    schema = json.loads(printed[printed.index("{") :])
    return [key for key in config if key not in schema["properties"]]


def run(job: Message, worker: Worker, stop: Stop) -> int:
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    output = Path(job["output"]["checkpoints"], "axolotl")
    data = output.parent.parent / "data"
    data.mkdir()
    output.mkdir()
    dataset(job, data / "rows.jsonl")
    asked = config(job, data, output)
    if lacking := unknown(asked):
        text = f"this Axolotl does not have {', '.join(lacking)}: change config() in axolotl.py, or install another version"
        worker.finish("error", **{"class": "bad_key"}, text=text)
        return 1
    (data / "job.yaml").write_text(json.dumps(asked))
    wrapped = Wrapped(job, worker, output)
    step = job["resume"]["step"] if job["resume"] else 0

    def each_line(line: str) -> None:
        """The logs of a step are a Python dictionary, whose values may be texts."""
        nonlocal step
        if not line.startswith("{'loss'"):
            return
        step += 1
        values = ast.literal_eval(line.strip())
        wrapped.steps.append((step, 0, numbers(values, {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm", "epoch": "epoch"})))

    asked_at = -1

    def saved() -> bool:
        """Ask for a checkpoint, and say whether it is there."""
        nonlocal asked_at
        if asked_at < 0:
            asked_at = step
            for name in TRIGGERS:
                (output / name).touch()
        return any(step_of(c) >= asked_at and is_whole(c) for c in output.glob("checkpoint-*"))

    wrapped.start(["axolotl", "train", str(data / "job.yaml")], each_line)
    return wrapped.follow(stop, saved)


if __name__ == "__main__":
    sys.exit(main(DESCRIPTION, run))
