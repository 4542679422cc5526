"""What a training reports to Weights & Biases and to TensorBoard.

MLflow is not among them: the points go to the worker, and tunebus writes them there.
"""

from __future__ import annotations

import copy
import os
import re
import threading
from typing import Any

import transformers

from . import launch
from .job import Job
from .reports import TENSORBOARD, WANDB

# Seconds that W&B gets to take what is left. In that time the worker hears nothing.
FINISH = 60.0


class Reports:
    """The reports of one training."""

    def __init__(self, job: Job, key: bool) -> None:
        self._key = key  # the worker has given one for W&B
        self._names: list[str] = []
        self._online = False
        self._folders = {name: job.artifacts / name for name in (WANDB, TENSORBOARD)}
        self._notes: list[str] = []
        self._job = job

    def begin(self, names: list[str] | str) -> list[str]:
        """Prepares those that a training has, by their names in transformers. Returns notes."""
        self._names = [name for name in (WANDB, TENSORBOARD) if name in names]
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(self._folders[TENSORBOARD])
        if WANDB in self._names and launch.rank() == 0:
            self._begin_wandb()
        return self._notes

    def _begin_wandb(self) -> None:
        import wandb

        project = self._job.keys.get("wandb_project_name") or "tunebus"
        settings: dict[str, Any] = {"project": project, "name": self._job.run, "dir": str(self._job.artifacts)}
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self._job.run):
            settings.update(id=self._job.run, resume="allow")  # a later attempt goes on with it
        self._online = self._key and os.environ.get("WANDB_MODE", "online") == "online"
        if self._online:
            try:
                wandb.init(mode="online", **settings)
                return
            except Exception as err:  # noqa: BLE001 - whatever it is, the training does not need it
                self._online = False
                self._notes.append(f"fine_tuner.report_to = wandb: Weights & Biases cannot be reached, so it is written offline: {err}")
                wandb.teardown()
        os.environ["WANDB_MODE"] = "offline"
        wandb.init(mode="offline", **settings)
        self._notes.append(
            f"fine_tuner.report_to = wandb: written offline, as the artifact {WANDB}; take it out with: "
            f"tunebus export {self._job.run} wandb --artifact {WANDB}; send it with: wandb sync wandb/offline-run-*"
        )

    def attach(self, trainer: Any) -> None:
        """Has what earlier attempts logged reported again, since their folders are gone."""
        if self._job.resume is not None and self._names:
            trainer.add_callback(_Repeat(trainer, skipped={"WandbCallback"} if self._online else set()))

    def end(self) -> list[str]:
        """Completes what is written. Returns notes."""
        if WANDB not in self._names or launch.rank() > 0:
            return []
        import wandb

        last = threading.Thread(target=wandb.finish, daemon=True)
        last.start()
        last.join(FINISH)
        if last.is_alive():
            return [f"fine_tuner.report_to = wandb: Weights & Biases did not take everything within {FINISH:.0f} s"]
        return []

    def artifacts(self) -> dict[str, str]:
        """The folders to keep, by the names of their artifacts."""
        kept = [name for name in self._names if self._folders[name].exists() and not (name == WANDB and self._online)]
        for name in kept:
            for path in self._folders[name].rglob("*"):
                if path.is_symlink():  # an artifact has none
                    path.unlink()
        return {name: str(self._folders[name]) for name in kept}


class _Repeat(transformers.TrainerCallback):
    """Reports the points of the checkpoint to what writes files of its own."""

    def __init__(self, trainer: Any, skipped: set[str]) -> None:
        self._trainer = trainer
        self._skipped = skipped

    def on_train_begin(
        self, args: transformers.TrainingArguments, state: transformers.TrainerState, control: transformers.TrainerControl, **_: Any
    ) -> None:
        wanted = {"WandbCallback", "TensorBoardCallback"} - self._skipped
        for callback in self._trainer.callback_handler.callbacks:
            if type(callback).__name__ in wanted:
                for entry in state.log_history:
                    then = copy.copy(state)
                    then.global_step = int(entry["step"])
                    callback.on_log(args, then, control, logs={k: v for k, v in entry.items() if k != "step"})
