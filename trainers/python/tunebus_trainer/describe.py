"""What this trainer can do here."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
from typing import Any

from . import engine, launch, vision
from .job import PROTOCOL
from .keys import OTHER_PACKAGES, Keys, Machine, package_of

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
        packages=frozenset(name for name in OTHER_PACKAGES if _there(name)),
    )


def description(found: Machine) -> dict[str, Any]:
    """The fields that --describe prints and hello has."""
    import torch
    import transformers

    optimizers = [o.value for o in transformers.training_args.OptimizerNames if _has_optimizer(found, o.value)]
    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return {
        "protocol": PROTOCOL,
        "name": engine.NAME,
        "version": version(),
        "rows": "tokens",
        "versions": versions(),
        "devices": devices or ([] if engine.NAME == engine.UNSLOTH else ["cpu"]),
        "methods": ["lora", "full"] + (["dpo"] if engine.NAME == engine.TRL else []) + (["qlora"] if found.bitsandbytes else []),
        "keys": list(dict.fromkeys(field.name for kind in (Keys, launch.Processes, vision.Switches) for field in dataclasses.fields(kind))),
        "optimizers": optimizers,
        "schedulers": [s.value for s in transformers.SchedulerType],
        "quantisation": ["4bit", "8bit"] if found.bitsandbytes else [],
        "vision": True,
    }


def versions() -> dict[str, str]:
    """The versions of the packages that are installed, by their names."""
    installed = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def _has_optimizer(found: Machine, name: str) -> bool:
    package = package_of(name)
    if package == "bitsandbytes":
        return found.bitsandbytes or "adamw" in name  # AdamW takes the place of its AdamW
    return not package or package in found.packages


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
