"""What the wrappers of this folder share: a command of another project trains, and this
program speaks with the worker of tunebus.

The command is built on the Trainer of transformers: it writes checkpoints as folders
checkpoint-<step>, which are whole once trainer_state.json can be read, and its result into
the folder above them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import STOPPED, Message, Stop, Worker

# What a step says of itself: its number, the number of all steps or 0, and its points.
Step = tuple[int, int, dict[str, float | None]]


class RowFault(ValueError):
    """A row that the project cannot train on."""


class Wrapped:
    """A command of another project, and what it has written."""

    def __init__(self, job: Message, worker: Worker, output: Path) -> None:
        self.job, self.worker, self.output = job, worker, output
        self.steps: list[Step] = []  # that nobody was told of
        self.said: set[int] = {job["resume"]["step"]} if job["resume"] else set()
        self.lines = 0  # of its output
        self.training = self.memory = False  # it trains; it ran out of memory

    def start(self, command: list[str], each_line: Callable[[str], None]) -> None:
        """Start the command. Its output is the log, and each line is looked at."""
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")

        def read() -> None:
            for line in self.process.stdout or ():
                print(line, end="", flush=True)
                self.lines += 1
                self.memory |= "out of memory" in line.lower() or "OutOfMemoryError" in line
                each_line(line)

        self.reader = threading.Thread(target=read)
        self.reader.start()

    def tell(self) -> None:
        """Tell the worker of new steps and checkpoints. Before the first step every line of the
        output is a sign of life: reading a large model and its rows takes long."""
        if self.steps and not self.training:
            self.training = True
            self.worker.tell("stage", stage="train")
        if not self.training:
            self.worker.tell("stage", stage="load", done=self.lines)
        while self.steps:
            step, total, points = self.steps.pop(0)
            self.worker.tell("progress", step=step, total=total, points=points)
        for folder in sorted(self.output.glob("checkpoint-*"), key=step_of):
            if step_of(folder) not in self.said and is_whole(folder):
                self.said.add(step_of(folder))
                self.worker.tell("checkpoint", step=step_of(folder), folder=str(folder))

    def obey(self, stop: Stop, wait: float) -> None:
        for order in self.worker.orders(wait):
            if order["type"] == "stop":
                stop.within(order["seconds"])
            elif order["type"] == "checkpoint_kept":  # only now older ones may go
                for old in self.output.glob("checkpoint-*"):
                    if step_of(old) < order["step"]:
                        shutil.rmtree(old)

    def follow(self, stop: Stop, on_stop: Callable[[], bool]) -> int:
        """Follow the command to its end. on_stop is called while the trainer has to stop,
        until it says that nothing more is worth waiting for."""
        while self.process.poll() is None:
            self.tell()
            self.obey(stop, 0.05)
            if stop.by is not None and (on_stop() or time.monotonic() > stop.by - 5):
                self.process.kill()
                self.process.wait()
                self.reader.join()
                self.tell()
                while self.worker.awaits() and time.monotonic() < stop.by:
                    self.obey(stop, 0.1)
                return STOPPED
        self.reader.join()
        self.tell()
        if self.process.returncode != 0:
            kind = "out_of_memory" if self.memory else "internal"
            self.worker.finish("error", **{"class": kind}, text=f"{self.process.args[0]} ended with status {self.process.returncode}")  # type: ignore[index]
            return 1
        self.worker.tell("stage", stage="save")
        while self.worker.awaits():
            self.obey(stop, 0.1)
        model = Path(self.job["output"]["model"])
        shutil.copytree(self.output, model, ignore=lambda _, names: [n for n in names if not is_model(n)])
        self.worker.finish("result", folder=str(model))
        return 0


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint is written to its end. The last file is no JSON before that."""
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def is_model(name: str) -> bool:
    """Whether a file belongs to the result. Pickles do not."""
    return name.endswith((".safetensors", ".json", ".jinja", ".model", ".txt")) and name not in ("trainer_state.json", "all_results.json", "train_results.json")


def numbers(values: dict[str, Any], names: dict[str, str]) -> dict[str, float | None]:
    """The points among values, by the names that tunebus has for them."""
    points: dict[str, float | None] = {}
    for name, ours in names.items():
        try:
            number = float(values[name])
            points[ours] = number if abs(number) < float("inf") else None
        except (KeyError, TypeError, ValueError):
            continue
    return points


def modules(job: Message) -> list[str]:
    """The modules that get an adapter, where a person chose some; none: all linear ones."""
    chosen: list[str] = job["keys"]["target_modules"] if "target_modules" in job["changed"] else []
    return [] if "all-linear" in chosen else chosen


def dataset(job: Message, to: Path) -> None:
    """Write the rows in the order of the job, as conversations alone."""
    with open(job["training"]["messages"]) as rows, open(to, "w") as out:
        for number, line in enumerate(rows, 1):
            row = json.loads(line)
            if "messages" not in row:
                raise RowFault(f"row {number} in the order of the job is plain text; this trainer wants questions and answers")
            out.write(json.dumps({"messages": row["messages"]}, ensure_ascii=False) + "\n")


def main(description: Message, run: Callable[[Message, Worker, Stop], int]) -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--describe", action="store_true")
    arguments.add_argument("--job", type=Path)
    given = arguments.parse_args()
    if given.describe:
        print(json.dumps(description))
        return 0
    stop = Stop()
    worker = Worker(os.environ["TUNEBUS_SOCKET"], description)
    worker.tell("stage", stage="load")
    try:
        return run(json.loads(given.job.read_text()), worker, stop)
    except RowFault as fault:
        worker.finish("error", **{"class": "bad_data"}, text=str(fault))
    except FileNotFoundError as fault:  # such as the project's command
        worker.finish("error", **{"class": "internal"}, permanent=True, text=f"{fault}; is its environment on PATH (services.finetune.environment)?")
    return 1


if __name__ == "__main__":
    sys.exit("this is no trainer; llamafactory.py and axolotl.py are")
