"""Every key changes the training, or what is written, or is named in a note.

Each key has one row of the table: a training that has it is compared with one that does
not, and with nothing else between them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from tests.worker import make_job, make_model, make_pairs, make_rows

try:
    from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP

    from tunebus_trainer import __main__ as program
    from tunebus_trainer import describe, launch
    from tunebus_trainer.keys import KeyFault
except ImportError as err:  # the other tests need no packages
    raise unittest.SkipTest(f"it trains with the real packages: {err}") from err

BASE: dict[str, Any] = {
    "dtype": "float32", "epochs": 1, "device_train_batch_size": 2, "grad_accumulation": 1, "rank": 4,
    "learning_rate": 1e-2, "warmup_steps": 1, "save_steps": 2, "report_to": "none",
}  # fmt: skip
DPO = {"method": "dpo"}
WORSE = {"learning_rate": 50, "warmup_steps": 0, "eval_steps": 1}  # the first step is the best one

# What a key changes.
TRAINING = "training"  # losses or weights
WRITTEN = "written"  # points, checkpoints, artifacts, validations
AGAIN = "again"  # what is computed once more, to save memory
NOTE = "note"  # nothing here, and a note says so
REFUSED = "refused"  # nothing on a machine without an accelerator, on which the error says so


@dataclasses.dataclass(frozen=True)
class Row:
    """A value of a key, what it changes, and what both trainings have beside BASE."""

    value: Any
    changes: str
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)


TABLE: dict[str, Row] = {
    "max_sequence_length": Row(48, TRAINING, {"packing": True}),  # rows that are not packed come cut
    "dtype": Row("bfloat16", TRAINING),
    "load_in_4bit": Row(True, TRAINING),
    "load_in_8bit": Row(True, TRAINING),
    "full_finetuning": Row(True, TRAINING),
    "rank": Row(8, TRAINING),
    "lora_alpha": Row(64, TRAINING),
    "lora_dropout": Row(0.5, TRAINING),
    "target_modules": Row(["q_proj"], TRAINING),
    "bias": Row("all", TRAINING),
    "use_rslora": Row(True, TRAINING),
    "use_dora": Row(True, TRAINING),
    "modules_to_save": Row(["lm_head"], TRAINING),
    "rank_pattern": Row({"q_proj": 2}, TRAINING),
    "alpha_pattern": Row({"q_proj": 64}, TRAINING),
    "loftq_config": Row("8", REFUSED),
    "method": Row("dpo", TRAINING),
    "dpo_beta": Row(0.9, TRAINING, DPO),
    "device_train_batch_size": Row(4, TRAINING),
    "device_validation_batch_size": Row(1, WRITTEN),
    "grad_accumulation": Row(2, TRAINING),
    "epochs": Row(2, TRAINING),
    "max_steps": Row(3, TRAINING),
    "learning_rate": Row(1e-3, TRAINING),
    "warmup_steps": Row(4, TRAINING),
    "warmup_ratio": Row(0.9, TRAINING),
    "weight_decay": Row(0.9, TRAINING),
    "max_grad_norm": Row(0.01, TRAINING, {"optimizer": "sgd"}),  # Adam scales gradients itself
    "lr_scheduler_type": Row("cosine", TRAINING),
    "lr_scheduler_kwargs": Row({"power": 3}, TRAINING, {"lr_scheduler_type": "polynomial"}),
    "optimizer": Row("adafactor", TRAINING),
    "optim_args": Row("momentum=0.9, nesterov=true", TRAINING, {"optimizer": "sgd"}),
    "adam_beta1": Row(0.5, TRAINING),
    "adam_beta2": Row(0.5, TRAINING),
    "adam_epsilon": Row(1e-2, TRAINING),
    "seed": Row(7, TRAINING),
    "log_steps": Row(2, WRITTEN),
    "log_first_step": Row(False, WRITTEN, {"log_steps": 3}),
    "save_steps": Row(3, WRITTEN),
    "eval_steps": Row(1, WRITTEN),
    "early_stopping_patience": Row(2, TRAINING, WORSE),
    "load_best_model_at_end": Row(True, TRAINING, WORSE),
    "packing": Row(True, TRAINING, {"max_sequence_length": 64}),
    "use_gradient_checkpointing": Row(True, AGAIN),
    "use_flash_attention": Row(True, NOTE),
    "report_to": Row("tensorboard", WRITTEN),
    "accelerator": Row("zero2", NOTE),
}
# Keys whose tests need more than one training in this process.
ELSEWHERE = {
    "devices": "test_processes", "wandb_project_name": "test_reporting",
    "is_multimodel": "test_vision", "finetune_vision_layers": "test_vision", "finetune_language_layers": "test_vision",
    "finetune_attention_modules": "test_vision", "finetune_mlp_modules": "test_vision",
}  # fmt: skip
# What runs without TUNEBUS_TEST_FULL: one key of each kind, and what only this trainer has.
QUICK = ("lora_alpha", "rank_pattern", "warmup_ratio", "optim_args", "adam_beta2", "max_steps", "eval_steps", "early_stopping_patience",
         "load_best_model_at_end", "dpo_beta", "use_gradient_checkpointing", "use_flash_attention")  # fmt: skip


class Heard(launch.Quiet):
    """A worker that remembers what a training tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[tuple[int, str, float]] = []
        self.points: list[tuple[int, list[str]]] = []
        self.stages: dict[str, int] = {}
        self.checkpoints: list[int] = []
        self.notes: list[str] = []
        self.artifacts: list[str] = []

    def stage(self, stage: str, done: int = 0) -> None:
        self.stages[stage] = self.stages.get(stage, 0) + 1

    def progress(self, step: int, total: int, points: dict[str, float]) -> None:
        self.losses += [(step, name, points[name]) for name in ("loss", "grad_norm", "learning_rate") if name in points]
        if points:
            self.points.append((step, sorted(points)))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def checkpoint(self, step: int, folder: Path) -> None:
        self.checkpoints.append(step)

    def result(self, folder: Path, tokens: int, statistics: dict[str, float], artifacts: dict[str, str], early: bool = False) -> None:
        self.artifacts = sorted(artifacts)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What became of a training, by what a key may change."""

    training: Any
    written: Any
    again: int  # times that a layer was computed
    notes: list[str]


class TestAblation(unittest.TestCase):
    folder: ClassVar[Path]
    temporary: ClassVar[tempfile.TemporaryDirectory[str]]
    known: ClassVar[dict[str, Seen]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        make_model(cls.folder / "base", "qwen2")  # whose attention has biases
        for name, make in (("rows", make_rows), ("pairs", make_pairs)):
            make(cls.folder / f"{name}.jsonl", 12)
            make(cls.folder / f"{name}-validation.jsonl", 5, seed=2)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def train(self, keys: dict[str, Any]) -> Seen:
        """Trains in this process, once for each set of keys."""
        name = json.dumps(keys, sort_keys=True)
        if name in self.known:
            return self.known[name]
        folder = self.folder / f"job-{len(self.known)}"
        rows = "pairs" if keys.get("method") == "dpo" else "rows"
        job = make_job(
            folder, self.folder / "base", self.folder / f"{rows}.jsonl", keys, validation=self.folder / f"{rows}-validation.jsonl"
        )
        (folder / "job.json").write_text(json.dumps(job))
        heard = Heard()
        with mock.patch.object(Qwen2MLP, "forward", autospec=True, side_effect=Qwen2MLP.forward) as computed:
            status = program.work(folder / "job.json", describe.machine(), heard)
        self.assertEqual(status, 0, name)
        weights = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "model").glob("*.safetensors")}
        self.assertTrue(weights, name)
        self.known[name] = Seen(
            training=(weights, heard.losses),
            written=(heard.points, heard.stages, heard.checkpoints, heard.artifacts),
            again=computed.call_count,
            notes=heard.notes,
        )
        return self.known[name]

    def check(self, key: str, row: Row) -> None:
        if row.changes == REFUSED:
            if describe.machine().accelerator:
                return
            with self.assertRaisesRegex(KeyFault, f"fine_tuner.{key} needs an accelerator"):
                self.train({**BASE, **row.beside, key: row.value})
            return
        without, has = self.train({**BASE, **row.beside}), self.train({**BASE, **row.beside, key: row.value})
        if row.changes == TRAINING:
            self.assertNotEqual(has.training, without.training)
            return
        self.assertEqual(has.training[0], without.training[0], "the weights are others")
        if row.changes == WRITTEN:
            self.assertNotEqual(has.written, without.written)
        elif row.changes == AGAIN:
            self.assertGreater(has.again, without.again)
        else:
            self.assertTrue(any(f"fine_tuner.{key}" in note for note in has.notes), has.notes)

    def test_every_key_changes_something(self) -> None:
        full = bool(os.environ.get("TUNEBUS_TEST_FULL"))
        for key, row in TABLE.items():
            if full or key in QUICK:
                with self.subTest(key):
                    self.check(key, row)

    def test_the_table_has_every_key(self) -> None:
        has = set(describe.description(describe.machine())["keys"])
        self.assertEqual(set(TABLE) | (set(ELSEWHERE) & has), has)
        self.assertLessEqual(set(QUICK), set(TABLE))


if __name__ == "__main__":
    unittest.main()
