"""Writes the goldens of TestNF4: a tiny checkpoint that bitsandbytes stored in nf4,
with double quantisation and a module left out, what its own dequantisation makes of
it, the checkpoint that it was made from, and what bitsandbytes makes of that in eight
bits.

    python testdata/nf4.py testdata/nf4

Rows are multiples of a block, which the kernel of bitsandbytes for CPUs takes for
granted; that for GPUs, and the format, have blocks across rows.

Made with torch 2.15.0, transformers 5.24.0 and bitsandbytes 0.50.2.
"""

import json
import pathlib
import shutil
import sys

import torch
from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_quant
from bitsandbytes.nn import Linear4bit
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

KINDS = {"double": ("bfloat16", True), "single": ("float16", False)}

if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for name, (dtype, double) in KINDS.items():
        folder = target / name
        folder.mkdir(parents=True)
        torch.manual_seed(3)
        plain = LlamaForCausalLM(LlamaConfig(
            vocab_size=40, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2))
        plain.to(getattr(torch, dtype)).save_pretrained(folder / "plain")
        model = AutoModelForCausalLM.from_pretrained(folder / "plain", dtype=getattr(torch, dtype), quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double, bnb_4bit_compute_dtype=getattr(torch, dtype),
            llm_int8_skip_modules=["lm_head", "v_proj"]))
        if double:
            shutil.move(folder / "plain", target / "plain")
            (target / "plain" / "generation_config.json").unlink()
        else:
            shutil.rmtree(folder / "plain")
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink()
        weights, eight = {}, {}
        for key, module in model.named_modules():
            if isinstance(module, Linear4bit):
                values = dequantize_4bit(module.weight.data, module.weight.quant_state).float().flatten()
                weights[key + ".weight"] = values[:: max(1, values.numel() // 300)].tolist()
                if double:
                    codes, factors, _ = int8_vectorwise_quant(plain.get_submodule(key).weight.data.half())
                    eight[key + ".weight"] = (codes.float() * factors[:, None] / 127).flatten()[:: max(1, values.numel() // 300)].tolist()
        if double:
            (target / "plain" / "eight.json").write_text(json.dumps(eight, separators=(",", ":")) + "\n")
        (folder / "golden.json").write_text(json.dumps(weights, separators=(",", ":")) + "\n")
