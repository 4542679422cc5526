"""A training with TRL: supervised, or by preferences."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from . import checkpoint, dpo, engine, launch, modules, rows, unsloth_models, vision
from . import model as models
from .callbacks import Reporter, Worker
from .job import Job
from .job import Rows as JobRows
from .keys import Keys, Plan
from .reporting import Reports
from .validation import Validations


class ModelFault(ValueError):
    """The base model cannot be opened."""


@dataclasses.dataclass
class Outcome:
    """What a training came to."""

    done: bool  # False: stopped after a checkpoint
    step: int
    early: bool = False  # the validations ended it before its last step
    tokens: int = 0  # that were trained on
    statistics: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Data:
    """The tables of rows."""

    training: Any
    validation: Any
    counts: rows.Counts
    validation_counts: rows.Counts


def read(job: Job, keys: Keys, sees: bool, scratch: Path, worker: Worker) -> Data:
    """Reads the rows of a job into tables below scratch. sees says that they are for a model that sees."""
    processor = models.processor(job.tokenizer) if sees else None

    def table(of: JobRows) -> tuple[Any, rows.Counts]:
        if processor is None:
            return rows.table(of.tokens, scratch, of.pairs)
        responses = bool(job.keys.get("train_on_responses_only", True))
        return vision.table(of.messages, scratch, keys.max_sequence_length, responses, processor, worker)

    training, counts = table(job.training)
    validation, validation_counts = None, rows.Counts()
    if job.validation is not None:
        validation, validation_counts = table(job.validation)
    return Data(training, validation, counts, validation_counts)


def train(job: Job, data: Data, plan: Plan, switches: vision.Switches, worker: Worker, reports: Reports) -> Outcome:
    """Trains until the end, or until the worker orders a stop, and writes the result."""
    import transformers

    transformers.set_seed(job.seed)  # the adapter's first weights
    launch.begin()
    if job.resume is not None:
        checkpoint.check(job.resume, plan.lora is not None)
    sees = switches.is_multimodel
    tokens = models.processor(job.tokenizer) if sees else models.tokenizer(job.tokenizer)
    try:
        if engine.NAME == engine.UNSLOTH:
            model: Any = unsloth_models.load(job, plan)
        else:
            model = models.load(job.model, plan, sees)
            if note := models.attention_note(model, plan):
                worker.note(note)
            if job.adapter is not None:
                model = models.continued(model, job.adapter)
    except (OSError, ValueError, KeyError) as err:
        raise ModelFault(str(err)) from err
    if sees:
        plan = switches.apply(plan, model, job.adapter is not None or engine.NAME == engine.UNSLOTH)
    elif plan.lora is not None and job.adapter is None and engine.NAME == engine.TRL:
        for note in modules.check(plan.lora, model):
            worker.note(note)
    make = dpo.trainer if plan.method == "dpo" else supervised
    trainer = make(job, data, plan, model, tokens)
    trainer.remove_callback(transformers.PrinterCallback)  # stdout is the run's log
    if plan.quantization is not None:
        _train_in_float32(trainer.model)
    reports.attach(trainer)

    def write(folder: Path) -> None:
        """Writes the model as it is now. All processes have to call this."""
        if launch.is_sharded(trainer):
            launch.gather(trainer, folder)
        if launch.rank() == 0:
            models.save(trainer.model, folder, job.model_name, written=launch.is_sharded(trainer))

    validations = Validations(job.checkpoints / "best", plan.patience, plan.keep_best, write)
    if job.resume is not None:
        validations.resume(job.resume)
    trainer.add_callback(validations)
    trainer.add_callback(Reporter(worker, job.checkpoints))  # behind what writes into checkpoints
    if plan.arguments["eval_steps"] is None:
        trainer.args.eval_steps = steps_of_an_epoch(trainer)
    worker.stage("train")
    trainer.train(resume_from_checkpoint=str(job.resume) if job.resume else None)
    state = trainer.state
    if state.global_step < state.max_steps and not validations.ended_at:
        return Outcome(done=False, step=state.global_step)
    worker.stage("save")
    for note in validations.notes(state.max_steps):
        worker.note(note)
    if validations.model is None:
        write(job.result)
    elif launch.rank() == 0:
        shutil.copytree(validations.model, job.result)
    if launch.rank() == 0:
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
    if validations.best is not None:
        statistics["best_eval_loss"], statistics["best_step"] = validations.best, float(validations.best_step)
    return Outcome(
        True, state.global_step, early=state.global_step < state.max_steps, tokens=tokens_seen(trainer, data), statistics=statistics
    )


def tokens_seen(trainer: Any, data: Data) -> int:
    """The tokens that were trained on. Of packed rows it is the share of the epochs."""
    if getattr(trainer.args, "packing", False):
        return round(data.counts.tokens * (trainer.state.epoch or 0))
    of_step = trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps * trainer.args.world_size
    return data.counts.seen(trainer.state.global_step, steps_of_an_epoch(trainer), of_step)


def supervised(job: Job, data: Data, plan: Plan, model: Any, tokens: Any) -> Any:
    """TRL's trainer on rows with labels."""
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    return SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=str(job.checkpoints), **plan.arguments),
        train_dataset=data.training,
        eval_dataset=data.validation,
        processing_class=tokens,
        peft_config=models.adapter(plan) if job.adapter is None and engine.NAME == engine.TRL else None,
    )


def steps_of_an_epoch(trainer: Any) -> int:
    """The optimizer steps of an epoch, of which the last one may have fewer batches."""
    batches, of_a_step = len(trainer.get_train_dataloader()), int(trainer.args.gradient_accumulation_steps)
    return max(1, -(-batches // of_a_step))


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
