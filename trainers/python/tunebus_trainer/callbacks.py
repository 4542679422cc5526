"""What a training tells the worker, and what the worker has it do."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any, Protocol

import transformers

from . import dpo, launch


class Worker(Protocol):
    """The worker's end of the protocol, as a training uses it."""

    @property
    def stopping(self) -> bool:
        """True once the worker has asked the trainer to stop."""

    def stage(self, stage: str, done: int = 0) -> None:
        """Says what is done from now on, and how much of it is done."""

    def progress(self, step: int, total: int, points: dict[str, float]) -> None: ...

    def checkpoint(self, step: int, folder: Path) -> None: ...

    def note(self, text: str) -> None:
        """Adds a sentence for people to the run."""

    def kept(self) -> int:
        """The step of the newest checkpoint that the worker has kept; 0 before the first."""


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


# Numbers of the trainer's log that are points of a metric, by TRL's names.
_LOGGED = ("loss", "mean_token_accuracy", "entropy", *dpo.POINTS)
POINTS = {"learning_rate", "grad_norm", "epoch", *_LOGGED, *(f"eval_{name}" for name in _LOGGED)}


class Reporter(transformers.TrainerCallback):
    """Reports each step, each point of the log and each checkpoint, and obeys an order to stop.

    transformers ends a training that is stopped as it ends one that is done. So the order
    only sets should_save and should_training_stop at the end of a step; whoever calls
    train() compares the step with max_steps.
    """

    def __init__(self, worker: Worker, folder: Path) -> None:
        self._worker = worker
        self._folder = folder  # of the checkpoints
        self._batches = 0  # of all stages, so that they only grow
        self._told: dict[str, int] = {}  # the step of each point that was reported last

    def on_step_end(
        self, args: transformers.TrainingArguments, state: transformers.TrainerState, control: transformers.TrainerControl, **_: Any
    ) -> None:
        self._worker.progress(state.global_step, state.max_steps, {})
        stopping = launch.agreed(self._worker.stopping or launch.stop_ordered())
        if stopping and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True

    # A step, and an evaluation, of many batches may take longer than a stage without progress.

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        self._batches += 1
        self._worker.stage("train", self._batches)

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        self._batches += 1
        self._worker.stage("evaluate", self._batches)

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        self._worker.stage("train", self._batches)

    def on_log(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        points = {k: float(v) for k, v in (logs or {}).items() if k in POINTS}
        # A validation and the end of the training log the epoch of their step once more.
        points = {k: v for k, v in points.items() if self._told.get(k) != state.global_step}
        self._told.update(dict.fromkeys(points, state.global_step))
        for name in ("loss", "grad_norm", "eval_loss"):
            if name in points and not math.isfinite(points[name]):
                raise Diverged(f"{name} is {points[name]} at step {state.global_step}")
        if points:
            self._worker.progress(state.global_step, state.max_steps, points)

    def on_save(
        self, args: transformers.TrainingArguments, state: transformers.TrainerState, control: transformers.TrainerControl, **_: Any
    ) -> None:
        if state.global_step >= state.max_steps:
            return  # the result follows
        folder = self._folder
        launch.agreed(False)  # every process has written its part
        self._worker.checkpoint(state.global_step, folder / f"checkpoint-{state.global_step}")
        self._remove_old(folder)

    def _remove_old(self, folder: Path) -> None:
        """Removes checkpoints that are older than one that the worker has kept."""
        for step, path in checkpoints(folder):
            if step < self._worker.kept():
                shutil.rmtree(path, ignore_errors=True)


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints below a folder by their steps, the oldest first."""
    found = []
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdigit():
            found.append((int(step), path))
    return sorted(found)
