"""Loads pairs of model folders with transformers, and prints the largest difference of
the scores that both give to the same tokens, relative to the largest score.

stdin: {"pairs": {"name": ["folder", "folder"]}}; stdout: {"name": 0.0}
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def scores(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(1, 25).reshape(2, 12)).logits


def difference(pair):
    a, b = map(scores, pair)
    return ((a - b).abs().max() / a.abs().max()).item()


print(json.dumps({name: difference(pair) for name, pair in json.load(sys.stdin)["pairs"].items()}))
