"""Trainings with the real packages: each ends with the weights of one that was not disturbed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.full import FULL
from tests.worker import Attempt, make_job, make_model, make_pairs, make_rows

COMMON: dict[str, Any] = {"save_steps": 4, "device_train_batch_size": 4, "grad_accumulation": 2, "epochs": 3, "dtype": "float32"}
KINDS: dict[str, dict[str, Any]] = {
    "lora": {**COMMON, "rank": 8, "lora_dropout": 0.1},
    "qlora": {**COMMON, "load_in_4bit": True, "lora_dropout": 0.1},
    "full": {**COMMON, "full_finetuning": True},
    # So high a rate makes it worse from the first step on, so that it ends at step 4. An order to stop has to
    # be there before.
    "early": {
        **COMMON, "rank": 8, "learning_rate": 50, "warmup_steps": 0,
        "save_steps": 2, "eval_steps": 1, "early_stopping_patience": 3, "load_best_model_at_end": True,
    },
    "dpo": {**COMMON, "method": "dpo", "rank": 8, "learning_rate": 5e-3, "lora_dropout": 0.1, "load_best_model_at_end": True},
    "packing": {**COMMON, "packing": True, "max_sequence_length": 64, "device_train_batch_size": 2, "grad_accumulation": 1},
}  # fmt: skip
FURTHER: dict[str, dict[str, Any]] = {
    "best": {**COMMON, "rank": 8, "learning_rate": 0.05, "max_steps": 10, "load_best_model_at_end": True, "use_dora": True},
    "dpo-full": {**COMMON, "method": "dpo", "full_finetuning": True, "dpo_beta": 0.5},
    "8bit": {**COMMON, "load_in_8bit": True, "modules_to_save": ["norm"]},
    "plateau": {**COMMON, "lr_scheduler_type": "reduce_lr_on_plateau", "eval_steps": 3, "load_best_model_at_end": True},
}

# One of each way that a training is kept in a checkpoint; the others take as long again.
if not FULL:
    KINDS = {kind: KINDS[kind] for kind in ("qlora", "full")}


class TestTraining(unittest.TestCase):
    folder: ClassVar[Path]
    temporary: ClassVar[tempfile.TemporaryDirectory[str]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        make_model(cls.folder / "base")
        make_rows(cls.folder / "rows.jsonl", 30)
        make_rows(cls.folder / "validation.jsonl", 6, seed=2)
        make_pairs(cls.folder / "pairs.jsonl", 30)
        make_pairs(cls.folder / "pairs-validation.jsonl", 6, seed=2)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def attempt(self, name: str, keys: dict[str, Any], resume: Path | None = None, **faults: Any) -> Attempt:
        folder = self.folder / name
        names = ("pairs.jsonl", "pairs-validation.jsonl") if keys.get("method") == "dpo" else ("rows.jsonl", "validation.jsonl")
        validation = self.folder / names[1] if keys.get("load_best_model_at_end") else None
        job = make_job(folder, self.folder / "base", self.folder / names[0], keys, resume, validation=validation)
        return Attempt(folder, job, **faults).run()

    def weights(self, name: str) -> dict[str, str]:
        found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (self.folder / name / "model").glob("*.safetensors")}
        self.assertTrue(found, (self.folder / name / "log").read_text()[-3000:])
        return found

    def test_stopped_and_killed_trainings_end_alike(self) -> None:
        for kind, keys in (KINDS | (FURTHER if os.environ.get("TUNEBUS_TEST_FULL") else {})).items():
            with self.subTest(kind):
                whole = self.attempt(kind, keys)
                self.assertEqual(whole.status, 0, (self.folder / kind / "log").read_text()[-3000:])
                self.assertEqual(len(whole.of("result")), 1)
                last = whole.of("progress")[-1]
                self.assertEqual(last["step"] < last["total"], kind == "early", last)

                stopped = self.attempt(kind + "-stopped", keys, stop_at=1 if kind == "early" else 5)
                self.assertEqual(stopped.status, 75)
                self.assertEqual(stopped.of("result"), [])
                resumed = self.attempt(kind + "-resumed", keys, resume=stopped.kept[max(stopped.kept)])
                self.assertEqual(self.weights(kind + "-resumed"), self.weights(kind))

                killed = self.attempt(kind + "-killed", keys, kill_at=3 if kind == "early" else 7)
                newest = 2 if kind == "early" else 4
                self.assertEqual((killed.status, max(killed.kept)), (-9, newest))
                again = self.attempt(kind + "-again", keys, resume=killed.kept[newest])
                self.assertEqual(self.weights(kind + "-again"), self.weights(kind))
                for part in (resumed, again):
                    self.assertEqual(part.points("loss"), {s: v for s, v in whole.points("loss").items() if s in part.points("loss")})

    def test_attention_that_the_model_lacks(self) -> None:
        make_model(self.folder / "gemma2", "gemma2")
        folder = self.folder / "lacks"
        done = Attempt(folder, make_job(folder, self.folder / "gemma2", self.folder / "rows.jsonl", {"max_steps": 2})).run()
        self.assertEqual((done.status, len(done.of("result"))), (0, 1), (folder / "log").read_text()[-3000:])
        note = "Gemma2ForCausalLM does not support the attention 'sdpa': it computes with 'eager', which is slower"
        self.assertIn(note, [m["text"] for m in done.of("note")])


if __name__ == "__main__":
    unittest.main()
