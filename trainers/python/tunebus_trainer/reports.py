"""What the key report_to asks for."""

from __future__ import annotations

WANDB, TENSORBOARD = "wandb", "tensorboard"


def choose(report_to: str, there: bool) -> tuple[list[str], list[str]]:
    """The reports that a value of report_to asks for, and notes. there says that the package wandb is."""
    names = {name.strip() for name in report_to.split(",")} - {"", "none", "mlflow"}
    notes = []
    if "all" in names:
        names = names - {"all"} | {WANDB, TENSORBOARD}
    others = sorted(names - {WANDB, TENSORBOARD})
    if others:
        notes.append(f"fine_tuner.report_to: nothing is reported to {', '.join(others)}; this trainer has {WANDB} and {TENSORBOARD}")
    if WANDB in names and not there:
        notes.append("fine_tuner.report_to = wandb: the Python package wandb is not there: nothing was reported to it")
        names.discard(WANDB)
    return [name for name in (WANDB, TENSORBOARD) if name in names], notes
