"""Answers with the real packages: batches answer as single prompts do, and each row is answered once."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from tests.full import full
from tests.worker import make_model
from tunebus_trainer.generate import Prompt, batches

KEYS: dict[str, Any] = {
    "batch_size": 4,
    "dtype": "float32",
    "load_in_4bit": False,
    "load_in_8bit": False,
    "max_new_tokens": 12,
    "min_p": 0.1,
    "seed": 42,
    "stop": None,
    "temperature": 0,
    "top_k": 0,
    "top_p": 1,
    "use_cache": True,
}
END = [299]


class Run:
    """One life of the command, as a process."""

    def __init__(self, folder: Path, job: dict[str, Any], kill_at: int = 0, stop_at: int = 0) -> None:
        self.messages: list[dict[str, Any]] = []
        (folder / "job.json").write_text(json.dumps(job))
        with tempfile.TemporaryDirectory() as at, socket.socket(socket.AF_UNIX) as listening:
            listening.bind(at + "/socket")
            listening.listen()
            environment = {**os.environ, "TUNEBUS_SOCKET": at + "/socket", "HF_HUB_OFFLINE": "1", "TMPDIR": at}
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tunebus_trainer.generate", "--job", str(folder / "job.json")],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    cwd=Path(__file__).parents[1],
                )

                def serve() -> None:
                    try:
                        connection, _ = listening.accept()
                    except OSError:
                        return
                    with connection, connection.makefile("rb") as lines:
                        for line in lines:
                            message = json.loads(line)
                            self.messages.append(message)
                            if message["type"] != "progress":
                                continue
                            if kill_at and message["step"] >= kill_at:
                                process.kill()
                            if stop_at and message["step"] == stop_at:
                                connection.sendall(b'{"type": "stop", "by": "soon", "seconds": 60}\n')

                thread = threading.Thread(target=serve, daemon=True)
                thread.start()
                self.status = process.wait(600)
                thread.join(10)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type."""
        return [m for m in self.messages if m["type"] == kind]


class TestBatches(unittest.TestCase):
    def test_batches_stay_as_they_are(self) -> None:
        rows = [Prompt(i, [0] * (i + 1), answered=i in (0, 1, 5)) for i in range(7)]
        self.assertEqual([[p.row for p in b] for b in batches(rows, 2)], [[6], [4, 5], [2, 3]])


class TestGenerate(unittest.TestCase):
    folder: ClassVar[Path]
    temporary: ClassVar[tempfile.TemporaryDirectory[str]]
    prompts: ClassVar[list[list[int]]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        make_model(cls.folder / "base")
        chosen = random.Random(3)
        cls.prompts = [[chosen.randrange(290) for _ in range(chosen.randint(3, 30))] for _ in range(22)]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def run_job(self, name: str, keys: dict[str, Any], answered: dict[int, Any] | None = None, end: list[int] = END, **faults: int) -> tuple[Run, dict[int, Any]]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        known = answered or {}
        with (folder / "prompts.jsonl").open("w") as out:
            for row, ids in enumerate(self.prompts):
                out.write(json.dumps({"row": row, "ids": ids, **({"answered": True} if row in known else {})}) + "\n")
        answers = folder / "answers.jsonl"
        answers.unlink(missing_ok=True)
        base = str(self.folder / "base")
        job = {
            "protocol": 1,
            "kind": "inference",
            "model": {"folder": base, "tokenizer": base, "adapter": None, "name": "owner/model"},
            "keys": {**KEYS, **keys},
            "seed": 42,
            "prompts": {"tokens": str(folder / "prompts.jsonl"), "rows": len(self.prompts), "longest": 30, "end": end},
            "output": {"answers": str(answers)},
        }
        run = Run(folder, job, **faults)
        found: dict[int, Any] = {}
        for line in answers.read_text().splitlines() if answers.exists() else []:
            value = json.loads(line)
            self.assertNotIn(value["row"], {**known, **found})
            found[value["row"]] = (value["ids"], value["finish_reason"])
        return run, {**known, **found}

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()[-3000:]

    def test_a_batch_answers_as_single_prompts_do(self) -> None:
        import torch
        import transformers

        model: Any = transformers.AutoModelForCausalLM.from_pretrained(self.folder / "base", dtype=torch.float32)

        def alone(ids: list[int], end: int | None, keys: dict[str, Any]) -> list[int]:
            out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=12, eos_token_id=end, pad_token_id=END[0], **keys)
            return list(out[0, len(ids) :].tolist())

        answers = {}
        # A batch is filled up with the token that ends answers, which is no part of a prompt.
        penalised = {"repetition_penalty": 4.0}
        often = Counter(i for ids in self.prompts for i in alone(ids, None, penalised)[2:] if i not in ids).most_common(1)[0][0]
        for name, keys, end in (("greedy", {}, END[0]), ("penalised", penalised, often)):
            run, found = self.run_job(name, keys, end=[end])
            self.assertEqual(run.status, 0, self.log(name))
            for row, ids in enumerate(self.prompts):
                want = alone(ids, end, keys)
                reason = "length"
                if end in want:
                    want, reason = want[: want.index(end)], "stop"
                self.assertEqual(found[row], (want, reason), (name, row))
            self.assertEqual(run.of("progress")[-1]["step"], len(self.prompts))
            self.assertEqual(len(run.of("result")), 1)
            answers[name] = found
        self.assertNotEqual(answers["greedy"], answers["penalised"])

    @full
    def test_killed_and_stopped_runs_end_alike(self) -> None:
        cases: dict[str, dict[str, Any]] = {"drawn": {"temperature": 0.8, "seed": 7}, "4bit": {"load_in_4bit": True}}
        for name, keys in cases.items():
            with self.subTest(name):
                whole, want = self.run_job(name, keys)
                self.assertEqual(whole.status, 0, self.log(name))
                self.assertEqual(sorted(want), list(range(len(self.prompts))))
                killed, part = self.run_job(name, keys, kill_at=8)
                self.assertEqual(killed.status, -9)
                self.assertGreaterEqual(len(part), 8)
                stopped, more = self.run_job(name, keys, answered=part, stop_at=4)
                self.assertEqual((stopped.status, stopped.of("result")), (75, []), self.log(name))
                last, every = self.run_job(name, keys, answered=more)
                self.assertEqual((last.status, every), (0, want), self.log(name))

    def test_faults_have_classes(self) -> None:
        run, _ = self.run_job("both", {"load_in_4bit": True, "load_in_8bit": True})
        self.assertEqual((run.status, run.of("error")[0]["class"], run.of("error")[0]["key"]), (1, "bad_key", "load_in_8bit"))


if __name__ == "__main__":
    unittest.main()
