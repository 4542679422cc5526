"""Writes tiny base models with random weights, each with an adapter on top of it.

    python models.py FOLDER TOKENIZER

FOLDER gets llama, llama-adapter, qwen2 and qwen2-adapter. TOKENIZER is the folder of a
base model whose tokenizer they share. The second matrix of an adapter is no zero, so that
both have gradients in the first step.
"""

import json
import shutil
import sys
from pathlib import Path

import peft
import torch
import transformers

folder, tokenizer = Path(sys.argv[1]), Path(sys.argv[2])
sizes = {
    "vocab_size": json.loads((tokenizer / "config.json").read_text())["vocab_size"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
for name, kind in (("llama", transformers.LlamaForCausalLM), ("qwen2", transformers.Qwen2ForCausalLM)):
    torch.manual_seed(1)
    model = kind(kind.config_class(**sizes)).float()
    base = folder / name
    model.save_pretrained(base)
    for path in tokenizer.iterdir():
        if path.name.startswith(("tokenizer", "special", "chat_template", "generation")):
            shutil.copy(path, base)
    config = peft.LoraConfig(
        r=8,
        lora_alpha=16,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(base),
    )
    adapted = peft.get_peft_model(model, config)
    for parameter_name, parameter in adapted.named_parameters():
        if "lora_B" in parameter_name:
            torch.nn.init.normal_(parameter, std=0.02)
    target = folder / f"{name}-adapter"
    adapted.save_pretrained(target)
    described = json.loads((target / "adapter_config.json").read_text())
    described["base_model_name_or_path"] = str(base)
    (target / "adapter_config.json").write_text(json.dumps(described))
