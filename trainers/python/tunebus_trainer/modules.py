"""Whether the names of modules that the keys have are those of the model.

PEFT leaves a name alone that no module has, as long as another one has a module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .keys import KeyFault

SHOWN = 12  # names of modules in a sentence


def check(lora: dict[str, Any], model: Any) -> list[str]:
    """Returns notes on names that no module has. Raises KeyFault where nothing is left of a key.

    lora are the arguments of peft.LoraConfig.
    """
    import torch

    every = [name for name, _ in model.named_modules()]
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    return check_names(lora, every, linear) + check_biases(lora, [name for name, _ in model.named_parameters()], linear)


def check_biases(lora: dict[str, Any], parameters: list[str], linear: list[str]) -> list[str]:
    """Returns a note where no bias learns although the key bias says which ones do."""
    biases = [name.removesuffix(".bias") for name in parameters if name.endswith(".bias")]
    whose = "the model"
    if lora["bias"] == "lora_only":
        whose = "no module with an adapter"
        targets = lora["target_modules"]
        adapted = linear if isinstance(targets, str) else [name for name in biases if any(_is(name, target) for target in targets)]
        biases = [name for name in biases if name in adapted]
    if lora["bias"] == "none" or biases:
        return []
    has = "has no bias" if whose == "the model" else "has a bias"
    return [f"fine_tuner.bias = {lora['bias']!r} has no effect: {whose} {has}"]


def check_names(lora: dict[str, Any], every: list[str], linear: list[str]) -> list[str]:
    """check for the names of all modules of a model, and of those that are linear."""
    faults, notes = [], []
    targets = lora["target_modules"]
    adapted = linear
    if isinstance(targets, list):
        adapted = [name for name in every if any(_is(name, target) for target in targets)]
        missing = [target for target in targets if not any(_is(name, target) for name in every)]
        said = f"fine_tuner.target_modules: the model has no module {_quoted(missing)}"
        if missing and not adapted:
            faults.append(("target_modules", f"{said}; it has {_short(linear)}"))
        elif missing:
            notes.append(f"{said}: the others got an adapter")
    missing = [name for name in lora["modules_to_save"] or [] if not any(_is(module, name) for module in every)]
    if missing:
        faults.append(
            ("modules_to_save", f"fine_tuner.modules_to_save: the model has no module {_quoted(missing)}; it has {_short(every)}")
        )
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in lora[key]:
            try:  # as PEFT does
                hit = any(re.match(rf"(.*\.)?({pattern})$", name) for name in adapted)
            except re.error as err:
                faults.append((key, f"fine_tuner.{key}: {pattern!r} is no regular expression: {err}"))
                continue
            if not hit:
                faults.append((key, f"fine_tuner.{key}: {pattern!r} fits no module with an adapter; there are {_short(adapted)}"))
    if faults:
        raise KeyFault(*faults)
    return notes


def _is(module: str, name: str) -> bool:
    return module == name or module.endswith("." + name)


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _short(names: Iterable[str]) -> str:
    """The last parts of names, each once."""
    parts = sorted({name.rpartition(".")[2] for name in names} - {""} - {str(i) for i in range(1000)})
    more = len(parts) - SHOWN
    return ", ".join(parts[:SHOWN]) + (f", and {more} more" if more > 0 else "")
