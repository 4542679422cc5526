"""Writes the goldens of TestFamilies: for each family a tiny checkpoint of random
weights, and what torch, transformers and PEFT compute with it in float32.

    python testdata/families.py testdata/families [family…]

Made with torch 2.15.0, transformers 5.24.0, peft 0.21.2 and safetensors 0.8.0.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

STEPS = 20
RATES = {"lora": 5e-3, "full": 1e-3}
SIZE = dict(
    vocab_size=53, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    initializer_range=0.25, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
LONG = {
    "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75, "short_factor": [1.0, 1.1, 1.3], "long_factor": [2.0, 3.0, 4.0],
    "original_max_position_embeddings": 128,
}
SLIDING = {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}, "full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 8.0}}

# The class of each family, and what its tiny model has that others do not.
FAMILIES = {
    "llama": ("Llama", dict(rope_parameters=LLAMA3, attention_bias=True)),
    "qwen2": ("Qwen2", dict(use_sliding_window=True, sliding_window=9, max_window_layers=1)),
    "qwen3": ("Qwen3", dict(head_dim=10)),
    "mistral": ("Mistral", dict(sliding_window=7, head_dim=8)),
    "gemma2": ("Gemma2", dict(head_dim=8, query_pre_attn_scalar=11, sliding_window=6, attn_logit_softcapping=4.0, final_logit_softcapping=3.0, tie_word_embeddings=True)),
    "gemma3": ("Gemma3Text", dict(head_dim=8, query_pre_attn_scalar=11, sliding_window=6, rope_parameters=SLIDING, tie_word_embeddings=True, num_hidden_layers=7)),
    "phi3": ("Phi3", dict(head_dim=8, num_attention_heads=3, num_key_value_heads=1, rope_parameters=LONG, original_max_position_embeddings=128, sliding_window=11)),
    "smollm3": ("SmolLM3", dict(num_hidden_layers=5, no_rope_layer_interval=2, rope_parameters={"rope_type": "default", "rope_theta": 2000000.0})),
    "olmo2": ("Olmo2", dict(num_attention_heads=3, num_key_value_heads=1)),
    "granite": ("Granite", dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.3, logits_scaling=2.0, mlp_bias=False)),
}

# A model that sees, of which the text part is compared.
SEEING = {
    "gemma3_seeing": ("Gemma3", dict(
        text_config={**SIZE, **FAMILIES["gemma3"][1]}, mm_tokens_per_image=4, image_token_index=50, boi_token_index=51, eoi_token_index=52,
        vision_config=dict(hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4))),
}


def rows(vocabulary, seed):
    """Ragged rows, of which the first tokens do not count."""
    pick = torch.Generator().manual_seed(seed)
    lengths = [17, 5, 30, 11]
    return [torch.randint(3, vocabulary, (n,), generator=pick).tolist() for n in lengths]


def sees(config):
    return hasattr(config, "vision_config")


def loss_of(model, batch):
    longest = max(map(len, batch))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch])
    labels = torch.tensor([[-100] * 2 + row[2:] + [-100] * (longest - len(row)) for row in batch])
    told = {"token_type_ids": torch.zeros_like(ids)} if sees(model.config) else {}  # no image
    logits = model(input_ids=ids, attention_mask=mask, **told).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def train(model, vocabulary, rate):
    weights = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, rows(vocabulary, step))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(weights, 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    return {"rate": rate, "losses": losses, "norms": norms}


def sample(tensors):
    """A few numbers of each tensor."""
    return {name: [t.shape[0], *t.flatten()[:: max(1, t.numel() // 5)][:5].tolist()] for name, t in sorted(tensors.items())}


def text_part(tensors):
    """The weights of a text model, or of the text part of one that sees, as a text model has them."""
    seen = ("vision_tower.", "multi_modal_projector.")
    return {key.removeprefix("language_model."): t for key, t in tensors.items() if not key.startswith(seen)}


def make(name, folder):
    torch.manual_seed(len(name))
    if name in SEEING:
        kind, extra = SEEING[name]
        config = getattr(transformers, kind + "Config")(**extra)
        model = getattr(transformers, kind + "ForConditionalGeneration")(config)
    else:
        kind, extra = FAMILIES[name]
        config = getattr(transformers, kind + "Config")(**{**SIZE, **extra})
        config._attn_implementation = "eager"
        model = getattr(transformers, kind.removesuffix("Text") + "ForCausalLM")(config)
    vocabulary = config.get_text_config().vocab_size
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "norm" in key or key.endswith("bias"):
                weight.add_(0.3 * torch.randn_like(weight))
    folder.mkdir(parents=True)
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink()

    def load():
        return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")

    model = load().eval()
    prompts = [row[: 3 + 2 * i] for i, row in enumerate(rows(vocabulary, 100) + rows(vocabulary, 101))]
    out = {"rows": [rows(vocabulary, step) for step in range(STEPS)], "row": rows(vocabulary, 7)[2], "prompts": prompts}
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([out["row"]])).logits[0]
        out["logits"] = logits[-1].tolist()
        out["middle"] = logits[len(logits) // 2].tolist()
        out["answers"] = []
        for prompt in prompts:
            ids = list(prompt)
            for _ in range(12):
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            out["answers"].append(ids[len(prompt):])

    torch.manual_seed(1)
    beside = ".*vision_tower.*" if sees(config) else None
    adapted = get_peft_model(load(), LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules="all-linear", exclude_modules=beside, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for key, weight in adapted.named_parameters():
            if "lora_B" in key:
                weight.normal_(0, 0.05)
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink()
    out["lora"] = train(adapted, vocabulary, RATES["lora"])
    adapted.save_pretrained(folder / "after")
    out["lora"]["after"] = sample(load_file(folder / "after" / "adapter_model.safetensors"))
    shutil.rmtree(folder / "after")

    whole = load()
    out["full"] = train(whole, vocabulary, RATES["full"])
    whole.save_pretrained(folder / "after")
    out["full"]["after"] = sample(text_part(load_file(folder / "after" / "model.safetensors")))
    shutil.rmtree(folder / "after")
    (folder / "golden.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    for family in sys.argv[2:] or [*FAMILIES, *SEEING]:
        shutil.rmtree(target / family, ignore_errors=True)
        make(family, target / family)
