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
from typing import Any

from . import checked  # isort: skip  # noqa: F401  # before all that imports packages
from . import engine  # isort: skip  # before all that imports transformers
from . import describe, launch, schedules, sft, unsloth_models, vision
from .callbacks import Diverged
from .checkpoint import CheckpointFault
from .connection import Connection, WorkerGone
from .job import Job, JobFault
from .keys import KeyFault, Keys, Machine, notes_of, plan
from .reporting import Reports
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
    if not launch.is_rank() and (processes := launch.wanted(arguments.job)) > 1:
        try:
            check(arguments.job, describe.machine())  # before processes start
        except Exception as err:  # noqa: BLE001 - every error has a class in the protocol
            trace(err)
            report({}, classify(err))
            return 1
        return launch.run(processes, sys.argv[1:], report)
    unused = launch.choose_devices(launch.wanted(arguments.job))
    machine = describe.machine()
    try:
        connection = connect(describe.description(machine))
    except WorkerGone as err:
        print(err, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: connection.order_stop())
    try:
        if unused:
            connection.note(unused)
        status = work(arguments.job, machine, connection)
        return launch.ended(status) if launch.is_rank() else status
    except Exception as err:  # noqa: BLE001 - every error has a class in the protocol
        trace(err)
        if launch.is_rank():
            launch.failed(classify(err), err)
        else:
            connection.error(*classify(err))
        return 1
    finally:
        connection.close()


def connect(description: dict[str, Any]) -> Connection | launch.Quiet:
    """Connects to the worker. Of several processes only rank 0 does."""
    if launch.rank() > 0:
        return launch.Quiet()
    if launch.is_rank():
        launch.greet(description)
    return Connection(os.environ["TUNEBUS_SOCKET"], description)


def report(hello: dict[str, Any], error: tuple[str, str, str]) -> None:
    """Tells the worker of an error of several processes, none of which can tell it."""
    try:
        connection = Connection(os.environ["TUNEBUS_SOCKET"], hello or describe.description(describe.machine()))
    except WorkerGone as err:
        print(err, file=sys.stderr)
        return
    connection.error(*error)
    connection.close()


def check(path: Path, machine: Machine) -> None:
    """Raises the fault of keys that cannot be had here, before a row is read."""
    job = Job.read(path)
    keys, processes = Keys.read(job.keys), launch.Processes.read(job.keys)
    vision.Switches.read(job.keys).check(keys)
    launch.plan(plan(keys, machine, 0 if job.validation is None else 1), processes, keys, launch.here())
    schedules.check(keys)


def work(path: Path, machine: Machine, connection: Connection | launch.Quiet) -> int:
    """Trains what a job asks for."""
    engine.check(engine.NAME)
    job = Job.read(path)
    if engine.NAME == engine.UNSLOTH:
        unsloth_models.check(job.keys)
    check(path, machine)
    keys, processes = Keys.read(job.keys), launch.Processes.read(job.keys)
    switches = vision.Switches.read(job.keys)
    connection.stage("tokenise")
    with tempfile.TemporaryDirectory() as scratch:
        data = sft.read(job, keys, switches.is_multimodel, Path(scratch), connection)
        for name, counts in (("training", data.counts), ("validation", data.validation_counts)):
            if counts.dropped:
                connection.dataset(name, counts.rows + counts.dropped, counts.dropped, 0)
        if data.training is None:
            why = (
                "every row has more tokens than max_sequence_length"
                if switches.is_multimodel
                else "no row has a token that counts in the loss"
            )
            raise RowFault(why)
        chosen = launch.plan(plan(keys, machine, data.validation_counts.rows), processes, keys, launch.here())
        reports = Reports(job, machine.wandb_key)
        reporting = reports.begin(chosen.arguments["report_to"])
        of_keys = chosen.notes + notes_of(keys, engine.NAME == engine.UNSLOTH)
        for note in of_keys + reporting + launch.notes(processes, keys, data.counts.rows):
            connection.note(note)
        connection.stage("load")
        outcome = sft.train(job, data, chosen, switches, connection, reports)
        for note in reports.end():
            connection.note(note)
    if not outcome.done:
        connection.wait_until_answered(UPLOAD)
        return STOPPED
    connection.result(job.result, outcome.tokens, outcome.statistics, reports.artifacts(), outcome.early)
    return 0


def trace(err: BaseException) -> None:
    """Prints where an error comes from, unless its text says all: then it is no fault of this program."""
    if not isinstance(err, (KeyFault, RowFault, CheckpointFault, sft.ModelFault, JobFault, engine.MachineFault)):
        traceback.print_exception(err)


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
    if isinstance(err, CheckpointFault):
        return "bad_checkpoint", text, ""
    if isinstance(err, KeyFault):
        return "bad_key", text, err.key
    if isinstance(err, sft.ModelFault):
        return "bad_model", text, ""
    if isinstance(err, (JobFault, engine.MachineFault)):
        return "internal", text, ""
    return "internal", f"{type(err).__name__}: {text}", ""


if __name__ == "__main__":
    sys.exit(main())
