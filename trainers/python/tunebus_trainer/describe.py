"""What this trainer can do here."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
from typing import Any

from . import engine
from .job import PROTOCOL
from .keys import OPTIMIZERS_OF_BITSANDBYTES, Keys, Machine

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets", "unsloth")


def version() -> str:
    """The version of this package; "0" where it is not installed, but read from its folder."""
    try:
        return importlib.metadata.version("tunebus-trainer")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def machine() -> Machine:
    """Looks at the machine and the packages."""
    import torch

    accelerator = torch.cuda.is_available()
    return Machine(
        accelerator=accelerator,
        bfloat16=accelerator and torch.cuda.is_bf16_supported(),
        bitsandbytes=_there("bitsandbytes"),
        flash_attention=accelerator and _there("flash_attn"),
        wandb=_there("wandb"),
        wandb_key=bool(os.environ.get("WANDB_API_KEY")),
    )


def description(found: Machine) -> dict[str, Any]:
    """The fields that --describe prints and hello has."""
    import torch
    import transformers

    optimizers = [o.value for o in transformers.training_args.OptimizerNames]
    if not found.bitsandbytes:
        optimizers = [o for o in optimizers if "adamw" in o or not any(part in o for part in OPTIMIZERS_OF_BITSANDBYTES)]
    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return {
        "protocol": PROTOCOL,
        "name": engine.NAME,
        "version": version(),
        "rows": "tokens",
        "versions": versions(),
        "devices": devices or ([] if engine.NAME == engine.UNSLOTH else ["cpu"]),
        "methods": ["lora", "full"] + (["qlora"] if found.bitsandbytes else []),
        "keys": [field.name for field in dataclasses.fields(Keys)],
        "optimizers": optimizers,
        "schedulers": [s.value for s in transformers.SchedulerType],
        "quantisation": ["4bit", "8bit"] if found.bitsandbytes else [],
        "vision": False,
    }


def versions() -> dict[str, str]:
    """The versions of the packages that are installed, by their names."""
    installed = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
