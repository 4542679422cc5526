"""A trainer that does what RUDE says, for the tests of what a worker makes of it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if os.environ.get("RUDE") == "lacks":
    sys.exit("/usr/bin/python3: No module named tunebus_trainer")
arguments = argparse.ArgumentParser()
arguments.add_argument("--job", type=Path)
job: dict[str, Any] = json.loads(arguments.parse_args().job.read_text())
rude = os.environ["RUDE"]
if rude == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

worker = socket.socket(socket.AF_UNIX)
worker.connect(os.environ["TUNEBUS_SOCKET"])


def tell(kind: str, **fields: Any) -> None:
    worker.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")


def fail(kind: str, text: str, **fields: Any) -> None:
    tell("error", **{"class": kind}, text=text, **fields)
    sys.exit(1)


def write_model() -> None:
    model = Path(job["output"]["model"])
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(Path(job["model"]["folder"], name), model)


keys = ["epochs", *os.environ.get("KEYS", "").split()]
lists = {"quantisation": ["8bit"], **json.loads(os.environ.get("LISTS", "{}"))}  # null: it does not say
tell("hello", protocol=1, name="rude", rows="tokens", optimizers=["adamw_torch", "sgd"], keys=keys, vision=True, **lists)
match rude:
    case "hangs" | "deaf":
        subprocess.Popen(["sleep", "3600"], start_new_session=True)
        tell("progress", step=1, total=2)
        time.sleep(3600)
    case "forgets" if job["resume"]:
        fail("bad_checkpoint", "its format is of last year")
    case "exit":
        print("Traceback of the rude trainer", file=sys.stderr)
        sys.exit(3)
    case "tells":
        text = f"wandb is {os.environ['WANDB_MODE']} {os.environ.get('WANDB_API_KEY', '')}{os.environ.get('TELLS', '')}"
        print(text)
        tell("note", text=text)
        fail("internal", text)
    case "silent":
        sys.exit(0)
    case "memory":
        fail("out_of_memory", "the device is full")
    case "data":
        fail("bad_data", "row 7 has no answer")
    case "key":
        fail("bad_key", "16 is too much", key="rank")
    case "garbage":
        worker.sendall(b"\x00\x01garbage\n")
        time.sleep(3600)
    case "long":
        worker.sendall(b"x" * (2 << 20))
        time.sleep(3600)
    case "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    case "allocates":
        try:
            hoard = [bytearray(10 << 20) for _ in range(100)]
        except MemoryError as error:
            fail("out_of_memory", repr(error))

if rude == "unusable":
    print("this Python lacks the packages")
    sys.exit(78)
tell("stage", stage="train")
if rude != "stepless":
    tell("progress", step=1, total=1, points={"loss": 1.0, "bad": None})
match rude:
    case "few" | "early":
        tell("progress", step=3, total=100, points={"loss": 0.5})
    case "repeats":
        for step in (2, 3, 4, 1, 2, 3, 4):
            tell("progress", step=step, total=4, points={"loss": step / 8})
        tell("progress", step=3, total=4, points={"loss": 99, "late": 7})
    case "beyond":
        tell("progress", step=900, total=10)
    case "intrudes":
        Path(job["model"]["folder"], "left-behind").write_text("x")
    case "outside":
        tell("checkpoint", step=1, folder="/etc")
        tell("checkpoint", step=2, folder="/etc")
        lines = worker.makefile()
        lines.readline(), lines.readline()
    case "gone":  # says a checkpoint that it has removed already
        tell("checkpoint", step=1, folder=str(Path(job["output"]["checkpoints"], "1")))
        worker.makefile().readline()
    case "stopped":
        sys.exit(75)
    case "nothing":
        tell("result", folder=job["output"]["model"])
        sys.exit(0)
    case "pickle":
        Path(job["output"]["model"]).mkdir()
        Path(job["output"]["model"], "pytorch_model.bin").write_bytes(b"x")
        tell("result", folder=job["output"]["model"])
        sys.exit(0)
    case "link":
        Path(job["output"]["model"]).mkdir()
        Path(job["output"]["model"], "config.json").write_text("{}")
        Path(job["output"]["model"], "model.safetensors").symlink_to("/etc/hostname")
        tell("result", folder=job["output"]["model"])
        sys.exit(0)
    case "look":
        rows = {kind: [json.loads(line) for line in open(job["training"][kind])] for kind in ("tokens", "messages")}
        pictures = [path.name for path in Path(job["training"]["messages"]).parent.glob("images/*")]
        seen = {"job": job, "devices": os.environ.get("CUDA_VISIBLE_DEVICES"), "pictures": pictures, **rows}
        Path(os.environ["LOOK"]).write_text(json.dumps(seen))
    case "notes":
        for i in range(80):
            tell("note", text=f"note {i}{os.environ.get('TELLS', '')}")
    case "dropped":
        os.chdir("/")
        tell("dataset", set="training", rows=10, dropped=5, cut=0)
    case "hurries":  # saves while earlier checkpoints are stored
        folders = {step: Path(job["output"]["checkpoints"], str(step)) for step in range(1, 9)}
        for step, folder in folders.items():
            folder.mkdir()
            (folder / "state").write_text("x" * 100_000 * step)
            tell("checkpoint", step=step, folder=str(folder))
        tell("checkpoint", step=9, folder="/etc")
        answers: dict[int, str] = {}
        for line in worker.makefile():
            answer = json.loads(line)
            answers[answer["step"]] = answer["type"]
            if len(answers) == 9:
                break
        tell("note", text=f"kept {[step for step in answers if answers[step] == 'checkpoint_kept'][-1]}, refused {answers[9]}")
    case "orphan":
        subprocess.Popen(["sleep", "3600"], start_new_session=True)


def damage() -> None:
    """Damages the model that is written."""
    model = Path(job["output"]["model"])
    weights = model / "model.safetensors"
    match rude:
        case "half":
            os.truncate(weights, weights.stat().st_size // 2)
        case "nan":
            body = bytearray(weights.read_bytes())
            body[-2:] = b"\xff\x7f"
            weights.write_bytes(body)
        case "shapes" | "foreign":
            config = json.loads((model / "config.json").read_text())
            config["hidden_size"] = 64
            if rude == "foreign":
                config["model_type"] = "nobody-knows"
            (model / "config.json").write_text(json.dumps(config))
        case "config":
            (model / "config.json").write_text("[")
        case "shard":
            (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
            weights.rename(model / "other.safetensors")


def write_adapter() -> None:
    """Writes an adapter that has nothing in it, or no kind, or a tensor of another length."""
    model = Path(job["output"]["model"])
    model.mkdir()
    kind = {} if rude == "adapter-kind" else {"peft_type": "VERA" if rude == "adapter-length" else "LORA"}
    (model / "adapter_config.json").write_text(json.dumps({**kind, "r": 4, "lora_alpha": 4, "target_modules": ["nosuch" if rude == "adapter-empty" else "q_proj"]}))
    tensors = {} if rude == "adapter-empty" else {"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}
    head = json.dumps(tensors).encode()
    (model / "adapter_model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + (b"\0" * 4 if tensors else b""))


artifacts = {}
if rude == "artifacts":
    curves = Path(job["output"]["artifacts"], "curves")
    curves.mkdir()
    (curves / "events.out").write_bytes(b"events")
    artifacts = {"curves": str(curves), "../x": "/etc"}
if rude.startswith("adapter-"):
    write_adapter()
else:
    write_model()
    damage()
if rude == "leaks":
    for name in ("told", "clean"):
        Path(job["output"]["artifacts"], name).write_text(f"x {os.environ['TELLS'] if name == 'told' else ''}")
        artifacts[name] = str(Path(job["output"]["artifacts"], name))
if rude == "leaks-model":
    Path(job["output"]["model"], "README.md").write_text("trained with " + os.environ["TELLS"])
early = {"ended_early": True} if rude == "early" else {}
tell("result", **early, folder=job["output"]["model"], tokens=7, statistics={"final_training_loss": 0.5}, artifacts=artifacts)
sys.exit(9 if rude == "late" else 0)
