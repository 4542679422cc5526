"""Validations while a training works: the best model, and the end where nothing gets better."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers

STATE = "tunebus-validation.json"  # in a checkpoint, what is known of the validations before it
# In a checkpoint, the best model so far. It lies two folders deep: transformers takes a
# folder with an adapter for one to load beside the adapter that is trained.
MODEL = Path("tunebus-best", "model")


class Validations(transformers.TrainerCallback):
    """Keeps the model with the lowest eval_loss, and ends a training that gets no better.

    transformers remembers the best checkpoint as a path. An attempt that goes on elsewhere
    has another path, and the newest checkpoint alone. So all that is known travels in each
    checkpoint, the best model too.
    """

    def __init__(self, folder: Path, patience: int, keep: bool, save: Callable[[Path], None]) -> None:
        """Works with a folder of its own. save writes the model; it is called on all ranks."""
        self._folder = folder
        self._patience = patience  # 0: the training is never ended
        self._keep = keep
        self._save = save
        self.best: float | None = None  # the lowest eval_loss
        self.best_step = 0
        self._worse = 0  # validations since then
        self.ended_at = 0  # the step at which the training was ended; 0: it was not

    @property
    def model(self) -> Path | None:
        """The folder of the best model; None if it is not kept."""
        return self._folder if self._keep and self.best is not None else None

    def notes(self, total: int) -> list[str]:
        """What a person should know at the end of a training of so many steps."""
        notes = []
        if self.ended_at:
            notes.append(
                f"fine_tuner.early_stopping_patience = {self._patience}: the training ended at step {self.ended_at} of {total}; "
                f"eval_loss was lowest at step {self.best_step}, {self.best:.4g}"
            )
        if self.model is not None:
            notes.append(
                f"fine_tuner.load_best_model_at_end: the result is the model of step {self.best_step}, with eval_loss {self.best:.4g}"
            )
        return notes

    def resume(self, checkpoint: Path) -> None:
        """Takes over what the checkpoint of an earlier attempt knows."""
        described = checkpoint / STATE
        if not described.exists():
            return
        state = json.loads(described.read_text(encoding="utf-8"))
        self.best, self.best_step, self._worse = state["best"], state["best_step"], state["worse"]
        if self.model is not None:
            shutil.copytree(checkpoint / MODEL, self._folder, dirs_exist_ok=True)

    def on_evaluate(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        loss = (metrics or {}).get("eval_loss", math.nan)
        if self.best is None or loss < self.best:
            self.best, self.best_step, self._worse = loss, state.global_step, 0
            if self._keep:
                self._save_best(state)
            return
        self._worse += 1
        if self._patience and self._worse >= self._patience and state.global_step < state.max_steps:
            self.ended_at = state.global_step
            control.should_training_stop = True
            # A checkpoint of this step would have another attempt train beyond it.
            control.should_save = False

    def on_save(
        self, args: transformers.TrainingArguments, state: transformers.TrainerState, control: transformers.TrainerControl, **_: Any
    ) -> None:
        checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        if not state.is_world_process_zero or self.best is None or not checkpoint.exists():
            return
        if self._keep:
            shutil.copytree(self._folder, checkpoint / MODEL, copy_function=_link)
        text = json.dumps({"best": self.best, "best_step": self.best_step, "worse": self._worse})
        (checkpoint / STATE).write_text(text + "\n", encoding="utf-8")

    def _save_best(self, state: transformers.TrainerState) -> None:
        """Writes the model beside the best one so far, and puts it in its place."""
        fresh = self._folder.with_name(self._folder.name + ".new")
        if state.is_world_process_zero:
            shutil.rmtree(fresh, ignore_errors=True)
        self._save(fresh)
        if state.is_world_process_zero:
            shutil.rmtree(self._folder, ignore_errors=True)
            fresh.rename(self._folder)


def _link(source: str, target: str) -> None:
    """Links a file, or copies it where that does not work. Nobody changes it afterwards."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
