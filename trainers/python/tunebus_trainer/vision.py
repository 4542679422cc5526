"""Models that see: which parts of them learn, and their rows with images.

A processor makes tokens of the texts and the images of a row together, so these rows are
read as messages, not as the tokens that tunebus has made of their texts.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .callbacks import Worker
from .keys import KeyFault, Keys, Plan
from .rows import Counts, RowFault

# Parts of the names of modules, as the models of transformers have them.
VISION = re.compile(r"(^|\.)(vision_tower|vision_model|vision_encoder|vision|visual|image_encoder|vit)(\.|$)")
CONNECTOR = re.compile(r"(^|\.)(multi_modal_projector|mm_projector|connector|projector|aligner|perceiver_resampler)(\.|$)")
ATTENTION = re.compile(r"(^|\.)(self_attn|attn|attention|self_attention|cross_attn|cross_attention)(\.|$)")
MLP = re.compile(r"(^|\.)(mlp|feed_forward|ffn|block_sparse_moe)(\.|$)")

# Arguments of the training that differ from those for texts.
ARGUMENTS: dict[str, Any] = {
    "remove_unused_columns": False,  # the table has others than its rows
    "ddp_find_unused_parameters": True,  # a batch without images uses no vision layers
}

PROGRESS = 50  # rows between two messages to the worker


@dataclasses.dataclass(frozen=True)
class Switches:
    """The keys of this module, by their names in the specification."""

    is_multimodel: bool = False
    finetune_vision_layers: bool = False
    finetune_language_layers: bool = False
    finetune_attention_modules: bool = False
    finetune_mlp_modules: bool = False

    @classmethod
    def read(cls, section: dict[str, Any]) -> Switches:
        """Takes the keys out of the section fine_tuner."""
        return cls(**{field.name: bool(section.get(field.name, False)) for field in dataclasses.fields(cls)})

    def check(self, keys: Keys) -> None:
        """Raises KeyFault if nothing would learn, or with keys that models that see cannot have."""
        if not self.is_multimodel:
            return
        faults = []
        asked = "fine_tuner.is_multimodel = true trains"
        if not (self.finetune_vision_layers or self.finetune_language_layers):
            text = f"{asked} no layers: set finetune_language_layers or finetune_vision_layers to true (usually the first)"
            faults.append(("finetune_language_layers", text))
        if not (self.finetune_attention_modules or self.finetune_mlp_modules):
            text = f"{asked} no modules: set finetune_attention_modules or finetune_mlp_modules to true (usually both)"
            faults.append(("finetune_attention_modules", text))
        if keys.method == "dpo":
            faults.append(("method", 'fine_tuner.method = "dpo" does not see: set is_multimodel to false, or method to "sft"'))
        if keys.packing:
            faults.append(("packing", "fine_tuner.packing cannot join rows with images: set it to false, or is_multimodel"))
        if faults:
            raise KeyFault(*faults)

    def learns(self, name: str) -> bool:
        """Says whether the parameter, or the module, of a name learns: no switch that is off names it."""
        if VISION.search(name):
            if not self.finetune_vision_layers:
                return False
        elif not CONNECTOR.search(name) and not self.finetune_language_layers:
            return False
        if ATTENTION.search(name):
            return self.finetune_attention_modules
        return self.finetune_mlp_modules or not MLP.search(name)

    def targets(self, model: Any, wanted: list[str] | str) -> list[str]:
        """The linear modules that get an adapter. Raises KeyFault if there are none.

        target_modules names those of the language layers; those of the vision layers are
        called otherwise in each model, and all of them are meant.
        """
        import torch

        found = []
        for name, module in model.named_modules():
            if not isinstance(module, torch.nn.Linear) or not (ATTENTION.search(name) or MLP.search(name)):
                continue
            named = wanted == "all-linear" or bool(VISION.search(name)) or name.rsplit(".", 1)[-1] in wanted
            if named and self.learns(name):
                found.append(name)
        if not found:
            raise KeyFault(("target_modules", "no module of the base model is one that target_modules and the switches finetune_* choose"))
        return found

    def apply(self, plan: Plan, model: Any, adapted: bool) -> Plan:
        """Takes what a switch leaves out of the training, and returns the plan for a model that sees.

        adapted says that the model has an adapter already, which is trained further.
        """
        arguments = {**plan.arguments, **ARGUMENTS}
        if plan.lora is not None and not adapted:
            lora = {**plan.lora, "target_modules": self.targets(model, plan.lora["target_modules"])}
            return dataclasses.replace(plan, arguments=arguments, lora=lora)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and self.learns(name))
        return dataclasses.replace(plan, arguments=arguments)


def table(path: Path, folder: Path, limit: int, responses: bool, processor: Any, worker: Worker) -> tuple[Any, Counts]:
    """Returns a ``datasets.Dataset`` of the messages of a file, and their counts.

    Its rows have messages, or prompt and completion where the responses alone count, and
    images as the processor wants them, which are read when they are asked for. Rows of more
    tokens than the limit are left out: images cannot be cut. It is None if no row is left.
    """
    import datasets
    import pyarrow as pa

    counts, several = Counts(), 0
    stored = folder / (path.stem + ".arrow")
    with pa.ipc.new_stream(stored, pa.schema({"line": pa.string()})) as writer:
        for number, line in enumerate(_lines(path), 1):
            row = _open(path, number, line, responses)
            several += any(message["role"] == "assistant" for message in row.get("prompt", []))
            tokens = _count(processor, row)
            if tokens > limit:
                counts.dropped += 1
            else:
                counts.count(tokens)
                writer.write_batch(pa.RecordBatch.from_pylist([{"line": line}], pa.schema({"line": pa.string()})))
            if number % PROGRESS == 0:
                worker.stage("tokenise", number)
    if several:
        worker.note(f"fine_tuner.is_multimodel: of {several} conversations with several answers the last one alone counts in the loss")
    if counts.rows == 0:
        return None, counts
    made = datasets.Dataset.from_file(str(stored))
    made.set_transform(lambda batch: _columns([_open(path, 0, line, responses) for line in batch["line"]]))
    return made, counts


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        yield from lines


def _open(path: Path, number: int, line: str, responses: bool) -> dict[str, Any]:
    """A row of the file, with its images decoded."""
    from PIL import Image

    try:
        row = json.loads(line)
        if "text" in row:
            raise ValueError("it is a plain text, and a model that sees learns from messages")
        if "tools" in row:
            raise ValueError("it has tools, which this trainer cannot write for a model that sees")
        messages = [_parts(message) for message in row["messages"]]
        images = []
        for name in row.get("images", []):
            with Image.open(name) as image:
                images.append(image.convert("RGB"))
        if not responses or not messages or messages[-1]["role"] != "assistant":
            return {"messages": messages, "images": images}
        return {"prompt": messages[:-1], "completion": messages[-1:], "images": images}
    except (KeyError, TypeError, ValueError, OSError) as err:
        raise RowFault(f"{path.name}, line {number}: {err}") from err


def _parts(message: dict[str, Any]) -> dict[str, Any]:
    """A message with its content as parts: templates of models that see know no texts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return {**message, "content": content}


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = rows[0].keys()
    return {name: [row[name] for row in rows] for name in names}


def _count(processor: Any, row: dict[str, Any]) -> int:
    """The tokens of a row, with those of its images."""
    messages = row.get("messages") or row["prompt"] + row["completion"]
    text = processor.apply_chat_template(messages, tokenize=False)
    made = processor(text=[text], images=[row["images"]] if row["images"] else None, add_special_tokens=False)
    return len(made["input_ids"][0])
