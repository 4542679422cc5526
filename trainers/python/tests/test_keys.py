"""What the keys of [fine_tuner] become. Needs no packages."""

from __future__ import annotations

import unittest

from tunebus_trainer.keys import KeyFault, Keys, Machine, notes_of, plan

GPU = Machine(
    accelerator=True, bfloat16=True, bitsandbytes=True, flash_attention=True, wandb=True, wandb_key=True, packages=frozenset({"scipy"})
)


class TestKeys(unittest.TestCase):
    def test_every_default_is_passed(self) -> None:
        arguments = plan(Keys(), GPU, 0).arguments
        for name, want in {
            "learning_rate": 2e-4,  # TRL: 2e-5
            "max_length": None,  # TRL: 1024, which cuts in silence
            "logging_steps": 1,
            "save_steps": 20,
            "optim": "adamw_torch",  # TRL: adamw_torch_fused
            "gradient_checkpointing": False,  # TRL: true
            "train_sampling_strategy": "sequential",
            "save_total_limit": None,
            "push_to_hub": False,
            "report_to": "none",
        }.items():
            self.assertEqual(arguments[name], want, name)

    def test_values_of_another_engine(self) -> None:
        for value, unsloth, want in (("unsloth", False, 1), ("unsloth", True, 0), (True, False, 0), (False, False, 0)):
            with self.subTest(value=value, unsloth=unsloth):
                notes = notes_of(Keys.read({"use_gradient_checkpointing": value}), unsloth)
                self.assertEqual(len(notes), want)
                self.assertTrue(all("PyTorch's own took its place" in note for note in notes))

    def test_missing_package_of_an_optimizer(self) -> None:
        for optimizer, package in (
            ("galore_adamw", "galore_torch"),
            ("apollo_adamw", "apollo_torch"),
            ("schedule_free_adamw", "schedulefree"),
        ):
            with self.subTest(optimizer=optimizer), self.assertRaises(KeyFault) as caught:
                plan(Keys(optimizer=optimizer), GPU, 0)
            self.assertIn(f"needs the Python package {package}, which is not installed here", str(caught.exception))

    def test_values(self) -> None:
        for section, where, name, want in (
            ({"rank": 4}, "lora", "r", 4),
            ({"lora_alpha": 8}, "lora", "lora_alpha", 8.0),
            ({"lora_dropout": 0.2}, "lora", "lora_dropout", 0.2),
            ({"target_modules": "all-linear"}, "lora", "target_modules", "all-linear"),
            ({"bias": "lora_only"}, "lora", "bias", "lora_only"),
            ({"use_rslora": True}, "lora", "use_rslora", True),
            ({"loftq_config": "4"}, "lora", "init_lora_weights", "loftq"),
            ({"loftq_config": '{"loftq_bits": 8}'}, "lora", "loftq_config", {"loftq_bits": 8, "loftq_iter": 1}),
            ({"target_modules": ["all-linear"]}, "lora", "target_modules", "all-linear"),
            ({"use_dora": True}, "lora", "use_dora", True),
            ({"modules_to_save": ["lm_head"]}, "lora", "modules_to_save", ["lm_head"]),
            ({"modules_to_save": None}, "lora", "modules_to_save", None),
            ({"rank_pattern": {"q_proj": 8.0}}, "lora", "rank_pattern", {"q_proj": 8}),
            ({"alpha_pattern": {"q_proj": 0.5}}, "lora", "alpha_pattern", {"q_proj": 0.5}),
            ({}, "arguments", "max_steps", -1),
            ({"max_steps": 7}, "arguments", "max_steps", 7),
            ({"warmup_ratio": 0.1}, "arguments", "warmup_steps", 0.1),
            ({"lr_scheduler_kwargs": {"power": 2}}, "arguments", "lr_scheduler_kwargs", {"power": 2}),
            ({"method": "dpo", "dpo_beta": 0.3}, "arguments", "beta", 0.3),
            ({"method": "dpo", "lora_dropout": 0.1}, "arguments", "disable_dropout", False),  # TRL: true
            ({"method": "dpo"}, "arguments", "max_length", None),
            ({"device_train_batch_size": 2}, "arguments", "per_device_train_batch_size", 2),
            ({"device_validation_batch_size": 3}, "arguments", "per_device_eval_batch_size", 3),
            ({"grad_accumulation": 8}, "arguments", "gradient_accumulation_steps", 8),
            ({"epochs": 7}, "arguments", "num_train_epochs", 7),
            ({"learning_rate": 1}, "arguments", "learning_rate", 1.0),
            ({"warmup_steps": 9}, "arguments", "warmup_steps", 9),
            ({"weight_decay": 0.5}, "arguments", "weight_decay", 0.5),
            ({"max_grad_norm": 2}, "arguments", "max_grad_norm", 2.0),
            ({"lr_scheduler_type": "cosine"}, "arguments", "lr_scheduler_type", "cosine"),
            ({"optimizer": "adafactor"}, "arguments", "optim", "adafactor"),
            ({}, "arguments", "optim_args", None),
            ({"optimizer": "sgd", "optim_args": "momentum=0.9"}, "arguments", "optim_args", "momentum=0.9"),
            ({}, "arguments", "adam_beta1", 0.9),
            ({}, "arguments", "adam_beta2", 0.999),
            ({}, "arguments", "adam_epsilon", 1e-8),
            ({"adam_beta1": 0.5}, "arguments", "adam_beta1", 0.5),
            ({"adam_beta2": 0.5}, "arguments", "adam_beta2", 0.5),
            ({"adam_epsilon": 1e-6}, "arguments", "adam_epsilon", 1e-6),
            ({"seed": 3}, "arguments", "data_seed", 3),
            ({"log_steps": 5}, "arguments", "logging_steps", 5),
            ({"log_first_step": False}, "arguments", "logging_first_step", False),
            ({"save_steps": 0}, "arguments", "save_strategy", "no"),
            ({"packing": True, "max_sequence_length": 64}, "arguments", "max_length", 64),
            ({"use_gradient_checkpointing": "unsloth"}, "arguments", "gradient_checkpointing", True),
            ({"report_to": "wandb"}, "arguments", "report_to", ["wandb"]),
            ({"dtype": "float16"}, "arguments", "fp16", True),
            ({"load_in_4bit": True}, "quantization", "bnb_4bit_quant_type", "nf4"),
            ({"load_in_8bit": True}, "quantization", "load_in_8bit", True),
        ):
            with self.subTest(section=section):
                chosen = plan(Keys.read(section), GPU, 0)
                self.assertEqual(getattr(chosen, where)[name], want)

    def test_full_training_has_no_adapter(self) -> None:
        chosen = plan(Keys.read({"full_finetuning": True, "dtype": "float16"}), GPU, 0)
        self.assertIsNone(chosen.lora)
        self.assertEqual(chosen.dtype, "float32")  # gradients of float16 weights cannot be scaled

    def test_choices_are_noted(self) -> None:
        for section, machine, words in (
            ({}, Machine(), "trained in float32"),
            ({}, Machine(accelerator=True), "trained in float16"),
            ({"optimizer": "paged_adamw_8bit"}, Machine(), "trained with adamw_torch"),
            ({"use_flash_attention": True}, Machine(), "PyTorch's own attention"),
            ({"report_to": "wandb"}, Machine(), "wandb is not there"),
            ({"report_to": "comet_ml, tensorboard"}, Machine(), "nothing is reported to comet_ml"),
        ):
            with self.subTest(section=section):
                notes = plan(Keys.read(section), machine, 0).notes
                self.assertTrue(any(words in note for note in notes), notes)
        self.assertEqual(plan(Keys.read({"dtype": "bfloat16", "optimizer": "paged_adamw_8bit"}), GPU, 0).notes, [])

    def test_validations(self) -> None:
        without = plan(Keys(), GPU, 0).arguments
        self.assertEqual((without["eval_strategy"], without["metric_for_best_model"]), ("no", None))
        each = plan(Keys.read({"eval_steps": 5, "early_stopping_patience": 2, "load_best_model_at_end": True}), GPU, 3)
        self.assertEqual((each.arguments["eval_strategy"], each.arguments["eval_steps"]), ("steps", 5))
        self.assertEqual((each.patience, each.keep_best, each.arguments["load_best_model_at_end"]), (2, True, False))

    def test_methods_share_no_arguments(self) -> None:
        sft, dpo = plan(Keys(), GPU, 0).arguments, plan(Keys(method="dpo"), GPU, 0).arguments
        self.assertNotIn("packing", dpo)
        self.assertNotIn("beta", sft)

    def test_all_faults_at_once(self) -> None:
        for section, key, words in (
            ({"load_in_4bit": True, "load_in_8bit": True, "full_finetuning": True}, "load_in_4bit", ["choose one", "no quantised weights"]),
            ({"load_in_4bit": True, "loftq_config": "x"}, "loftq_config", ["quantises itself"]),
            ({"target_modules": ["lm_head"]}, "target_modules", ["lm_head"]),
            ({"loftq_config": "3", "method": "ppo"}, "method", ["want sft or dpo", "loftq_config = '3'"]),
            ({"optimizer": "schedule_free_adamw"}, "optimizer", ["schedulefree", "not installed"]),
            (
                {"early_stopping_patience": 1, "load_best_model_at_end": True},
                "early_stopping_patience",
                ["load_best_model_at_end compares"],
            ),
            ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type", ["no row to validate with"]),
        ):
            with self.subTest(section=section), self.assertRaises(KeyFault) as caught:
                plan(Keys.read(section), GPU, 0)
            self.assertEqual(caught.exception.key, key)
            for word in words:
                self.assertIn(word, str(caught.exception))
        with self.assertRaises(KeyFault) as caught:
            plan(Keys.read({"optimizer": "lion_8bit"}), Machine(), 0)
        self.assertEqual(caught.exception.key, "optimizer")
        with self.assertRaises(KeyFault) as caught:
            Keys.read({"rank": "8", "packing": 1, "rank_pattern": [1]})
        self.assertIn("fine_tuner.rank", str(caught.exception))
        self.assertIn("fine_tuner.packing", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
