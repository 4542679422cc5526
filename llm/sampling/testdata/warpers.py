"""Writes the goldens of TestSharesAreThoseOfTransformers: the probabilities that the
logits processors of transformers leave, for many settings.

    python testdata/warpers.py testdata/warpers.json

Made with torch 2.15.0 and transformers 5.24.0.
"""

import itertools
import json
import sys

import torch
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

VOCABULARY = 40
SETTINGS = dict(
    temperature=[0.3, 1.0, 2.5], top_k=[0, 1, 5, 100], top_p=[1.0, 0.9, 0.35], min_p=[0.0, 0.05, 0.4], repetition_penalty=[1.0, 1.3])


class Processors(GenerationMixin):
    """What generate makes of a configuration."""

    def __init__(self, generation_config):
        self.config = Model()
        self.processors = self._get_logits_processor(generation_config, input_ids_seq_length=4, device="cpu")


class Model:
    is_encoder_decoder = False
    vocab_size = VOCABULARY

    def get_text_config(self, **_):
        return self


def logits(seed):
    scores = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3
    scores[0, 7], scores[0, 9] = scores[0, 3], scores[0].max()  # ties, one of them of the likeliest
    return scores


def main(path):
    cases = []
    for seed, values in enumerate(itertools.product(*SETTINGS.values())):
        setting = dict(zip(SETTINGS, values))
        seen = torch.randint(0, VOCABULARY, (1, 6), generator=torch.Generator().manual_seed(seed))
        config = GenerationConfig(do_sample=True, **setting)
        scores = logits(seed % 5)
        left = Processors(config).processors(seen, scores.clone())
        shares = torch.softmax(left, -1)[0].tolist()
        cases.append(dict(setting, logits=seed % 5, seen=seen[0].tolist(), shares={i: float(f"{p:.7g}") for i, p in enumerate(shares) if p > 0}))
    body = {"logits": [logits(seed)[0].tolist() for seed in range(5)], "log_softmax": [torch.log_softmax(logits(seed)[0], -1).tolist() for seed in range(5)], "cases": cases}
    with open(path, "w") as f:
        json.dump(body, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
