"""Which engine this process is: plain TRL, or Unsloth.

Unsloth changes transformers, TRL and PEFT while it is imported, so it has to be imported
before them. That is why this module decides from the command line, and why
``__main__`` imports it before all others.
"""

from __future__ import annotations

import importlib
import sys

TRL = "trl"
UNSLOTH = "unsloth"


class MachineFault(RuntimeError):
    """The engine cannot work on this machine."""


def named(arguments: list[str]) -> str:
    """The engine that a command line asks for: the value of ``--engine``; trl without one."""
    for here, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if here == "--engine":
            return following
        if here.startswith("--engine="):
            return here.removeprefix("--engine=")
    return TRL


def accelerator() -> bool:
    """Whether this machine has an accelerator that Unsloth knows."""
    import torch

    return torch.cuda.is_available() or (hasattr(torch, "xpu") and torch.xpu.is_available())


def prepare(engine: str) -> None:
    """Imports what has to be imported first. Without an accelerator it is left out: see check()."""
    if engine == UNSLOTH and accelerator():
        importlib.import_module("unsloth")


def check(engine: str) -> None:
    """Raises MachineFault where the engine cannot work on this machine."""
    if engine == UNSLOTH and not accelerator():
        raise MachineFault(
            "the unsloth engine trains on an accelerator, and this machine has none that PyTorch can use: "
            'use a machine with a GPU, or fine_tuner.engine = "trl", which trains on a CPU as well'
        )


NAME = named(sys.argv[1:])
prepare(NAME)
