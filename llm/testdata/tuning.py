"""Writes the goldens of the ways to tune: optimizers, schedules, packing, and adapters
with DoRA, biases, patterns and whole modules, on a tiny model of random weights.

    python testdata/tuning.py testdata/tuning

Made with torch 2.15.0, transformers 5.24.0, peft 0.21.2, trl 1.16.0, bitsandbytes 0.50.2
and safetensors 0.8.0.
"""

import json
import pathlib
import shutil
import sys

import bitsandbytes
import bitsandbytes.backends.cpu.ops
import families
import torch
import transformers
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from trl import pack_dataset

STEPS = 12
RATE = 2e-3
# Wide enough that bitsandbytes quantises the state of the projections.
SIZE = dict(
    vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    initializer_range=0.2, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=True)

ADAPTERS = {
    "dora": dict(r=4, lora_alpha=8, target_modules="all-linear", use_dora=True),
    "dora_some": dict(r=3, lora_alpha=6, target_modules=["q_proj", "down_proj"], use_dora=True, bias="all", use_rslora=True),
    "bias_all": dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj"], bias="all"),
    "bias_lora_only": dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj"], bias="lora_only"),
    "patterns": dict(
        r=4, lora_alpha=8, use_rslora=True, target_modules=["q_proj", "v_proj", "gate_proj"], layers_to_transform=[1], layers_pattern="layers",
        rank_pattern={"q_proj": 2, "layers.1.mlp.gate_proj": 6}, alpha_pattern={r".*\.v_proj": 3, "^model.layers.1.self_attn.q_proj": 5}),
    "regex": dict(r=4, lora_alpha=8, target_modules=r".*layers\.[01]\.(self_attn\.[qk]|mlp\.up)_proj", exclude_modules=r".*\.0\..*\.k_proj"),
    "excluded": dict(r=4, lora_alpha=8, target_modules="all-linear", exclude_modules=["down_proj", "k_proj"]),
    "saved": dict(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=["lm_head", "layers.0.mlp.down_proj", "model.norm"]),
    "embedding": dict(r=4, lora_alpha=8, target_modules=["v_proj"], modules_to_save=["embed_tokens", "k_proj"]),
}

OPTIMIZERS = ["adamw_torch", "adamw_torch betas", "adamw_bnb_8bit", "sgd", "sgd momentum", "sgd dampening", "sgd nesterov", "adafactor"]

SCHEDULES = [
    ("linear", {}), ("cosine", {}), ("cosine", {"num_cycles": 1.5}), ("cosine_with_restarts", {}), ("cosine_with_restarts", {"num_cycles": 3}),
    ("polynomial", {}), ("polynomial", {"power": 2.0, "lr_end": 1e-4}), ("constant", {}), ("constant_with_warmup", {}), ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 7}), ("cosine_with_min_lr", {"min_lr_rate": 0.2}), ("cosine_with_min_lr", {"min_lr": 1e-4, "num_cycles": 1.0}),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}), ("cosine_warmup_with_min_lr", {"min_lr": 1e-4, "warmup_lr_rate": 0.3}),
    ("warmup_stable_decay", {"num_decay_steps": 5}), ("warmup_stable_decay", {"num_decay_steps": 5, "num_stable_steps": 4, "warmup_type": "cosine", "decay_type": "1-sqrt", "min_lr_ratio": 0.1}),
    ("warmup_stable_decay", {"num_decay_steps": 6, "warmup_type": "1-sqrt", "decay_type": "linear"}),
]

PLATEAUS = [
    {"patience": 1}, {"patience": 0, "factor": 0.5, "cooldown": 2, "min_lr": 3e-4}, {"patience": 1, "threshold": 0.3, "threshold_mode": "abs"},
    {"patience": 2, "mode": "max", "threshold": 0.01},
]
VALIDATIONS = [3.0, 2.5, 2.6, 2.5, 2.49999, 2.4, 2.7, 2.3, 2.9, 2.9, 2.9, 2.9, 2.9, 2.0, 2.1, 2.1, 2.1, 2.1]


def nearest(numbers, code, absmax, out, blocksize):
    """Quantises to the nearest value, as bitsandbytes does on CUDA and as its paper says.

    Its kernel for CPUs looks codes up in a table of 2^16 equal steps, so that zero and
    all that is below 3e-5 of the largest value of a block becomes 1.6e-5 of it.
    """
    for at, block in enumerate(numbers.flatten().split(blocksize)):
        absmax[at] = block.abs().max()
        scaled = block / absmax[at] if absmax[at] else block
        out.view(-1)[at * blocksize : at * blocksize + len(block)] = (scaled[:, None] - code).abs().argmin(1).to(torch.uint8)


bitsandbytes.backends.cpu.ops._quant_blockwise_fp32_direct = nearest


def learned(model):
    """The weights that learn, parted as the Hugging Face trainer parts them."""
    pairs = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decays = [p for n, p in pairs if not n.endswith("bias") and "norm" not in n]
    return [p for _, p in pairs], decays, [p for _, p in pairs if not any(p is d for d in decays)]


def optimizer_of(name, model, decay):
    _, decays, spared = learned(model)
    groups = [{"params": decays, "weight_decay": decay}, {"params": spared, "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    if name == "adamw_bnb_8bit":
        # A last bit of a gradient may change a code, so that steps are kept smaller.
        made = bitsandbytes.optim.AdamW(groups, lr=RATE / 2, betas=(0.9, 0.999), eps=1e-8, optim_bits=8)
        manager = bitsandbytes.optim.GlobalOptimManager.get_instance()
        for module in model.modules():  # as the Hugging Face trainer does
            if isinstance(module, torch.nn.Embedding):
                manager.register_module_override(module, "weight", {"optim_bits": 32})
        return made
    if name.startswith("sgd"):
        return torch.optim.SGD(groups, lr=20 * RATE, momentum=0.0 if name == "sgd" else 0.9, dampening=0.3 if "dampening" in name else 0.0, nesterov="nesterov" in name)
    if name == "adafactor":
        return transformers.optimization.Adafactor(groups, lr=RATE, scale_parameter=False, relative_step=False)
    return torch.optim.AdamW(groups, lr=RATE, **(dict(betas=(0.7, 0.95), eps=1e-4) if "betas" in name else {}))


def train(model, vocabulary, optimizer, rate):
    weights, _, _ = learned(model)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = families.loss_of(model, families.rows(vocabulary, step))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(weights, 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    return {"rate": rate, "losses": losses, "norms": norms}


def base(folder):
    torch.manual_seed(7)
    model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SIZE))
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "norm" in key or key.endswith("bias"):
                weight.add_(0.3 * torch.randn_like(weight))
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    return lambda: transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def clean(folder):
    (folder / "README.md").unlink(missing_ok=True)
    described = folder / "adapter_config.json"
    config = json.loads(described.read_text())
    config["base_model_name_or_path"] = "base"
    described.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make(folder):
    folder.mkdir(parents=True)
    load = base(folder / "base")
    vocabulary = SIZE["vocab_size"]
    out = {"rows": [families.rows(vocabulary, step) for step in range(STEPS)], "row": families.rows(vocabulary, 7)[2], "optimizers": {}, "adapters": {}}
    for name in OPTIMIZERS:
        model = load()
        made = optimizer_of(name, model, 0.1)
        result = train(model, vocabulary, made, made.param_groups[0]["lr"])
        result["after"] = families.sample({k: v for k, v in model.state_dict().items() if k != "lm_head.weight"})
        if "8bit" in name:
            states = {n: made.state[p] for n, p in model.named_parameters()}
            result["states"] = {n: [str(s["state1"].dtype), float(s["state1"].float().sum()), float(s["state2"].float().sum())] for n, s in states.items()}
        out["optimizers"][name] = result
    for name, arguments in ADAPTERS.items():
        torch.manual_seed(1)
        model = get_peft_model(load(), LoraConfig(lora_dropout=0.0, task_type="CAUSAL_LM", **arguments))
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if "lora_B" in key:
                    weight.normal_(0, 0.05)
                if "magnitude" in key:
                    weight.mul_(1 + 0.1 * torch.randn_like(weight))
        model.save_pretrained(folder / name)
        clean(folder / name)
        model = PeftModel.from_pretrained(load(), folder / name, is_trainable=True)
        result = {}
        with torch.no_grad():
            result["logits"] = model(input_ids=torch.tensor([out["row"]])).logits[0, -1].tolist()
            merged = PeftModel.from_pretrained(load(), folder / name).merge_and_unload()
            result["merged"] = families.sample(merged.state_dict())
        weights, _, _ = learned(model)
        result |= train(model, vocabulary, torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0), RATE)
        model.save_pretrained(folder / "after")
        result["after"] = families.sample(load_file(folder / "after" / "adapter_model.safetensors"))
        shutil.rmtree(folder / "after")
        out["adapters"][name] = result
    out["schedules"] = []
    for name, arguments in SCHEDULES:
        for warm in (0, 4):
            weight = torch.nn.Parameter(torch.zeros(1))
            optimizer = torch.optim.SGD([weight], lr=2e-3)
            schedule = transformers.get_scheduler(name, optimizer, num_warmup_steps=warm, num_training_steps=20, scheduler_specific_kwargs=dict(arguments))
            rates = []
            for _ in range(20):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            out["schedules"].append({"name": name, "arguments": arguments, "warmup": warm, "rates": rates})
    out["plateaus"] = []
    for arguments in PLATEAUS:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
        rates = []
        for loss in VALIDATIONS:
            schedule.step(loss)
            rates.append(optimizer.param_groups[0]["lr"])
        out["plateaus"].append({"arguments": arguments, "losses": VALIDATIONS, "rates": rates})
    pick = torch.Generator().manual_seed(3)
    out["packs"] = []
    for count, longest, most in ((40, 20, 64), (1500, 60, 128), (7, 80, 64), (30, 9, 17)):
        lengths = torch.randint(1, longest + 1, (count,), generator=pick).tolist()
        packed = pack_dataset(Dataset.from_dict({"input_ids": [[i] * n for i, n in enumerate(lengths)]}), most, "bfd")
        found = []
        for row in packed:
            ids, rows_of = row["input_ids"], []
            for n in row["seq_lengths"]:
                rows_of.append(ids[0])
                ids = ids[n:]
            found.append(rows_of)
        out["packs"].append({"lengths": lengths, "most": most, "packs": found})
    (folder / "golden.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    make(target)
