"""Opens the base model of a job, and writes the trained one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .keys import Plan


def load(folder: Path, plan: Plan, sees: bool = False) -> Any:
    """The base model with the plan's types, quantised if the plan says so. sees asks for one that sees."""
    import torch
    import transformers

    quantization = None
    if plan.quantization is not None:
        arguments = dict(plan.quantization)
        if "bnb_4bit_compute_dtype" in arguments:
            arguments["bnb_4bit_compute_dtype"] = getattr(torch, arguments["bnb_4bit_compute_dtype"])
        quantization = transformers.BitsAndBytesConfig(**arguments)  # type: ignore[no-untyped-call]
    kind: Any = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    config: Any = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return kind.from_pretrained(
        folder,
        dtype=getattr(torch, plan.dtype),
        quantization_config=quantization,
        attn_implementation=_attention(kind, config, plan.attention),
        local_files_only=True,
        trust_remote_code=False,
    )


def _attention(kind: Any, config: Any, wanted: str) -> str:
    """The attention that is wanted, or the one that every architecture has."""
    if type(config) not in kind._model_mapping:
        return wanted  # from_pretrained says what is wrong
    model = kind._model_mapping[type(config)]
    has = model._supports_sdpa if wanted == "sdpa" else model._supports_flash_attn
    return wanted if has else "eager"


def attention_note(model: Any, plan: Plan) -> str | None:
    """What to say where a model was opened with another attention than the plan has."""
    used = getattr(model.config, "_attn_implementation", plan.attention)
    if used == plan.attention:
        return None
    return f"{type(model).__name__} does not support the attention {plan.attention!r}: it computes with {used!r}, which is slower"


def continued(base: Any, folder: Path) -> Any:
    """The base model with an adapter that is trained further."""
    import peft

    return peft.PeftModel.from_pretrained(base, folder, is_trainable=True, local_files_only=True)


def adapter(plan: Plan) -> Any:
    """The configuration of a new adapter; None where all weights learn."""
    if plan.lora is None:
        return None
    import peft

    arguments = dict(plan.lora)
    if arguments.get("init_lora_weights") == "loftq":
        arguments["loftq_config"] = peft.LoftQConfig(**arguments["loftq_config"])
    return peft.LoraConfig(**arguments)


def tokenizer(folder: Path) -> Any:
    """The tokenizer of the base model, with a token to fill short rows with."""
    import transformers

    tokens = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokens.pad_token is None:
        tokens.pad_token = tokens.eos_token
    return tokens


def processor(folder: Path) -> Any:
    """The processor of a base model that sees, with a token to fill short rows with."""
    import transformers

    kind: Any = transformers.AutoProcessor
    made = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if made.tokenizer.pad_token is None:
        made.tokenizer.pad_token = made.tokenizer.eos_token
    return made


def save(trained: Any, folder: Path, base: str, written: bool = False) -> None:
    """Writes the adapter, or all weights, unless they are written. base is the name of the base model, as the person gave it."""
    if not written and hasattr(trained, "peft_config"):  # a method may have added an adapter to compare with
        trained.save_pretrained(folder, selected_adapters=["default"])
    elif not written:
        trained.save_pretrained(folder)
    shutil.rmtree(folder / "ref", ignore_errors=True)
    described = folder / "adapter_config.json"
    if described.exists():  # PEFT writes the folder that the model was loaded from
        config = json.loads(described.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = base
        described.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
