"""The unsloth engine, with a stand-in for the package: no test here has an accelerator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests.worker import Attempt, make_job, make_model, make_rows
from tunebus_trainer import engine, unsloth_models
from tunebus_trainer.job import Job
from tunebus_trainer.keys import KeyFault, Keys, Machine, plan

GPU = Machine(accelerator=True, bfloat16=True, bitsandbytes=True, packages=frozenset({"scipy"}))


def job_of(section: dict[str, Any], adapter: bool = False) -> Job:
    keys = {"max_sequence_length": 4096, "seed": 7, **section}
    with tempfile.TemporaryDirectory() as name:
        described = make_job(Path(name) / "job", Path("/base"), Path("/rows"), keys)
        if adapter:
            described["model"]["adapter"] = "/adapter"
        path = Path(name) / "job.json"
        path.write_text(json.dumps(described))
        return Job.read(path)


class TestMapping(unittest.TestCase):
    """What becomes of each key. Needs no packages."""

    def arguments(self, section: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        job, chosen = job_of(section), plan(Keys.read(section), GPU, 0)
        return unsloth_models.loading(job, chosen), unsloth_models.adapting(job, chosen) if chosen.lora is not None else None

    def test_loading(self) -> None:
        for section, name, want in (
            ({}, "model_name", "/base"),
            ({}, "use_exact_model_name", True),
            ({}, "dtype", "bfloat16"),
            ({}, "load_in_4bit", False),
            ({}, "random_state", 7),
            ({}, "local_files_only", True),
            ({"dtype": "float16"}, "dtype", "float16"),
            ({"max_sequence_length": 64}, "max_seq_length", 64),
            ({"load_in_4bit": True}, "load_in_4bit", True),
            ({"load_in_8bit": True}, "load_in_8bit", True),
            ({"full_finetuning": True}, "full_finetuning", True),
            ({"use_gradient_checkpointing": "unsloth"}, "use_gradient_checkpointing", "unsloth"),
            ({"use_gradient_checkpointing": True}, "use_gradient_checkpointing", True),
        ):
            with self.subTest(section=section, name=name):
                self.assertEqual(self.arguments(section)[0][name], want)

    def test_adapting(self) -> None:
        for section, name, want in (
            ({}, "random_state", 7),
            ({}, "use_gradient_checkpointing", False),
            ({"rank": 8}, "r", 8),
            ({"lora_alpha": 3}, "lora_alpha", 3.0),
            ({"lora_dropout": 0.1}, "lora_dropout", 0.1),
            ({"target_modules": "all-linear"}, "target_modules", "all-linear"),
            ({"bias": "all"}, "bias", "all"),
            ({"use_rslora": True}, "use_rslora", True),
            ({"loftq_config": "4"}, "init_lora_weights", "loftq"),
        ):
            with self.subTest(section=section, name=name):
                got = self.arguments(section)[1]
                assert got is not None
                self.assertEqual(got[name], want)
                self.assertNotIn("task_type", got)
        self.assertIsNone(self.arguments({"full_finetuning": True})[1])

    def test_switches_of_vision_models(self) -> None:
        chosen = plan(Keys.read({}), GPU, 0)
        got = unsloth_models.adapting(job_of({"is_multimodel": True, "finetune_language_layers": True}), chosen)
        self.assertEqual([got[name] for name in unsloth_models.SWITCHES], [False, True, False, False])
        self.assertNotIn("finetune_vision_layers", unsloth_models.adapting(job_of({}), chosen))

    def test_it_has_no_preferences(self) -> None:
        unsloth_models.check(job_of({"method": "sft"}).keys)
        with self.assertRaisesRegex(KeyFault, 'the unsloth engine has method = "sft" alone'):
            unsloth_models.check(job_of({"method": "dpo"}).keys)

    def test_an_adapter_is_opened_with_its_base(self) -> None:
        self.assertEqual(unsloth_models.loading(job_of({}, adapter=True), plan(Keys.read({}), GPU, 0))["model_name"], "/adapter")

    def test_the_engine_of_a_command_line(self) -> None:
        for line, want in (
            ([], "trl"),
            (["--engine", "unsloth"], "unsloth"),
            (["--job", "x", "--engine=unsloth"], "unsloth"),
            (["--engine"], ""),
        ):
            self.assertEqual(engine.named(line), want)


# A stand-in that keeps the promises that the trainer counts on: it is imported before
# transformers, and its loaders return a model of transformers and one of PEFT.
STAND_IN = """
import json, os, sys

early = "transformers" not in sys.modules and "trl" not in sys.modules

def record(call, arguments):
    with open(os.environ["STAND_IN_CALLS"], "a") as out:
        out.write(json.dumps({"call": call, "early": early, **{k: str(v) for k, v in arguments.items()}}) + "\\n")

class FastLanguageModel:
    @staticmethod
    def from_pretrained(**arguments):
        import transformers
        record("from_pretrained", arguments)
        folder = arguments["model_name"]
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=arguments["dtype"])
        return model, transformers.AutoTokenizer.from_pretrained(folder)

    @staticmethod
    def get_peft_model(model, **arguments):
        import peft
        record("get_peft_model", arguments)
        for name in ("random_state", "use_gradient_checkpointing"):
            arguments.pop(name)
        return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **arguments))
"""


# The machine of a test has no accelerator: only Unsloth is told that there is one, and the
# training itself uses the CPU.
DRIVER = """
import sys

import torch

seen = torch.cuda.is_available
torch.cuda.is_available = lambda: True
from tunebus_trainer import engine
torch.cuda.is_available = seen
engine.accelerator = lambda: True
from tunebus_trainer.__main__ import main

sys.exit(main())
"""


class TestStandIn(unittest.TestCase):
    """The whole way of a job, with the real TRL below."""

    def test_a_job(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "unsloth.py").write_text(STAND_IN)
            (folder / "trainer.py").write_text(DRIVER)
            make_model(folder / "base")
            make_rows(folder / "rows.jsonl", 8)
            keys = {"max_sequence_length": 64, "epochs": 1, "dtype": "float32", "rank": 4, "save_steps": 0}
            job = make_job(folder / "job", folder / "base", folder / "rows.jsonl", keys)
            calls = folder / "calls"
            environment = {"PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}", "STAND_IN_CALLS": str(calls)}
            command = (str(folder / "trainer.py"), "--engine", "unsloth")
            attempt = Attempt(folder / "job", job, command=command, environment=environment).run()
            log = (folder / "job" / "log").read_text()[-3000:]
            self.assertEqual(attempt.status, 0, log)
            self.assertEqual(attempt.of("hello")[0]["name"], "unsloth")
            said = calls.read_text()
            self.assertIn('"call": "from_pretrained", "early": true', said)
            self.assertIn('"call": "get_peft_model"', said)
            self.assertIn('"r": "4"', said)
            self.assertTrue((folder / "job" / "model" / "adapter_model.safetensors").exists(), log)

    def test_a_machine_without_an_accelerator(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "unsloth.py").write_text("raise ImportError('there is no accelerator')\n")  # as the package does
            job = make_job(folder / "job", folder / "base", folder / "rows.jsonl", {})
            command, environment = ("-m", "tunebus_trainer", "--engine", "unsloth"), {"PYTHONPATH": str(folder)}
            attempt = Attempt(folder / "job", job, command=command, environment=environment).run()
            error = attempt.of("error")[0]
            self.assertEqual((attempt.status, error["class"]), (1, "internal"))
            self.assertIn("trains on an accelerator", error["text"])
            described = subprocess.run(
                [sys.executable, *command, "--describe"],
                capture_output=True,
                text=True,
                cwd=Path(__file__).parents[1],
                env={**os.environ, **environment},
                check=True,
            )
            self.assertIn('"name": "unsloth"', described.stdout)
            self.assertIn('"devices": []', described.stdout)


if __name__ == "__main__":
    unittest.main()
