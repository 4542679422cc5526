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
tell("hello", protocol=1, name="rude", rows="tokens", optimizers=["adamw_torch", "sgd"], quantisation=["8bit"], keys=keys, vision=True)
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

tell("stage", stage="train")
tell("progress", step=1, total=1, points={"loss": 1.0, "bad": None})
match rude:
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

artifacts = {}
if rude == "artifacts":
    curves = Path(job["output"]["artifacts"], "curves")
    curves.mkdir()
    (curves / "events.out").write_bytes(b"events")
    artifacts = {"curves": str(curves), "../x": "/etc"}
write_model()
tell("result", folder=job["output"]["model"], tokens=7, statistics={"final_training_loss": 0.5}, artifacts=artifacts)
sys.exit(9 if rude == "late" else 0)
