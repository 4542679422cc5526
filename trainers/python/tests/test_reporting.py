"""W&B and TensorBoard, with the real packages: what they wrote is read back."""

from __future__ import annotations

import struct
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.worker import Attempt, make_job, make_model, make_rows

KEYS: dict[str, Any] = {
    "report_to": "mlflow, wandb, tensorboard",
    "wandb_project_name": "look",
    "device_train_batch_size": 5,
    "grad_accumulation": 1,
    "epochs": 2,
    "save_steps": 4,
    "dtype": "float32",
    "rank": 4,
}


class TestReporting(unittest.TestCase):
    def test_offline(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make_model(folder / "base")
            make_rows(folder / "rows.jsonl", 20)

            def attempt(name: str, **more: Any) -> Attempt:
                resume = more.pop("resume", None)
                job = make_job(folder / name, folder / "base", folder / "rows.jsonl", KEYS, resume)
                return Attempt(folder / name, job, **more).run()

            first = attempt("first", stop_at=4)
            self.assertEqual(first.status, 75, (folder / "first" / "log").read_text()[-3000:])
            second = attempt("second", resume=first.kept[4])
            self.assertEqual(second.status, 0, (folder / "second" / "log").read_text()[-3000:])
            notes = "\n".join(note["text"] for note in second.of("note"))
            self.assertIn("send it with: wandb sync wandb/offline-run-*", notes)
            [result] = second.of("result")
            self.assertEqual(sorted(result["artifacts"]), ["tensorboard", "wandb"])
            losses = {**first.points("loss"), **second.points("loss")}  # of the whole training
            self.assertEqual(list(losses), list(range(1, 9)))
            for name, read in (("wandb", of_wandb), ("tensorboard", of_tensorboard)):
                kept = Path(result["artifacts"][name])
                self.assertEqual([p for p in kept.rglob("*") if p.is_symlink()], [])
                read_back = read(kept)
                self.assertEqual(sorted(read_back), sorted(losses), name)
                for step, loss in losses.items():
                    self.assertAlmostEqual(read_back[step], loss, 5)


def of_wandb(folder: Path) -> dict[int, float]:
    """The losses by their steps in a run that was written offline."""
    import json

    import wandb.proto.wandb_internal_pb2

    kinds: Any = wandb.proto.wandb_internal_pb2

    [path] = folder.glob("offline-run-*/run-*.wandb")
    losses = {}
    for data in records(path.read_bytes()):
        record = kinds.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            if "train/loss" in row:
                losses[int(row["train/global_step"])] = float(row["train/loss"])
    return losses


def records(log: bytes) -> Iterator[bytes]:
    """The records of a file of W&B: a header of 7 bytes, then the log format of LevelDB."""
    block = 32768
    at, parts = 7, b""
    while at + 7 <= len(log):
        left = block - at % block
        if left < 7:  # filled up
            at += left
            continue
        size, kind = struct.unpack_from("<HB", log, at + 4)
        parts += log[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # the whole of a record, or its end
            yield parts
            parts = b""


def of_tensorboard(folder: Path) -> dict[int, float]:
    """The losses by their steps in event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("train/loss")}


if __name__ == "__main__":
    unittest.main()
