"""What the keys of a specification's section ``fine_tuner`` become in TRL.

The functions here are pure: they import neither torch nor TRL, so that
``--describe`` answers at once, and the tests of the table need no packages.
"""

from __future__ import annotations

import dataclasses
import json
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
    use_dora: bool = False
    method: str = "sft"
    dpo_beta: float = 0.1
    modules_to_save: list[str] = dataclasses.field(default_factory=list)
    rank_pattern: dict[str, float] = dataclasses.field(default_factory=dict)
    alpha_pattern: dict[str, float] = dataclasses.field(default_factory=dict)
    device_train_batch_size: int = 4
    device_validation_batch_size: int = 4
    grad_accumulation: int = 4
    epochs: int = 3
    max_steps: int = 0
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    warmup_ratio: float = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizer: str = "adamw_torch"
    optim_args: str = ""
    adam_beta1: float = 0  # 0: the default of transformers
    adam_beta2: float = 0
    adam_epsilon: float = 0
    seed: int = 42
    log_steps: int = 1
    log_first_step: bool = True
    save_steps: int = 20
    eval_steps: int = 0
    early_stopping_patience: int = 0
    load_best_model_at_end: bool = False
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
            if value is None and str(field.type).startswith(("list", "dict")):
                continue  # an empty list or table of the worker
            if field.type == "float" and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            wanted = _TYPES.get(str(field.type))
            if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool) and bool not in wanted):
                faults.append((field.name, f"fine_tuner.{field.name} = {value!r}: want {field.type}"))
            taken[field.name] = value
        if faults:
            raise KeyFault(*faults)
        return cls(**taken)


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float,),
    "bool": (bool,),
    "str": (str,),
    "bool | str": (bool, str),
    "list[str]": (list,),
    "list[str] | str": (list, str),
    "dict[str, float]": (dict,),
    "dict[str, Any]": (dict,),
}

# The package that an optimizer needs, by the start of its name.
PACKAGES_OF_OPTIMIZERS = {
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "adamw_torch_npu_fused": "torch_npu",
    "adamw_torch_xla": "torch_xla",
    "adamw_anyprecision": "torchdistx",
    "adamw_bnb_8bit": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "paged_": "bitsandbytes",
    "ademamix": "bitsandbytes",
    "lion_": "bitsandbytes",
    "rmsprop_bnb": "bitsandbytes",
    "galore_": "galore_torch",
    "apollo_": "apollo_torch",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "grokadamw": "grokadamw",
    "stable_adamw": "optimi",
    "schedule_free_": "schedulefree",
}


# Packages that some keys need, bitsandbytes apart.
OTHER_PACKAGES = frozenset({"scipy", *PACKAGES_OF_OPTIMIZERS.values()}) - {"bitsandbytes"}


def package_of(optimizer: str) -> str:
    """The package that an optimizer needs beside torch; empty: none."""
    return next((package for start, package in PACKAGES_OF_OPTIMIZERS.items() if optimizer.startswith(start)), "")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the choice of a value depends on."""

    accelerator: bool = False
    bfloat16: bool = False  # the accelerator computes in bfloat16
    bitsandbytes: bool = False
    flash_attention: bool = False
    wandb: bool = False
    wandb_key: bool = False
    packages: frozenset[str] = frozenset()  # those of OTHER_PACKAGES that are there


@dataclasses.dataclass(frozen=True)
class Plan:
    """The arguments of a training, with a note for each choice that the keys do not make."""

    method: str  # sft or dpo
    arguments: dict[str, Any]  # of trl.SFTConfig, or of trl.DPOConfig
    lora: dict[str, Any] | None  # of peft.LoraConfig; None trains all weights
    quantization: dict[str, Any] | None  # of transformers.BitsAndBytesConfig
    dtype: str  # of the weights, as torch names it
    attention: str  # attn_implementation
    patience: int  # validations without a better one until the end; 0: it never ends early
    keep_best: bool  # the result is the model of the best validation
    notes: list[str]


class KeyFault(ValueError):
    """The keys ask for what cannot be had, whatever the attempt. key is the first of them."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__("; ".join(text for _, text in faults))
        self.key = faults[0][0]


def notes_of(keys: Keys, unsloth: bool) -> list[str]:
    """Notes on values that belong to another engine. unsloth says that Unsloth's loaders open the model."""
    if keys.use_gradient_checkpointing != "unsloth" or unsloth:
        return []
    return ["fine_tuner.use_gradient_checkpointing = 'unsloth' is the way of the engine unsloth: PyTorch's own took its place"]


def plan(keys: Keys, machine: Machine, validation_rows: int) -> Plan:
    """Chooses the arguments of a training. Raises KeyFault with all faults at once."""
    faults = _faults(keys, machine, validation_rows)
    if faults:
        raise KeyFault(*faults)
    notes: list[str] = []
    compute = _compute_dtype(keys, machine, notes)
    # Gradients of float16 weights cannot be scaled, so these train in float32 with
    # float16 products.
    weights = "float32" if compute == "float16" and keys.full_finetuning else compute
    method = keys.method or "sft"
    arguments = _arguments(keys, machine, compute, validation_rows, notes)
    return Plan(
        method=method,
        arguments=arguments | (_preferring(keys) if method == "dpo" else _supervised(keys)),
        lora=None if keys.full_finetuning else _lora(keys),
        quantization=_quantization(keys, compute),
        dtype=weights,
        attention=_attention(keys, machine, notes),
        patience=keys.early_stopping_patience,
        keep_best=keys.load_best_model_at_end,
        notes=notes,
    )


def _faults(keys: Keys, machine: Machine, validation_rows: int) -> list[tuple[str, str]]:
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
    if keys.method not in ("", "sft", "dpo"):
        faults.append(("method", f"fine_tuner.method = {keys.method!r}: want sft or dpo"))
    faults += _lora_faults(keys, machine) + _optimizer_faults(keys, machine) + _validation_faults(keys, validation_rows)
    if isinstance(keys.target_modules, list) and "lm_head" in keys.target_modules and not keys.full_finetuning:
        faults.append(("target_modules", "fine_tuner.target_modules: TRL trains no adapter of lm_head: leave it out"))
    return faults


def _lora_faults(keys: Keys, machine: Machine) -> list[tuple[str, str]]:
    if keys.full_finetuning:
        return []
    faults = []
    if keys.loftq_config and loftq(keys.loftq_config) is None:
        faults.append(
            ("loftq_config", f'fine_tuner.loftq_config = {keys.loftq_config!r}: want bits such as 4, or JSON such as {{"loftq_bits": 4}}')
        )
    if keys.loftq_config and not machine.accelerator:
        faults.append(("loftq_config", "fine_tuner.loftq_config needs an accelerator, on which PEFT quantises, and the machine has none"))
    if keys.loftq_config and "scipy" not in machine.packages:
        faults.append(("loftq_config", "fine_tuner.loftq_config needs the Python package scipy, which is not installed here"))
    if keys.loftq_config and not machine.bitsandbytes and (loftq(keys.loftq_config) or {}).get("loftq_bits") == 4:
        faults.append(
            ("loftq_config", "fine_tuner.loftq_config with 4 bits needs the Python package bitsandbytes, which is not installed here")
        )
    return faults


def loftq(text: str) -> dict[str, int] | None:
    """The arguments of peft.LoftQConfig that a value of loftq_config asks for; None if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, int):
        value = {"loftq_bits": value}
    allowed = {"loftq_bits": (4, 8), "loftq_iter": range(1, 100)}
    if not isinstance(value, dict) or any(name not in allowed or number not in allowed[name] for name, number in value.items()):
        return None
    return {"loftq_bits": 4, "loftq_iter": 1, **value}


def _optimizer_faults(keys: Keys, machine: Machine) -> list[tuple[str, str]]:
    package = package_of(keys.optimizer)
    if package == "bitsandbytes" and "adamw" in keys.optimizer:
        return []  # AdamW takes its place, with a note
    if package == "bitsandbytes" and not (machine.bitsandbytes and machine.accelerator):
        return [("optimizer", f"fine_tuner.optimizer = {keys.optimizer!r} needs bitsandbytes and an accelerator")]
    if package not in ("", "bitsandbytes") and package not in machine.packages:
        return [("optimizer", f"fine_tuner.optimizer = {keys.optimizer!r} needs the Python package {package}, which is not installed here")]
    return []


def _validation_faults(keys: Keys, validation_rows: int) -> list[tuple[str, str]]:
    if validation_rows:
        return []
    asked = {
        "early_stopping_patience": keys.early_stopping_patience > 0,
        "load_best_model_at_end": keys.load_best_model_at_end,
        "lr_scheduler_type": keys.lr_scheduler_type == "reduce_lr_on_plateau",
    }
    return [(name, f"fine_tuner.{name} compares validations, and there is no row to validate with") for name, yes in asked.items() if yes]


def _compute_dtype(keys: Keys, machine: Machine, notes: list[str]) -> str:
    if keys.dtype:
        return keys.dtype
    chosen = "float32"
    if machine.accelerator:
        chosen = "bfloat16" if machine.bfloat16 else "float16"
    notes.append(f"fine_tuner.dtype is empty: trained in {chosen}, as this machine suggests")
    return chosen


def _optimizer(keys: Keys, machine: Machine, notes: list[str]) -> str:
    if package_of(keys.optimizer) != "bitsandbytes" or machine.bitsandbytes and machine.accelerator:
        return keys.optimizer
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
        "target_modules": "all-linear" if keys.target_modules == ["all-linear"] else keys.target_modules,
        "bias": keys.bias,
        "use_rslora": keys.use_rslora,
        "use_dora": keys.use_dora,
        "modules_to_save": keys.modules_to_save or None,
        "rank_pattern": {name: int(rank) for name, rank in keys.rank_pattern.items()},
        "alpha_pattern": dict(keys.alpha_pattern),
        "init_lora_weights": True,
        "task_type": "CAUSAL_LM",
    }
    if keys.loftq_config:
        lora["init_lora_weights"] = "loftq"
        lora["loftq_config"] = loftq(keys.loftq_config)
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
        "max_steps": keys.max_steps or -1,
        "learning_rate": keys.learning_rate,
        "warmup_steps": keys.warmup_ratio or keys.warmup_steps,  # a number below 1 is a share
        "weight_decay": keys.weight_decay,
        "max_grad_norm": keys.max_grad_norm,
        "lr_scheduler_type": keys.lr_scheduler_type,
        "lr_scheduler_kwargs": keys.lr_scheduler_kwargs or None,
        "optim": _optimizer(keys, machine, notes),
        "optim_args": keys.optim_args or None,
        "adam_beta1": keys.adam_beta1 or 0.9,
        "adam_beta2": keys.adam_beta2 or 0.999,
        "adam_epsilon": keys.adam_epsilon or 1e-8,
        "optim_target_modules": keys.target_modules if keys.optimizer.startswith(("galore_", "apollo_")) else None,
        "seed": keys.seed,
        "data_seed": keys.seed,
        "bf16": compute == "bfloat16",
        "fp16": compute == "float16",
        "use_cpu": not machine.accelerator,
        "logging_strategy": "steps",
        "logging_steps": max(keys.log_steps, 1),
        "logging_first_step": keys.log_first_step,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen
        # Where eval_steps is 0, the steps of an epoch take its place once they are known. An
        # evaluation at the end of an epoch would come behind the checkpoint of its last
        # step, so that a training that goes on from there had none.
        "eval_strategy": "steps" if validation_rows else "no",
        "eval_steps": keys.eval_steps or None,
        "eval_on_start": False,
        "load_best_model_at_end": False,  # see validation.BestModel
        "metric_for_best_model": "eval_loss" if validation_rows else None,  # of reduce_lr_on_plateau
        "greater_is_better": False,
        "save_strategy": "steps" if saves else "no",
        "save_steps": keys.save_steps if saves else 500,
        "save_total_limit": None,  # older ones go once the newer one is kept
        "save_only_model": False,
        "push_to_hub": False,  # tunebus pushes once, at the end
        "report_to": _reports(keys, machine, notes),
        "disable_tqdm": True,
        "gradient_checkpointing": bool(keys.use_gradient_checkpointing),
        "dataset_num_proc": None,
        "dataloader_num_workers": 0,
        "dataloader_drop_last": False,
        "remove_unused_columns": True,
        "train_sampling_strategy": "sequential",  # the job's rows are shuffled
        "neftune_noise_alpha": None,
        "label_smoothing_factor": 0.0,
        "average_tokens_across_devices": True,
    }


def _supervised(keys: Keys) -> dict[str, Any]:
    """What trl.SFTConfig has beside the arguments of every method."""
    return {
        "packing": keys.packing,
        "packing_strategy": "bfd",
        "eval_packing": False,
        "max_length": keys.max_sequence_length if keys.packing else None,  # rows come cut
        "dataset_kwargs": {"skip_prepare_dataset": not keys.packing},
        "loss_type": "nll",
    }


def _preferring(keys: Keys) -> dict[str, Any]:
    """What trl.DPOConfig has beside the arguments of every method."""
    return {
        "beta": keys.dpo_beta,
        "loss_type": ["sigmoid"],
        "loss_weights": None,
        "label_smoothing": 0.0,
        "f_divergence_type": "reverse_kl",
        "ld_alpha": None,
        "use_weighting": False,
        "max_length": None,  # rows come cut
        "truncation_mode": "keep_start",
        "padding_free": False,
        "precompute_ref_log_probs": False,
        "sync_ref_model": False,
        "disable_dropout": keys.full_finetuning or keys.lora_dropout == 0,  # TRL: always
    }
