"""What ends a trainer before its first step, and the classes of errors."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.worker import Attempt, make_job, make_model, make_rows
from tunebus_trainer import checkpoint, needs

MEMORY = """
import resource

import torch

from tunebus_trainer.__main__ import classify

with open("/proc/self/statm") as pages:
    used = int(pages.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
try:
    torch.ones(4 << 30)
except Exception as err:
    print(classify(err)[0])
"""


class TestNeeds(unittest.TestCase):
    """Needs no packages."""

    def test_python(self) -> None:
        self.assertIn("needs Python 3.11 or later", needs.lacks("trl", version=(3, 8)))
        self.assertEqual(needs.lacks("other", version=(3, 11)), "")

    def test_packages(self) -> None:
        said = needs.lacks("unsloth", find=lambda name: None if name in ("unsloth", "peft") else name)
        self.assertIn("lacks the packages unsloth, peft; tunebus engine install unsloth", said)

    def test_the_command(self) -> None:
        """A Python without packages says so in one line."""
        with tempfile.TemporaryDirectory() as name:
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", name], check=True)
            ended = subprocess.run(
                [name + "/bin/python", "-m", "tunebus_trainer", "--describe"],
                capture_output=True,
                text=True,
                cwd=Path(__file__).parents[1],
                check=False,
            )
            of_a_job = subprocess.run(
                [name + "/bin/python", "-m", "tunebus_trainer", "--job", "job.json"],
                capture_output=True,
                cwd=Path(__file__).parents[1],
                check=False,
            )
        self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended.stderr)
        self.assertIn("lacks the packages torch, transformers", ended.stderr)
        self.assertEqual(of_a_job.returncode, 78, of_a_job.stderr)


class TestCheckpoint(unittest.TestCase):
    """Needs no packages."""

    def test_faults(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for add, adapter, says in (
                ({}, True, "has no state of a training: FileNotFoundError"),
                ({"trainer_state.json": "{"}, True, "has no state of a training: JSONDecodeError"),
                ({"trainer_state.json": "[]"}, True, "has no state of a training: TypeError"),
                ({"trainer_state.json": '{"global_step": 4}'}, True, "of step 4 has no optimizer.pt"),
                ({"optimizer.pt": "", "adapter_model.safetensors": ""}, False, "has an adapter, and this training is one of all weights"),
            ):
                for file, text in add.items():
                    (folder / file).write_text(text)
                with self.subTest(says), self.assertRaisesRegex(checkpoint.CheckpointFault, says):
                    checkpoint.check(folder, adapter)
            checkpoint.check(folder, True)


class TestClasses(unittest.TestCase):
    def test_out_of_memory(self) -> None:
        """The error of a real allocation under a limit."""
        got = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
        self.assertEqual(got.stdout.strip(), "out_of_memory", got.stderr[-2000:])

    def test_jobs(self) -> None:
        """A checkpoint that is none, and a model that is none."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_model(folder / "base")
            make_rows(folder / "rows.jsonl", 4)
            (folder / "checkpoint").mkdir()
            (folder / "nothing").mkdir()
            for model, resume, kind in (("nothing", None, "bad_model"), ("base", folder / "checkpoint", "bad_checkpoint")):
                with self.subTest(kind):
                    job = make_job(folder / "job", folder / model, folder / "rows.jsonl", {"dtype": "float32", "rank": 4}, resume, step=3)
                    job["model"]["tokenizer"] = str(folder / "base")
                    attempt = Attempt(folder / "job", job).run()
                    error = attempt.of("error")
                    self.assertEqual(
                        (attempt.status, [e["class"] for e in error]), (1, [kind]), (folder / "job" / "log").read_text()[-2000:]
                    )
                    self.assertNotIn("Traceback", error[0]["text"])


if __name__ == "__main__":
    unittest.main()
