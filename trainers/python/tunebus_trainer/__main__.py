"""The command: ``python -m tunebus_trainer --job FILE`` or ``--describe``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from . import engine  # isort: skip  # before all that imports transformers
from . import describe, sft
from .callbacks import Diverged
from .connection import Connection, WorkerGone
from .job import Job, JobFault
from .keys import KeyFault, Keys, Machine, plan
from .rows import RowFault

STOPPED = 75  # the exit status of a trainer that was stopped after a checkpoint
UPLOAD = 600.0  # seconds to wait for the answer to the last checkpoint


def main() -> int:
    """Works on a job. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="tunebus_trainer")
    parser.add_argument("--describe", action="store_true", help="print what this trainer can do")
    parser.add_argument("--engine", choices=(engine.TRL, engine.UNSLOTH), default=engine.TRL, help="whose loaders open the model")
    parser.add_argument("--job", type=Path, help="the job file")
    arguments = parser.parse_args()
    if arguments.describe:
        print(json.dumps(describe.description(describe.machine())))
        return 0
    if arguments.job is None or "TUNEBUS_SOCKET" not in os.environ:
        parser.error("a worker of tunebus starts this with --job FILE and TUNEBUS_SOCKET; see --describe")
    machine = describe.machine()
    try:
        connection = Connection(os.environ["TUNEBUS_SOCKET"], describe.description(machine))
    except WorkerGone as err:
        print(err, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: connection.order_stop())
    try:
        return work(arguments.job, machine, connection)
    except Exception as err:  # noqa: BLE001 - every error has a class in the protocol
        traceback.print_exc()
        connection.error(*classify(err))
        return 1
    finally:
        connection.close()


def work(path: Path, machine: Machine, connection: Connection) -> int:
    """Trains what a job asks for."""
    engine.check(engine.NAME)
    job = Job.read(path)
    keys = Keys.read(job.keys)
    connection.stage("tokenise")
    reports = prepare_reports(job)
    with tempfile.TemporaryDirectory() as scratch:
        data = sft.read(job, Path(scratch))
        for name, counts in (("training", data.counts), ("validation", data.validation_counts)):
            if counts.dropped:
                connection.dataset(name, counts.rows, counts.dropped, 0)
        if data.training is None:
            raise RowFault("no row has a token that counts in the loss")
        chosen = plan(keys, machine, data.validation_counts.rows)
        for note in chosen.notes:
            connection.note(note)
        connection.stage("load")
        outcome = sft.train(job, data, chosen, connection)
    if not outcome.done:
        connection.wait_until_answered(UPLOAD)
        return STOPPED
    artifacts = {name: str(folder) for name, folder in reports.items() if folder.exists()}
    connection.result(job.result, outcome.tokens, outcome.statistics, artifacts)
    return 0


def prepare_reports(job: Job) -> dict[str, Path]:
    """Has W&B and TensorBoard write into the artifacts of the job; returns their folders."""
    folders = {"wandb": job.artifacts / "wandb", "tensorboard": job.artifacts / "tensorboard"}
    os.environ["WANDB_DIR"] = str(job.artifacts)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folders["tensorboard"])
    if project := job.keys.get("wandb_project_name"):
        os.environ["WANDB_PROJECT"] = project
    return folders


def classify(err: BaseException) -> tuple[str, str, str]:
    """The class of an error in the protocol, its text, and the key that it is about."""
    import torch

    text = str(err) or repr(err)
    out = isinstance(err, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text or "out of memory" in text.lower()
    if out:
        return "out_of_memory", text, ""
    if isinstance(err, Diverged):
        return "diverged", text, ""
    if isinstance(err, RowFault):
        return "bad_data", text, ""
    if isinstance(err, KeyFault):
        return "bad_key", text, err.key
    if isinstance(err, sft.ModelFault):
        return "bad_model", text, ""
    if isinstance(err, (JobFault, engine.MachineFault)):
        return "internal", text, ""
    return "internal", f"{type(err).__name__}: {text}", ""


if __name__ == "__main__":
    sys.exit(main())
