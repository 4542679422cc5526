"""Opens a model with Unsloth's loaders, and gives it its adapter.

The functions that make arguments are pure. Nobody has run this on an accelerator yet: the
tests hold what becomes of each key, with a stand-in for the package.
"""

from __future__ import annotations

import importlib
from typing import Any

from .job import Job
from .keys import KeyFault, Plan

# The switches of vision models, which Unsloth calls by the names of the specification.
SWITCHES = ("finetune_vision_layers", "finetune_language_layers", "finetune_attention_modules", "finetune_mlp_modules")


def check(keys: dict[str, Any]) -> None:
    """Raises KeyFault for what the other engine has and this one does not."""
    if keys.get("method", "sft") != "sft":
        raise KeyFault(("method", f'the unsloth engine has method = "sft" alone: use fine_tuner.engine = "trl" for {keys["method"]!r}'))


def loading(job: Job, plan: Plan) -> dict[str, Any]:
    """The arguments of ``from_pretrained``. plan.dtype is a name of torch's."""
    quantized = plan.quantization or {}
    return {
        "model_name": str(job.adapter or job.model),
        "max_seq_length": job.keys["max_sequence_length"],
        "dtype": plan.dtype,
        "load_in_4bit": bool(quantized.get("load_in_4bit")),
        "load_in_8bit": bool(quantized.get("load_in_8bit")),
        "full_finetuning": plan.lora is None,
        "use_gradient_checkpointing": checkpointing(job.keys),
        "random_state": job.seed,
        "use_exact_model_name": True,  # else another model of the Hub may take its place
        "trust_remote_code": False,
        "local_files_only": True,
    }


def checkpointing(keys: dict[str, Any]) -> str | bool:
    """The value of use_gradient_checkpointing: "unsloth" is its own, True is PyTorch's."""
    value = keys.get("use_gradient_checkpointing", False)
    return "unsloth" if value == "unsloth" else bool(value)


def adapting(job: Job, plan: Plan) -> dict[str, Any]:
    """The arguments of ``get_peft_model``."""
    assert plan.lora is not None
    arguments = {name: value for name, value in plan.lora.items() if name != "task_type"}
    arguments["use_gradient_checkpointing"] = checkpointing(job.keys)
    arguments["random_state"] = job.seed  # its own default is 3407
    if job.keys.get("is_multimodel"):
        arguments.update({name: bool(job.keys.get(name)) for name in SWITCHES})
    return arguments


def load(job: Job, plan: Plan) -> Any:
    """The model of a job with its adapter, if it gets one, ready for a trainer."""
    import torch

    unsloth = importlib.import_module("unsloth")
    loader = unsloth.FastVisionModel if job.keys.get("is_multimodel") else unsloth.FastLanguageModel
    arguments = loading(job, plan)
    arguments["dtype"] = getattr(torch, plan.dtype)
    model, _ = loader.from_pretrained(**arguments)
    if plan.lora is None or job.adapter is not None:  # an adapter is opened together with its base
        return model
    arguments = adapting(job, plan)
    if arguments.get("init_lora_weights") == "loftq":
        import peft

        arguments["loftq_config"] = peft.LoftQConfig(loftq_bits=4)
    return loader.get_peft_model(model, **arguments)
