"""What this program needs of its Python. An old Python has to be able to read this file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

OLDEST = (3, 11)
PACKAGES = {"trl": ("torch", "transformers", "trl", "peft", "datasets"), "unsloth": ("torch", "unsloth", "trl", "peft", "datasets")}


def lacks(engine: str, version: tuple[int, int] = sys.version_info[:2], find: Callable[[str], object] = importlib.util.find_spec) -> str:
    """Says what an engine lacks here; empty if it has all that it needs."""
    if version < OLDEST:
        return "the trainer needs Python {}.{} or later, and {} is {}.{}".format(*OLDEST, sys.executable, *version)
    missing = [name for name in PACKAGES.get(engine, ()) if find(name) is None]
    if missing:
        return (
            f"{sys.executable} lacks the packages {', '.join(missing)}; tunebus engine install {engine} makes an environment that has them"
        )
    return ""
