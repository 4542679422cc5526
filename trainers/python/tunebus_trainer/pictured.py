"""Prompts with images, of which the processor of a model that sees makes tokens."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from . import model as models


class BadPicture(ValueError):
    """A prompt, or an image of it, cannot be read."""


@dataclasses.dataclass(frozen=True)
class Pictured:
    """What a prompt has in the place of token ids. Images are in the order of their places."""

    messages: list[dict[str, Any]]
    images: list[str]
    tools: list[dict[str, Any]] | None

    @classmethod
    def read(cls, line: dict[str, Any]) -> Pictured | None:
        """Reads a line of the file of prompts; None if it has ids alone."""
        if "messages" not in line:
            return None
        return cls(list(line["messages"]), [str(path) for path in line.get("images", [])], line.get("tools"))


class Encoder:
    """Makes the arguments of ``generate`` of a batch, with the processor of the model."""

    def __init__(self, folder: Path, keys: dict[str, Any]) -> None:
        self._processor = models.processor(folder)
        self._processor.tokenizer.padding_side = "left"
        extra = keys.get("chat_template_kwargs") or {}
        self._arguments: dict[str, Any] = json.loads(extra) if isinstance(extra, str) else dict(extra)

    def encode(self, batch: list[Pictured]) -> dict[str, Any]:
        """Tensors by their names. All prompts of a batch have images, or none has. Raises BadPicture."""
        texts = [self._text(prompt) for prompt in batch]
        images = [[_open(path) for path in prompt.images] for prompt in batch]
        try:
            made = self._processor(
                text=texts,
                images=images if any(images) else None,
                padding=True,
                add_special_tokens=False,
                return_tensors="pt",
            )
        except (TypeError, ValueError, IndexError) as err:
            raise BadPicture(f"the processor of the model cannot read a prompt with its images: {err}") from err
        return dict(made)

    def _text(self, prompt: Pictured) -> str:
        tools = {"tools": prompt.tools} if prompt.tools else {}
        arguments: Any = {**self._arguments, **tools}
        return str(self._processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True, **arguments))


def _open(path: str) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError) as err:
        raise BadPicture(f"an image cannot be read: {err}") from err
