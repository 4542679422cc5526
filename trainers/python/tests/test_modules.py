"""Names of modules in the keys. Needs no packages."""

from __future__ import annotations

import unittest
from typing import Any

from tunebus_trainer.keys import KeyFault, Keys, Machine, plan
from tunebus_trainer.modules import check_biases, check_names

EVERY = [
    "model",
    "model.layers",
    "model.layers.0",
    "model.layers.0.q_proj",
    "model.layers.1.q_proj",
    "model.layers.1.qkv_proj",
    "model.norm",
    "lm_head",
]
LINEAR = ["model.layers.0.q_proj", "model.layers.1.q_proj", "model.layers.1.qkv_proj", "lm_head"]


class TestModules(unittest.TestCase):
    def check(self, **section: Any) -> list[str]:
        lora = plan(Keys.read({"target_modules": ["q_proj"], **section}), Machine(), 0).lora
        assert lora is not None
        return check_names(lora, EVERY, LINEAR)

    def test_what_is_there(self) -> None:
        for section in (
            {},
            {"target_modules": ["all-linear"]},
            {"target_modules": ["layers.1.q_proj"]},
            {"modules_to_save": ["lm_head", "model.norm"]},
            {"rank_pattern": {"q_proj": 4, "layers.0.q_proj": 2, r"layers\.[01]\.q_proj": 1}},
        ):
            with self.subTest(section=section):
                self.assertEqual(self.check(**section), [])

    def test_some_are_there(self) -> None:
        self.assertEqual(
            self.check(target_modules=["q_proj", "k_proj"]),
            ["fine_tuner.target_modules: the model has no module 'k_proj': the others got an adapter"],
        )

    def test_nothing_is_there(self) -> None:
        for section, words in (
            ({"target_modules": ["c_attn"]}, ["target_modules", "'c_attn'", "it has lm_head, q_proj, qkv_proj"]),
            ({"modules_to_save": ["head"]}, ["modules_to_save", "'head'", "lm_head"]),
            (
                {"rank_pattern": {"k_proj": 4}, "alpha_pattern": {"(": 1}},
                ["rank_pattern: 'k_proj' fits no module", "alpha_pattern", "no regular expression"],
            ),
        ):
            with self.subTest(section=section), self.assertRaises(KeyFault) as caught:
                self.check(**section)
            for word in words:
                self.assertIn(word, str(caught.exception))

    def test_biases(self) -> None:
        q, norm = "model.layers.0.q_proj", "model.norm"
        for bias, targets, biases, says in (
            ("none", ["q_proj"], [], ""),
            ("all", ["q_proj"], [], "fine_tuner.bias = 'all' has no effect: the model has no bias"),
            ("all", ["q_proj"], [norm], ""),
            ("lora_only", ["q_proj"], [q], ""),
            ("lora_only", ["q_proj"], [norm], "fine_tuner.bias = 'lora_only' has no effect: no module with an adapter has a bias"),
            ("lora_only", "all-linear", [q], ""),
            ("lora_only", "all-linear", [norm], "fine_tuner.bias = 'lora_only' has no effect"),
        ):
            with self.subTest(bias=bias, targets=targets, biases=biases):
                parameters = [f"{name}.{kind}" for name in EVERY for kind in ("weight", "bias") if kind == "weight" or name in biases]
                notes = check_biases({"bias": bias, "target_modules": targets}, parameters, LINEAR)
                self.assertEqual(len(notes), 1 if says else 0)
                self.assertIn(says, "".join(notes))


if __name__ == "__main__":
    unittest.main()
