"""What the keys of a specification's section ``fine_tuner`` become in TRL.

The functions here are pure: they import neither torch nor TRL, so that
``--describe`` answers at once, and the tests of the table need no packages.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from . import reports

# Defaults of TRL and transformers differ from those of tunebus and change from version
# to version, so every key is passed, also where it has its default.


@dataclasses.dataclass(frozen=True)
class Keys:
    """The keys that this trainer honours, by their names in the specification."""

    max_sequence_length: int = 4096
    dtype: str = ""
    load_in_4bit: bool = False
    load_in_8bit: bool = False
    full_finetuning: bool = False
    rank: int = 16
    lora_alpha: float = 16
    lora_dropout: float = 0
    target_modules: list[str] | str = dataclasses.field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    bias: str = "none"
    use_rslora: bool = False
    loftq_config: str = ""
    device_train_batch_size: int = 4
    device_validation_batch_size: int = 4
    grad_accumulation: int = 4
    epochs: int = 3
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    weight_decay: float = 0.01
    max_grad_norm: float = 1
    lr_scheduler_type: str = "linear"
    optimizer: str = "adamw_torch"
    seed: int = 42
    log_steps: int = 1
    log_first_step: bool = True
    save_steps: int = 20
    save_total_limit: int = 3
    packing: bool = False
    use_gradient_checkpointing: bool | str = False
    use_flash_attention: bool = False
    report_to: str = "mlflow"
    wandb_project_name: str = ""

    @classmethod
    def read(cls, section: dict[str, Any]) -> Keys:
        """Takes the keys that this trainer honours out of the section.

        Raises KeyFault for values of another type.
        """
        taken: dict[str, Any] = {}
        faults = []
        for field in dataclasses.fields(cls):
            if field.name not in section:
                continue
            value = section[field.name]
            if field.type == "float" and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            wanted = _TYPES.get(str(field.type))
            if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool) and bool not in wanted):
                faults.append((field.name, f"fine_tuner.{field.name} = {value!r}: want {field.type}"))
            taken[field.name] = value
        if faults:
            raise KeyFault(*faults)
        return cls(**taken)


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float,), "bool": (bool,), "str": (str,), "bool | str": (bool, str)}

# Keys that tunebus itself has honoured in the rows of the job.
PREPARED = (
    "base_model_id", "training_data_id", "validation_data_id", "dataset_num_proc", "question_column",
    "ground_truth_column", "system_prompt_column", "system_prompt_override_text", "data_format", "data_encoding",
    "data_delimiter", "train_on", "chat_template_kwargs", "question_part", "answer_part", "train_on_responses_only",
)  # fmt: skip

OPTIMIZERS_OF_BITSANDBYTES = ("8bit", "paged_", "_4bit", "ademamix", "bnb")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the choice of a value depends on."""

    accelerator: bool = False
    bfloat16: bool = False  # the accelerator computes in bfloat16
    bitsandbytes: bool = False
    flash_attention: bool = False
    wandb: bool = False
    wandb_key: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """The arguments of a training, with a note for each choice that the keys do not make."""

    arguments: dict[str, Any]  # of trl.SFTConfig
    lora: dict[str, Any] | None  # of peft.LoraConfig; None trains all weights
    quantization: dict[str, Any] | None  # of transformers.BitsAndBytesConfig
    dtype: str  # of the weights, as torch names it
    attention: str  # attn_implementation
    notes: list[str]


class KeyFault(ValueError):
    """The keys ask for what cannot be had, whatever the attempt. key is the first of them."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__("; ".join(text for _, text in faults))
        self.key = faults[0][0]


def plan(keys: Keys, machine: Machine, validation_rows: int) -> Plan:
    """Chooses the arguments of a training. Raises KeyFault with all faults at once."""
    faults = _faults(keys, machine)
    if faults:
        raise KeyFault(*faults)
    notes: list[str] = []
    compute = _compute_dtype(keys, machine, notes)
    # Gradients of float16 weights cannot be scaled, so these train in float32 with
    # float16 products.
    weights = "float32" if compute == "float16" and keys.full_finetuning else compute
    return Plan(
        arguments=_arguments(keys, machine, compute, validation_rows, notes),
        lora=None if keys.full_finetuning else _lora(keys),
        quantization=_quantization(keys, compute),
        dtype=weights,
        attention=_attention(keys, machine, notes),
        notes=notes,
    )


def _faults(keys: Keys, machine: Machine) -> list[tuple[str, str]]:
    faults = []
    quantized = keys.load_in_4bit or keys.load_in_8bit
    if keys.load_in_4bit and keys.load_in_8bit:
        faults.append(("load_in_4bit", "fine_tuner.load_in_4bit and fine_tuner.load_in_8bit are both true: choose one"))
    if keys.full_finetuning and quantized:
        faults.append(
            ("full_finetuning", "fine_tuner.full_finetuning trains no quantised weights: set load_in_4bit and load_in_8bit to false")
        )
    if quantized and not machine.bitsandbytes:
        faults.append(
            ("load_in_4bit", "fine_tuner.load_in_4bit and load_in_8bit need the Python package bitsandbytes, which is not installed here")
        )
    if keys.loftq_config and quantized:
        faults.append(("loftq_config", "fine_tuner.loftq_config quantises itself: set load_in_4bit and load_in_8bit to false"))
    if isinstance(keys.target_modules, list) and "lm_head" in keys.target_modules and not keys.full_finetuning:
        faults.append(("target_modules", "fine_tuner.target_modules: TRL trains no adapter of lm_head: leave it out"))
    return faults


def _compute_dtype(keys: Keys, machine: Machine, notes: list[str]) -> str:
    if keys.dtype:
        return keys.dtype
    chosen = "float32"
    if machine.accelerator:
        chosen = "bfloat16" if machine.bfloat16 else "float16"
    notes.append(f"fine_tuner.dtype is empty: trained in {chosen}, as this machine suggests")
    return chosen


def _optimizer(keys: Keys, machine: Machine, notes: list[str]) -> str:
    if not any(part in keys.optimizer for part in OPTIMIZERS_OF_BITSANDBYTES):
        return keys.optimizer
    if machine.bitsandbytes and machine.accelerator:
        return keys.optimizer
    if "adamw" not in keys.optimizer:
        raise KeyFault(("optimizer", f"fine_tuner.optimizer = {keys.optimizer!r} needs bitsandbytes and an accelerator"))
    notes.append(f"fine_tuner.optimizer = {keys.optimizer!r} needs bitsandbytes and an accelerator: trained with adamw_torch")
    return "adamw_torch"


def _attention(keys: Keys, machine: Machine, notes: list[str]) -> str:
    if not keys.use_flash_attention:
        return "sdpa"
    if machine.flash_attention:
        return "flash_attention_2"
    notes.append("fine_tuner.use_flash_attention: flash-attn is not there, or has no accelerator: PyTorch's own attention was used")
    return "sdpa"


def _lora(keys: Keys) -> dict[str, Any]:
    lora: dict[str, Any] = {
        "r": keys.rank,
        "lora_alpha": keys.lora_alpha,
        "lora_dropout": keys.lora_dropout,
        "target_modules": keys.target_modules,
        "bias": keys.bias,
        "use_rslora": keys.use_rslora,
        "task_type": "CAUSAL_LM",
    }
    if keys.loftq_config:
        lora["init_lora_weights"] = "loftq"
    return lora


def _quantization(keys: Keys, compute: str) -> dict[str, Any] | None:
    if keys.load_in_8bit:
        return {"load_in_8bit": True}
    if keys.load_in_4bit:  # the package's own default is fp4
        return {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": compute,
        }
    return None


def _reports(keys: Keys, machine: Machine, notes: list[str]) -> list[str] | str:
    names, of_them = reports.choose(keys.report_to, machine.wandb)
    notes += of_them
    return names or "none"


def _arguments(keys: Keys, machine: Machine, compute: str, validation_rows: int, notes: list[str]) -> dict[str, Any]:
    saves = keys.save_steps > 0
    return {
        "per_device_train_batch_size": keys.device_train_batch_size,
        "per_device_eval_batch_size": keys.device_validation_batch_size,
        "gradient_accumulation_steps": keys.grad_accumulation,
        "num_train_epochs": keys.epochs,
        "max_steps": -1,
        "learning_rate": keys.learning_rate,
        "warmup_steps": keys.warmup_steps,
        "weight_decay": keys.weight_decay,
        "max_grad_norm": keys.max_grad_norm,
        "lr_scheduler_type": keys.lr_scheduler_type,
        "optim": _optimizer(keys, machine, notes),
        "seed": keys.seed,
        "data_seed": keys.seed,
        "bf16": compute == "bfloat16",
        "fp16": compute == "float16",
        "use_cpu": not machine.accelerator,
        "logging_strategy": "steps",
        "logging_steps": max(keys.log_steps, 1),
        "logging_first_step": keys.log_first_step,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen
        "eval_strategy": "epoch" if validation_rows else "no",
        "save_strategy": "steps" if saves else "no",
        "save_steps": keys.save_steps if saves else 500,
        "save_total_limit": None,  # older ones go once the newer one is kept
        "save_only_model": False,
        "push_to_hub": False,  # tunebus pushes once, at the end
        "report_to": _reports(keys, machine, notes),
        "disable_tqdm": True,
        "gradient_checkpointing": bool(keys.use_gradient_checkpointing),
        "packing": keys.packing,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "max_length": keys.max_sequence_length if keys.packing else None,  # rows come cut
        "dataset_kwargs": {"skip_prepare_dataset": not keys.packing},
        "dataset_num_proc": None,
        "dataloader_num_workers": 0,
        "dataloader_drop_last": False,
        "remove_unused_columns": True,
        "train_sampling_strategy": "sequential",  # the job's rows are shuffled
        "neftune_noise_alpha": None,
        "label_smoothing_factor": 0.0,
        "average_tokens_across_devices": True,
        "loss_type": "nll",
    }
