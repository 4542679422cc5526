"""A worker for tests: it speaks the protocol, and runs the trainer as a process."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Attempt:
    """One attempt at a job, by a process of the trainer."""

    def __init__(
        self,
        folder: Path,
        job: dict[str, Any],
        stop_at: int = 0,
        kill_at: int = 0,
        kill_rank: int | None = None,
        command: tuple[str, ...] = ("-m", "tunebus_trainer"),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.left = 0  # processes when the trainer had ended; they are killed
        self._kill_rank = kill_rank  # of several processes, in place of the trainer's own
        self._socket = ""
        self.kept: dict[int, Path] = {}  # copies of checkpoints
        self.status: int | None = None
        self._folder, self._job = folder, job
        self._stop_at, self._kill_at = stop_at, kill_at
        self._command, self._environment = command, environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> Attempt:
        """Runs the trainer until its end."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
            path = self._socket = folder + "/socket"
            listening.bind(path)
            listening.listen()
            job = self._folder / "job.json"
            job.write_text(json.dumps(self._job))
            environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
            environment.update(TUNEBUS_SOCKET=path, HF_HUB_OFFLINE="1", WANDB_MODE="offline", TMPDIR=folder, **self._environment)
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *self._command, "--job", str(job)],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    cwd=Path(__file__).parents[1],
                )
                thread = threading.Thread(target=self._serve, args=(listening,), daemon=True)
                thread.start()
                self.status = self._process.wait(600)
                self.left = len(self._kill(lambda _: True))
                thread.join(10)
        return self

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, connection.makefile("rb") as lines:
                    for line in lines:
                        self._receive(connection, json.loads(line))
                if self._process is None or self._process.poll() is not None:
                    return

    def _receive(self, connection: socket.socket, message: dict[str, Any]) -> None:
        self.messages.append(message)
        assert self._process is not None
        match message["type"]:
            case "progress" if self._kill_at and message["step"] >= self._kill_at:
                if self._kill_rank is None:
                    self._process.kill()
                    self._kill(lambda _: True)  # as a worker does
                else:
                    self._kill(lambda environment: f"RANK={self._kill_rank}" in environment)
            case "progress" if self._stop_at and message["step"] == self._stop_at and not message["points"]:
                _send(connection, {"type": "stop", "by": "soon", "seconds": 60})
            case "checkpoint":
                copy = self._folder / f"kept-{message['step']}"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(message["folder"], copy)
                self.kept[message["step"]] = copy
                _send(connection, {"type": "checkpoint_kept", "step": message["step"]})

    def _kill(self, which: Callable[[list[str]], bool]) -> list[int]:
        """Kills processes of this attempt by their environment."""
        killed = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                environment = path.read_bytes().decode(errors="replace").split("\0")
                if f"TUNEBUS_SOCKET={self._socket}" in environment and which(environment):
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    killed.append(int(path.parent.name))
        return killed

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type."""
        return [m for m in self.messages if m["type"] == kind]

    def points(self, name: str) -> dict[int, float]:
        """The points of a metric by their steps."""
        return {m["step"]: m["points"][name] for m in self.of("progress") if name in m["points"]}


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def make_model(folder: Path, kind: str = "llama") -> None:
    """Writes a tiny model with random weights and a tokenizer of 300 tokens."""
    import tokenizers
    import torch
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    torch.manual_seed(0)
    if kind == "qwen2":
        model: Any = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**sizes))
    elif kind == "gemma2":
        model = transformers.Gemma2ForCausalLM(transformers.Gemma2Config(head_dim=16, **sizes))
    else:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))
    model.save_pretrained(folder)
    words = {f"<{i}>": i for i in range(300)}
    tokens = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<0>"))
    fast: Any = transformers.PreTrainedTokenizerFast
    fast(tokenizer_object=tokens, eos_token="<299>", pad_token="<298>").save_pretrained(folder)


def make_rows(path: Path, count: int, seed: int = 1) -> None:
    """Writes rows of 5 to 40 tokens, in which all but the first four count."""
    chosen = random.Random(seed)
    with path.open("w") as out:
        for _ in range(count):
            length = chosen.randint(5, 40)
            ids = [chosen.randrange(290) for _ in range(length)]
            out.write(json.dumps({"ids": ids, "counted": [[4, length]]}) + "\n")


def make_pairs(path: Path, count: int, seed: int = 1) -> None:
    """Writes prompts of 3 to 10 tokens with two answers: chosen ones begin with a token of their own."""
    chosen = random.Random(seed)
    with path.open("w") as out:
        for _ in range(count):
            prompt, *answers = ([chosen.randrange(20, 290) for _ in range(chosen.randint(3, 10))] for _ in range(3))
            out.write(json.dumps({"prompt": prompt, "chosen": [7, *answers[0]], "rejected": [9, *answers[1]]}) + "\n")


def _rows(path: Path, keys: dict[str, Any]) -> dict[str, Any]:
    return {"tokens": str(path), "messages": "", "examples": 0, "rows": 0, "longest": 0, "pairs": keys.get("method") == "dpo"}


def make_job(
    folder: Path,
    model: Path,
    rows: Path,
    keys: dict[str, Any],
    resume: Path | None = None,
    step: int = 0,
    validation: Path | None = None,
) -> dict[str, Any]:
    """A job in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("checkpoints", "artifacts"):
        (folder / name).mkdir(parents=True)
    return {
        "protocol": 1,
        "run": "r",
        "attempt": 1,
        "model": {"folder": str(model), "tokenizer": str(model), "adapter": None, "name": "owner/model"},
        "keys": keys,
        "changed": sorted(keys),
        "seed": keys.get("seed", 42),
        "training": _rows(rows, keys),
        "validation": _rows(validation, keys) if validation else None,
        "resume": {"step": step, "folder": str(resume)} if resume else None,
        "output": {"model": str(folder / "model"), "checkpoints": str(folder / "checkpoints"), "artifacts": str(folder / "artifacts")},
        "devices": "",
    }
