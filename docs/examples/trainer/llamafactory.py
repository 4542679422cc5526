"""A trainer for tunebus that has LLaMA-Factory train.

It promises: LoRA and full fine-tuning without quantisation, the loss of each step, and
checkpoints from which a later attempt goes on. It cannot promise to save at a stop: LLaMA-Factory dies of SIGTERM
without a checkpoint, so that the steps since the last one are made again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trainer import Message, Stop, Worker
from wrapper import Step, Wrapped, dataset, main, modules, numbers

DESCRIPTION: Message = {
    "protocol": 1,
    "name": "llamafactory",
    "rows": "messages",
    "methods": ["lora", "full"],
    "quantisation": [],
    "keys": [
        "max_sequence_length", "full_finetuning", "rank", "lora_alpha", "lora_dropout", "target_modules", "device_train_batch_size", "grad_accumulation",
        "epochs", "learning_rate", "warmup_steps", "weight_decay", "lr_scheduler_type", "optimizer", "seed", "save_steps", "max_grad_norm",
    ],
}


def config(job: Message, data: Path, output: Path) -> Message:
    """The configuration, which is YAML as JSON is."""
    keys = job["keys"]
    out: Message = {
        "stage": "sft", "do_train": True, "model_name_or_path": job["model"]["folder"], "dataset_dir": str(data), "dataset": "rows",
        "template": "auto", "cutoff_len": keys["max_sequence_length"], "finetuning_type": "full" if keys["full_finetuning"] else "lora",
        "output_dir": str(output), "overwrite_output_dir": not job["resume"], "logging_steps": 1, "save_steps": keys["save_steps"],
        "per_device_train_batch_size": keys["device_train_batch_size"], "gradient_accumulation_steps": keys["grad_accumulation"],
        "num_train_epochs": keys["epochs"], "learning_rate": keys["learning_rate"], "warmup_steps": keys["warmup_steps"],
        "weight_decay": keys["weight_decay"], "lr_scheduler_type": keys["lr_scheduler_type"], "optim": keys["optimizer"],
        "max_grad_norm": keys["max_grad_norm"], "seed": job["seed"], "data_seed": job["seed"], "report_to": "none",
    }
    if not keys["full_finetuning"]:
        out |= {"lora_rank": keys["rank"], "lora_alpha": int(keys["lora_alpha"]), "lora_dropout": keys["lora_dropout"]}
        out["lora_target"] = ",".join(modules(job)) or "all"
    if job["resume"]:
        out["resume_from_checkpoint"] = job["resume"]["folder"]
    return out


def run(job: Message, worker: Worker, stop: Stop) -> int:
    output = Path(job["output"]["checkpoints"], "llamafactory")
    data = output.parent.parent / "data"
    data.mkdir()
    output.mkdir()
    dataset(job, data / "rows.jsonl")
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    info = {"rows": {"file_name": "rows.jsonl", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}}
    (data / "dataset_info.json").write_text(json.dumps(info))
    (data / "job.yaml").write_text(json.dumps(config(job, data, output)))
    wrapped = Wrapped(job, worker, output)
    log, at = output / "trainer_log.jsonl", 0

    def look(_: str = "") -> None:
        """Read what was written to the log of the steps."""
        nonlocal at
        if not log.exists():
            return
        with log.open() as lines:
            lines.seek(at)
            for line in iter(lines.readline, ""):
                if not line.endswith("\n"):
                    break  # it is being written
                at = lines.tell()
                entry = json.loads(line)
                points = numbers(entry, {"loss": "loss", "lr": "learning_rate", "epoch": "epoch"})
                step: Step = (entry["current_steps"], entry["total_steps"], points)
                wrapped.steps.append(step)

    tell = wrapped.tell

    def tell_of_log() -> None:
        look()
        tell()

    wrapped.tell = tell_of_log  # type: ignore[method-assign]
    wrapped.start(["llamafactory-cli", "train", str(data / "job.yaml")], lambda _: None)
    return wrapped.follow(stop, lambda: True)


if __name__ == "__main__":
    sys.exit(main(DESCRIPTION, run))
