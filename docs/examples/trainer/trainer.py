"""A trainer for tunebus in Python's standard library.

It trains nothing. Its "model" is a chain of SHA-256 over the seed, the steps and the
rows of each step: a step that is lost, repeated or done in another order changes the
result. All that a trainer owes to tunebus is here, see docs/trainers.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]

STOPPED = 75  # the exit status behind a checkpoint
PATIENCE = 60.0  # seconds to connect; after them the worker is gone

DESCRIPTION: Message = {
    "protocol": 1,
    "name": "chain",
    "version": "1",
    "rows": "tokens",
    "versions": {"python": sys.version.split()[0]},
    "devices": ["cpu"],
    "methods": ["lora", "full"],  # a trainer names those that it has; this one trains neither
    "keys": ["epochs", "device_train_batch_size", "grad_accumulation", "seed", "save_steps"],
}


class Worker:
    """The worker at the other end of the socket."""

    def __init__(self, path: str, description: Message) -> None:
        self._path = path
        self._hello = {"type": "hello", **description}
        self._unanswered: dict[int, Message] = {}  # checkpoints by their steps
        self._received = b""
        self._connect()

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a message. Of a checkpoint an answer is expected."""
        message = {"type": kind, **fields}
        if kind == "checkpoint":
            self._unanswered[fields["step"]] = message
        self._send(message)

    def orders(self, wait: float = 0.0) -> Iterator[Message]:
        """The orders that have arrived, or arrive within so many seconds."""
        if not select.select([self._socket], [], [], wait)[0]:
            return
        try:
            received = self._socket.recv(1 << 16)
        except ConnectionError:
            received = b""
        if not received:
            self._reconnect()
            return
        *lines, self._received = (self._received + received).split(b"\n")
        for line in lines:
            order: Message = json.loads(line)
            if order["type"] in ("checkpoint_kept", "checkpoint_not_kept"):
                self._unanswered.pop(order["step"], None)
            yield order

    def awaits(self) -> bool:
        """Whether a checkpoint has no answer yet."""
        return bool(self._unanswered)

    def finish(self, kind: str, **fields: Any) -> None:
        """Send the last message, and wait until the worker has read it."""
        while True:
            self.tell(kind, **fields)
            try:
                self._socket.shutdown(socket.SHUT_WR)
                while self._socket.recv(1 << 16):
                    pass
                return
            except OSError:  # the connection broke before the message was read
                self._reconnect()

    def _send(self, message: Message) -> None:
        line = json.dumps(message, allow_nan=False).encode() + b"\n"
        while True:
            try:
                self._socket.sendall(line)
                return
            except OSError:
                self._reconnect()

    def _connect(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.connect(self._path)
                self._socket.sendall(json.dumps(self._hello).encode() + b"\n")
                return
            except OSError:
                self._socket.close()
                if time.monotonic() > end:
                    sys.exit("the worker is gone")
                time.sleep(0.1)

    def _reconnect(self) -> None:
        self._socket.close()
        self._received = b""
        self._connect()
        for message in list(self._unanswered.values()):
            self._send(message)


class Fault(Exception):
    """What the trainer cannot go on with, and its class in the protocol."""

    def __init__(self, kind: str, text: str, key: str = "") -> None:
        super().__init__(text)
        self.kind, self.key = kind, key


class Training:
    """The chain, from the start or from a checkpoint."""

    def __init__(self, job: Message) -> None:
        keys = job["keys"]
        self.rows_of_step = keys["device_train_batch_size"] * keys["grad_accumulation"]
        self.steps_of_epoch = -(-job["training"]["examples"] // self.rows_of_step)
        self.total = self.steps_of_epoch * keys["epochs"]
        self.path = job["training"]["tokens"]
        self.step = 0
        self.digest = hashlib.sha256(f"seed {job['seed']}".encode()).hexdigest()
        if job["resume"]:
            state = json.loads(Path(job["resume"]["folder"], "state.json").read_text())
            self.step, self.digest = state["step"], state["digest"]

    def steps(self) -> Iterator[float]:
        """Make the steps that are left; each gives a loss."""
        while self.step < self.total:
            skip = self.step % self.steps_of_epoch * self.rows_of_step
            with open(self.path, "rb") as rows:  # once for each epoch
                for _ in range(skip):
                    rows.readline()
                while batch := [line for _ in range(self.rows_of_step) if (line := rows.readline())]:
                    self.step += 1
                    link = f"{self.digest} {self.step} ".encode() + b"".join(batch)
                    self.digest = hashlib.sha256(link).hexdigest()
                    yield int(self.digest[:8], 16) / 2**32
            if skip == 0 and self.step % self.steps_of_epoch:
                raise Fault("bad_data", f"{self.path} has other rows than the job file says")

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "state.json").write_text(json.dumps({"step": self.step, "digest": self.digest}))

    def write_model(self, base: Path, folder: Path) -> None:
        """The base model, and the chain beside it."""
        folder.mkdir()
        weights = sorted(base.glob("*.safetensors"))
        if not weights:
            raise Fault("bad_model", "the base model has no weights as *.safetensors")
        for file in [base / "config.json", *weights]:
            shutil.copy(file, folder)
        (folder / "chain.txt").write_text(f"{self.digest} {self.step}\n")


class Stop:
    """Whether the worker, or a signal, wants the trainer to stop, and by when."""

    def __init__(self) -> None:
        self.by: float | None = None
        signal.signal(signal.SIGTERM, lambda *_: self.within(PATIENCE))

    def within(self, seconds: float) -> None:
        by = time.monotonic() + seconds
        self.by = by if self.by is None else min(self.by, by)


def obey(worker: Worker, stop: Stop, checkpoints: Path, wait: float = 0.0) -> None:
    """Do what the worker says."""
    for order in worker.orders(wait):
        if order["type"] == "stop":
            stop.within(order["seconds"])
        elif order["type"] == "checkpoint_kept":  # only now older ones may go
            for old in checkpoints.iterdir():
                if int(old.name) <= order["step"]:
                    shutil.rmtree(old)


def train(job: Message, worker: Worker, stop: Stop) -> int:
    checkpoints = Path(job["output"]["checkpoints"])
    pause = float(os.environ.get("CHAIN_STEP_SECONDS", "0"))  # so that there is time to stop it
    worker.tell("stage", stage="load")
    training = Training(job)
    saved = training.step

    def save() -> None:
        nonlocal saved
        saved = training.step
        training.save(checkpoints / str(saved))
        worker.tell("checkpoint", step=saved, folder=str(checkpoints / str(saved)))
        # A trainer with large checkpoints goes on meanwhile. This one waits, so that a
        # worker that is killed costs no more than save_steps.
        while worker.awaits() and (stop.by is None or time.monotonic() < stop.by):
            obey(worker, stop, checkpoints, 0.1)

    worker.tell("stage", stage="train")
    print(f"step {training.step} of {training.total}")
    for loss in training.steps():
        worker.tell("progress", step=training.step, total=training.total, points={"loss": loss})
        obey(worker, stop, checkpoints, pause)
        every = job["keys"]["save_steps"]
        if stop.by is None and every and training.step % every == 0 and training.step < training.total:
            save()
        if stop.by is not None and training.step < training.total:
            if training.step > saved:
                save()
            print(f"stopped behind step {training.step}")
            return STOPPED
    worker.tell("stage", stage="save")
    folder = Path(job["output"]["model"])
    training.write_model(Path(job["model"]["folder"]), folder)
    worker.finish("result", folder=str(folder), statistics={"final_training_loss": int(training.digest[:8], 16) / 2**32})
    return 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--describe", action="store_true", help="print what the trainer is")
    arguments.add_argument("--job", type=Path, help="the job file")
    given = arguments.parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
        return 0
    stop = Stop()
    worker = Worker(os.environ["TUNEBUS_SOCKET"], DESCRIPTION)
    try:
        return train(json.loads(given.job.read_text()), worker, stop)
    except Fault as fault:
        worker.finish("error", **{"class": fault.kind}, text=str(fault), key=fault.key)
    except MemoryError:
        worker.finish("error", **{"class": "out_of_memory"}, text="the memory of the machine is full")
    return 1


if __name__ == "__main__":
    sys.exit(main())
