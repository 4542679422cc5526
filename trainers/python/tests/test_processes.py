"""Two processes on the CPU, with the real packages: whatever ends one of them, the training ends alike."""

from __future__ import annotations

import hashlib
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.full import full
from tests.worker import Attempt, make_job, make_model, make_rows

# 30 rows are 4 steps of 8 rows in an epoch, in which 2 rows are used twice.
KEYS: dict[str, Any] = {
    "devices": 2,
    "device_train_batch_size": 4,
    "grad_accumulation": 1,
    "epochs": 3,
    "save_steps": 4,
    "dtype": "float32",
    "rank": 8,
    "lora_dropout": 0.1,
}


class TestProcesses(unittest.TestCase):
    folder: ClassVar[Path]
    temporary: ClassVar[tempfile.TemporaryDirectory[str]]
    whole: ClassVar[Attempt]

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        make_model(cls.folder / "base")
        make_rows(cls.folder / "rows.jsonl", 30)
        cls.whole = cls.attempt("whole", KEYS)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    @classmethod
    def attempt(cls, name: str, keys: dict[str, Any], resume: Path | None = None, **faults: Any) -> Attempt:
        folder = cls.folder / name
        return Attempt(folder, make_job(folder, cls.folder / "base", cls.folder / "rows.jsonl", keys, resume), **faults).run()

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()[-3000:]

    def resumes(self, name: str, attempt: Attempt) -> None:
        """Goes on from the newest checkpoint, to the result of the undisturbed training."""
        again = self.attempt(name + "-again", KEYS, resume=attempt.kept[max(attempt.kept)])
        self.assertEqual((again.status, again.left), (0, 0), self.log(name + "-again"))
        self.assertEqual(self.weights(name + "-again"), self.weights("whole"))
        self.assertEqual(again.points("loss"), {s: v for s, v in self.whole.points("loss").items() if s in again.points("loss")})

    def weights(self, name: str) -> str:
        return hashlib.sha256((self.folder / name / "model" / "adapter_model.safetensors").read_bytes()).hexdigest()

    def test_whole(self) -> None:
        whole = self.whole
        self.assertEqual((whole.status, whole.left), (0, 0), self.log("whole"))
        self.assertEqual(len(whole.of("hello")), 1)  # rank 0 alone speaks
        steps = [m["step"] for m in whole.of("progress") if not m["points"]]
        self.assertEqual(steps, list(range(1, 13)))
        notes = "\n".join(m["text"] for m in whole.of("note"))
        self.assertIn("a step has 8 rows (device_train_batch_size 4 x grad_accumulation 1 x 2 processes)", notes)
        self.assertIn("2 of 30 rows are used twice in an epoch", notes)

    @full
    def test_stop(self) -> None:
        stopped = self.attempt("stopped", KEYS, stop_at=5)
        self.assertEqual((stopped.status, stopped.left, stopped.of("result")), (75, 0, []), self.log("stopped"))
        self.assertGreaterEqual(max(stopped.kept), 5)
        self.resumes("stopped", stopped)

    @full
    def test_kill(self) -> None:
        killed = self.attempt("killed", KEYS, kill_at=7)
        self.assertEqual(killed.status, -9, self.log("killed"))
        self.resumes("killed", killed)

    @full
    def test_kill_of_a_rank(self) -> None:
        for rank in (0, 1):
            with self.subTest(rank):
                name = f"rank-{rank}"
                killed = self.attempt(name, KEYS, kill_at=7, kill_rank=rank)
                self.assertEqual((killed.status, killed.left), (1, 0), self.log(name))
                [error] = killed.of("error")
                self.assertEqual(error["class"], "internal")
                self.assertIn(f"the process of rank {rank} of 2 ended without a word", error["text"])
                if rank == 1:
                    self.resumes(name, killed)

    @full
    def test_fault(self) -> None:
        refused = self.attempt("refused", {**KEYS, "accelerator": "fsdp2"})
        self.assertEqual((refused.status, refused.left), (1, 0), self.log("refused"))
        [error] = refused.of("error")
        self.assertEqual((error["class"], error["key"]), ("bad_key", "accelerator"))
        self.assertIn("needs accelerators", error["text"])


if __name__ == "__main__":
    unittest.main()
