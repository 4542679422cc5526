"""Whether the schedule of the learning rate can be had with its arguments."""

from __future__ import annotations

import inspect
from typing import Any

from .keys import KeyFault, Keys

# What the trainer passes itself.
_PASSED = ("optimizer", "num_warmup_steps", "num_training_steps", "last_epoch", "kwargs")


def check(keys: Keys) -> None:
    """Raises KeyFault where transformers makes no schedule of lr_scheduler_kwargs, which it would say once the model is loaded."""
    if not keys.lr_scheduler_kwargs:
        return
    import torch
    import transformers

    name = keys.lr_scheduler_type
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=keys.learning_rate)
    try:
        unknown = [k for k in keys.lr_scheduler_kwargs if name != "greedy" and k not in arguments(name)]
        if unknown:  # of which transformers ignores some
            raise ValueError(f"it has no {', '.join(unknown)}")
        schedule = transformers.get_scheduler(
            name, optimizer, num_warmup_steps=1, num_training_steps=1_000_000, scheduler_specific_kwargs=dict(keys.lr_scheduler_kwargs)
        )
        for share in getattr(schedule, "lr_lambdas", ()):
            share(2)
    except Exception as err:  # whatever it is, the training would end with it
        given, takes = ", ".join(f"{k} = {v!r}" for k, v in keys.lr_scheduler_kwargs.items()), ", ".join(arguments(name)) or "none"
        text = f"fine_tuner.lr_scheduler_kwargs = {{{given}}}: the schedule {name!r} does not take this ({err}); its arguments are: {takes}"
        raise KeyFault(("lr_scheduler_kwargs", text)) from err


def arguments(name: str) -> list[str]:
    """The arguments of a schedule that a person may choose."""
    import torch
    import transformers

    function: Any = transformers.optimization.TYPE_TO_SCHEDULER_FUNCTION.get(transformers.SchedulerType(name))
    if name == "reduce_lr_on_plateau":
        function = torch.optim.lr_scheduler.ReduceLROnPlateau
    return [p for p in inspect.signature(function).parameters if p not in _PASSED]
