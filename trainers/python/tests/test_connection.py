"""The connection to the worker. Needs no packages."""

from __future__ import annotations

import json
import math
import socket
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunebus_trainer.connection import Connection


class Worker:
    """A worker that accepts one connection after the other."""

    def __init__(self, path: str) -> None:
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        self.listening.settimeout(10)

    def accept(self) -> Any:
        self.connection, _ = self.listening.accept()
        self.connection.settimeout(10)
        self.lines = self.connection.makefile("rb")

    def read(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.lines.readline())
        return message

    def send(self, line: bytes) -> None:
        self.connection.sendall(line + b"\n")

    def cut(self) -> None:
        self.lines.close()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class TestConnection(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = folder.name + "/socket"
        self.worker = Worker(path)
        self.addCleanup(self.worker.listening.close)
        self.connection = Connection(path, {"protocol": 1})
        self.addCleanup(self.connection.close)
        self.worker.accept()
        self.addCleanup(lambda: self.worker.connection.close())
        self.assertEqual(self.worker.read(), {"type": "hello", "protocol": 1})

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_numbers_that_are_none(self) -> None:
        self.connection.progress(1, 2, {"loss": math.nan, "epoch": 0.5})
        self.assertEqual(self.worker.read()["points"], {"loss": None, "epoch": 0.5})

    def test_orders(self) -> None:
        self.worker.send(b"\xff garbage")
        self.worker.send(b'{"type": "of a later version"}')
        self.worker.send(b'{"type": "checkpoint_kept", "step": 4}')
        self.until(lambda: self.connection.kept() == 4)
        self.assertFalse(self.connection.stopping)
        self.worker.send(b'{"type": "stop", "by": "soon", "seconds": 1}')
        self.until(lambda: self.connection.stopping)

    def test_what_has_no_answer_is_repeated(self) -> None:
        self.connection.checkpoint(4, Path("/a"))
        self.assertEqual(self.worker.read()["step"], 4)
        self.worker.cut()
        self.worker.accept()
        self.assertEqual([self.worker.read()["type"] for _ in range(2)], ["hello", "checkpoint"])
        self.worker.send(b'{"type": "checkpoint_not_kept", "step": 4, "text": "full"}')
        self.connection.wait_until_answered(10)
        self.assertEqual(self.connection.kept(), 0)
        self.worker.cut()
        self.worker.accept()
        self.assertEqual(self.worker.read()["type"], "hello")
        self.connection.result(Path("/m"), 1, {"final_training_loss": 0.5, "x": math.inf}, {})
        self.assertEqual(self.worker.read()["statistics"], {"final_training_loss": 0.5})
        self.worker.cut()
        self.worker.accept()
        self.assertEqual([self.worker.read()["type"] for _ in range(2)], ["hello", "result"])


if __name__ == "__main__":
    unittest.main()
