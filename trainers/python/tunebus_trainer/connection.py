"""The trainer's end of the connection to its worker: one JSON object a line."""

from __future__ import annotations

import json
import math
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

# A trainer that cannot connect for so long ends, since its worker is gone.
GONE_AFTER = 60.0
LONGEST_LINE = 1 << 20


class WorkerGone(ConnectionError):
    """Nobody answers on the socket."""


class Connection:
    """Sends lines to the worker, and knows what the worker has said.

    A connection that breaks is taken up again. Then hello is sent again, and what the
    worker may not have got: the newest checkpoint that has no answer, and the end.
    Methods may be called from every thread.
    """

    def __init__(self, path: str, hello: dict[str, Any]) -> None:
        self._path = path
        self._hello = {"type": "hello", **hello}
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._socket: socket.socket | None = None
        self._unanswered: dict[str, Any] | None = None  # a checkpoint
        self._end: dict[str, Any] | None = None  # a result or an error
        self._stop = threading.Event()
        self._kept = 0
        self._closed = False
        self._connect()

    @property
    def stopping(self) -> bool:
        """True once the worker, or a signal, has ordered a stop."""
        return self._stop.is_set()

    def order_stop(self) -> None:
        """Does what a stop of the worker does; safe in a handler of a signal."""
        self._stop.set()

    def kept(self) -> int:
        """The step of the newest checkpoint that the worker has kept; 0 before the first."""
        return self._kept

    def stage(self, stage: str, done: int = 0) -> None:
        """Says what the trainer does from now on, and how much of it is done."""
        self._send({"type": "stage", "stage": stage, "done": done})

    def progress(self, step: int, total: int, points: dict[str, float]) -> None:
        """Reports that a step is done, and the points of metrics at it."""
        numbers = {name: value if math.isfinite(value) else None for name, value in points.items()}
        self._send({"type": "progress", "step": step, "total": total, "points": numbers})

    def note(self, text: str) -> None:
        """Adds a sentence for people to the run."""
        self._send({"type": "note", "text": text})

    def dataset(self, name: str, rows: int, dropped: int, cut: int) -> None:
        """Says what became of the rows of a data set."""
        self._send({"type": "dataset", "set": name, "rows": rows, "dropped": dropped, "cut": cut})

    def checkpoint(self, step: int, folder: Path) -> None:
        """Says that a checkpoint is complete. Its folder has to stay until kept() is its step or a later one."""
        message = {"type": "checkpoint", "step": step, "folder": str(folder)}
        with self._lock:
            self._unanswered = message
        self._send(message)

    def wait_until_answered(self, timeout: float) -> None:
        """Waits until the newest checkpoint has its answer."""
        with self._answered:
            self._answered.wait_for(lambda: self._unanswered is None, timeout)

    def result(self, folder: Path, tokens: int, statistics: dict[str, float], artifacts: dict[str, str], early: bool = False) -> None:
        """Says that the model is written whole. Nothing is sent after it. early: there were to be more steps."""
        numbers = {name: value for name, value in statistics.items() if math.isfinite(value)}
        message = {"type": "result", "folder": str(folder), "tokens": tokens, "statistics": numbers, "artifacts": artifacts}
        self._finish({**message, "ended_early": True} if early else message)

    def error(self, kind: str, text: str, key: str = "") -> None:
        """Says why the trainer cannot go on. Nothing is sent after it."""
        self._finish({"type": "error", "class": kind, "text": text[:4000], **({"key": key} if key else {})})

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                self._socket.close()

    def _finish(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._end = message
        self._send(message)

    def _connect(self) -> None:
        """Connects, says hello, and repeats what the worker may not have got."""
        deadline = time.monotonic() + GONE_AFTER
        while True:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connected.connect(self._path)
                for message in (self._hello, self._unanswered, self._end):
                    if message is not None:
                        connected.sendall(_line(message))
            except OSError as err:
                connected.close()
                if time.monotonic() > deadline:
                    raise WorkerGone(f"no worker answers on {self._path}: {err}") from err
                time.sleep(0.2)
                continue
            self._socket = connected
            threading.Thread(target=self._read, args=(connected,), name="worker", daemon=True).start()
            return

    def _send(self, message: dict[str, Any]) -> None:
        line = _line(message)
        with self._lock:
            if self._closed:
                return
            try:
                if self._socket is None:
                    raise ConnectionError
                self._socket.sendall(line)
            except OSError:
                self._connect()
                if message is not self._unanswered and message is not self._end:
                    assert self._socket is not None
                    self._socket.sendall(line)

    def _read(self, connected: socket.socket) -> None:
        with connected.makefile("rb") as lines:
            try:
                while line := lines.readline(LONGEST_LINE + 1):
                    self._receive(line)
            except OSError:
                pass
        with self._lock:
            if self._closed or self._socket is not connected:
                return
            connected.close()
            try:
                self._connect()
            except WorkerGone as err:
                print(err, file=sys.stderr)
                self._stop.set()

    def _receive(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            print(f"the worker sent {line[:100]!r}", file=sys.stderr)
            return
        if kind == "stop":
            self._stop.set()
        elif kind in ("checkpoint_kept", "checkpoint_not_kept"):
            with self._answered:
                if kind == "checkpoint_kept":
                    self._kept = max(self._kept, message["step"])
                if self._unanswered is not None and message["step"] >= self._unanswered["step"]:
                    self._unanswered = None
                self._answered.notify_all()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"
