"""Supervised fine-tuning with TRL."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from . import engine, rows, unsloth_models
from . import model as models
from .callbacks import Reporter, Worker
from .job import Job
from .keys import Plan


class ModelFault(ValueError):
    """The base model cannot be opened."""


@dataclasses.dataclass
class Outcome:
    """What a training came to."""

    done: bool  # False: stopped after a checkpoint
    step: int
    tokens: int = 0  # that were trained on
    statistics: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Data:
    """The tables of rows."""

    training: Any
    validation: Any
    counts: rows.Counts
    validation_counts: rows.Counts


def read(job: Job, scratch: Path) -> Data:
    """Reads the rows of a job into tables below scratch."""
    training, counts = rows.table(job.training.tokens, scratch)
    validation, validation_counts = None, rows.Counts()
    if job.validation is not None:
        validation, validation_counts = rows.table(job.validation.tokens, scratch)
    return Data(training, validation, counts, validation_counts)


def train(job: Job, data: Data, plan: Plan, worker: Worker) -> Outcome:
    """Trains until the end, or until the worker orders a stop, and writes the result."""
    import transformers
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    transformers.set_seed(job.seed)  # the adapter's first weights
    tokens = models.tokenizer(job.tokenizer)
    try:
        if engine.NAME == engine.UNSLOTH:
            model: Any = unsloth_models.load(job, plan)
        else:
            model = models.load(job.model, plan)
            if job.adapter is not None:
                model = models.continued(model, job.adapter)
    except (OSError, ValueError, KeyError) as err:
        raise ModelFault(str(err)) from err
    config = SFTConfig(output_dir=str(job.checkpoints), **plan.arguments)
    trainer: Any = SFTTrainer(
        model=model,
        args=config,
        train_dataset=data.training,
        eval_dataset=data.validation,
        processing_class=tokens,
        peft_config=models.adapter(plan) if job.adapter is None and engine.NAME == engine.TRL else None,
        callbacks=[Reporter(worker, job.checkpoints)],
    )
    trainer.remove_callback(transformers.PrinterCallback)  # stdout is the run's log
    if plan.quantization is not None:
        _train_in_float32(trainer.model)
    worker.stage("train")
    trainer.train(resume_from_checkpoint=str(job.resume) if job.resume else None)
    state = trainer.state
    if state.global_step < state.max_steps:
        return Outcome(done=False, step=state.global_step)
    worker.stage("save")
    models.save(trainer.model, job.result, job.model_name)
    tokens.save_pretrained(job.result)
    weights = [p.numel() for p in trainer.model.parameters() if p.requires_grad]
    statistics = {
        "final_training_loss": _last(state.log_history, "loss"),
        "total_epochs": float(state.epoch or 0),
        "total_training_steps": float(state.global_step),
        "trainable_parameters": float(sum(weights)),
        "training_rows": float(data.counts.rows),
    }
    if data.validation is not None:
        statistics["final_eval_loss"] = _last(state.log_history, "eval_loss")
    return Outcome(done=True, step=state.global_step, tokens=round(data.counts.tokens * (state.epoch or 0)), statistics=statistics)


def _train_in_float32(model: Any) -> None:
    """Undoes that TRL rounds an adapter of a quantised model to bfloat16.

    PEFT reads the adapter of a checkpoint as float32, so that a resumed training would
    go on with other weights than one that was not disturbed.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def _last(history: list[dict[str, float]], name: str) -> float:
    return next((float(entry[name]) for entry in reversed(history) if name in entry), float("nan"))
