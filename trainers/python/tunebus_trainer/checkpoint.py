"""A look at the checkpoint that a job goes on from, before anything is opened."""

from __future__ import annotations

import json
from pathlib import Path


class CheckpointFault(ValueError):
    """The checkpoint is none of this training. It can start over."""


def check(folder: Path, adapter: bool) -> None:
    """Raises CheckpointFault where a training with an adapter, or of all weights, cannot go on from a folder."""
    try:
        step = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CheckpointFault(f"the checkpoint has no state of a training: {type(err).__name__} in trainer_state.json") from err
    # Several processes write other names, which transformers itself looks for.
    if not any(folder.glob("*optimizer*")) and not any(folder.glob("global_step*")):
        raise CheckpointFault(f"the checkpoint of step {step} has no optimizer.pt")
    has = {"an adapter": any(folder.glob("adapter_model*")), "all weights": any(folder.glob("model*.safetensors"))}
    wants, other = ("an adapter", "all weights") if adapter else ("all weights", "an adapter")
    if has[other] and not has[wants]:
        raise CheckpointFault(f"the checkpoint of step {step} has {other}, and this training is one of {wants}")
