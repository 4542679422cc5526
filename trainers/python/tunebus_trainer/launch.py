"""One job by several processes of one machine: torchrun starts them, and rank 0 speaks.

    the worker's child ──► torchrun ──► rank 0 ──► the socket
                                   └──► rank 1, …

The first process only watches. An order to stop reaches rank 0 by the socket, or a signal
reaches the first process, which leaves a file for rank 0; the ranks agree on it at the end
of each step. torchrun takes no part in that: it would kill the ranks. Each rank writes
how it ended into a file, since the exit status of torchrun does not say it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .keys import KeyFault, Keys, Plan

# The folder in which ranks say how they ended; its presence makes a process a rank.
FOLDER = "TUNEBUS_RANKS"
ACCELERATORS = ("auto", "ddp", "fsdp2", "zero2", "zero3")
# Seconds that torchrun gives the other ranks when one has failed. They wait for it in vain.
SHUTDOWN = 10


@dataclasses.dataclass(frozen=True)
class Processes:
    """The keys of this module: how many processes train one job, and how they share it."""

    devices: int = 1
    accelerator: str = "auto"

    @classmethod
    def read(cls, section: dict[str, Any]) -> Processes:
        """Takes the keys out of the section fine_tuner. 0 devices are one. Raises KeyFault."""
        devices, accelerator = section.get("devices", 1), section.get("accelerator") or "auto"
        faults = []
        if not isinstance(devices, int) or isinstance(devices, bool) or devices < 0:
            faults.append(("devices", f"fine_tuner.devices = {devices!r}: want a number of devices"))
        if accelerator not in ACCELERATORS:
            faults.append(("accelerator", f"fine_tuner.accelerator = {accelerator!r}: want one of {', '.join(ACCELERATORS)}"))
        if faults:
            raise KeyFault(*faults)
        return cls(max(devices, 1), accelerator)


@dataclasses.dataclass(frozen=True)
class Here:
    """What there is on this machine to share a job."""

    accelerators: int = 0  # that this process sees
    processors: int = 1
    deepspeed: bool = False


def here() -> Here:
    """Looks at the machine and the packages."""
    import torch

    return Here(torch.cuda.device_count(), os.cpu_count() or 1, importlib.util.find_spec("deepspeed") is not None)


def plan(chosen: Plan, processes: Processes, keys: Keys, found: Here) -> Plan:
    """Adds to a plan what several processes need. Raises KeyFault with all faults at once."""
    faults = _faults(processes, keys, found)
    if faults:
        raise KeyFault(*faults)
    if processes.devices == 1:
        if processes.accelerator in ("auto", "ddp"):
            return chosen
        note = f"fine_tuner.accelerator = {processes.accelerator!r} shares a model between devices, and fine_tuner.devices is 1: it had no effect"
        return dataclasses.replace(chosen, notes=[*chosen.notes, note])
    quantization = chosen.quantization
    if quantization is not None and processes.accelerator in ("fsdp2", "zero3"):
        # Only weights of one type can be shared.
        quantization = {**quantization, "bnb_4bit_quant_storage": quantization["bnb_4bit_compute_dtype"]}
    return dataclasses.replace(chosen, arguments={**chosen.arguments, **_arguments(processes, keys, found)}, quantization=quantization)


def _faults(processes: Processes, keys: Keys, found: Here) -> list[tuple[str, str]]:
    faults = []
    n = processes.devices
    asked = f"fine_tuner.devices = {n}"
    if found.accelerators and n > found.accelerators:
        faults.append(("devices", f"{asked}, and the trainer sees {found.accelerators}: see services.finetune.devices of the worker"))
    if not found.accelerators and n > found.processors:
        faults.append(("devices", f"{asked}, and the machine has no accelerator and {found.processors} processors"))
    if n == 1:
        return faults
    name = processes.accelerator
    asked = f"fine_tuner.accelerator = {name!r}"
    if name in ("fsdp2", "zero2", "zero3") and not found.accelerators:
        faults.append(("accelerator", f"{asked} needs accelerators, and the machine has none; choose ddp"))
    if name in ("zero2", "zero3") and not found.deepspeed:
        faults.append(("accelerator", f"{asked} needs the Python package deepspeed, and the trainer has none; choose fsdp2"))
    if name in ("fsdp2", "zero3") and keys.load_in_8bit:
        faults.append(("load_in_8bit", f"{asked} cannot share weights of 8 bits: choose load_in_4bit, or ddp in place of load_in_8bit"))
    return faults


def _arguments(processes: Processes, keys: Keys, found: Here) -> dict[str, Any]:
    """The arguments of transformers.TrainingArguments."""
    match processes.accelerator:
        case "fsdp2":
            return {
                "fsdp": True,
                "fsdp_config": {
                    "version": 2,
                    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
                    "reshard_after_forward": True,
                    "cpu_ram_efficient_loading": False,
                    "state_dict_type": "FULL_STATE_DICT",
                    "activation_checkpointing": bool(keys.use_gradient_checkpointing),
                },
                "gradient_checkpointing": False,  # FSDP has its own
            }
        case "zero2" | "zero3":
            zero: dict[str, Any] = {"stage": int(processes.accelerator[-1]), "overlap_comm": True, "contiguous_gradients": True}
            if zero["stage"] == 3:
                zero["stage3_gather_16bit_weights_on_model_save"] = True
            return {
                "deepspeed": {
                    "zero_optimization": zero,
                    "zero_allow_untested_optimizer": True,
                    "train_micro_batch_size_per_gpu": "auto",
                    "gradient_accumulation_steps": "auto",
                    "gradient_clipping": "auto",
                    "bf16": {"enabled": "auto"},
                    "fp16": {"enabled": "auto"},
                }
            }
        case _:
            return {"ddp_backend": "nccl" if found.accelerators else "gloo", "ddp_find_unused_parameters": False}


def notes(processes: Processes, keys: Keys, rows: int) -> list[str]:
    """What several processes change for a person. rows are those of an epoch."""
    if processes.devices == 1:
        return []
    n, batch, accumulated = processes.devices, keys.device_train_batch_size, keys.grad_accumulation
    factors = f"device_train_batch_size {batch} x grad_accumulation {accumulated} x {n} processes"
    out = [f"fine_tuner.devices = {n}: a step has {batch * accumulated * n} rows ({factors})"]
    again = math.ceil(rows / (batch * n)) * batch * n - rows
    if again and not keys.packing:
        out.append(f"fine_tuner.devices = {n}: {again} of {rows} rows are used twice in an epoch, so that each process has as many")
    return out


# ---- The first process.


def wanted(job: Path) -> int:
    """How many processes a job asks for; 1 if it cannot have them, which plan then says."""
    try:
        processes = Processes.read(json.loads(job.read_text(encoding="utf-8"))["keys"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 1
    return processes.devices if processes.devices <= (os.cpu_count() or 1) else 1


def run(processes: int, arguments: list[str], say: Callable[[dict[str, Any], tuple[str, str, str]], None]) -> int:
    """Has ranks work on the job until all have ended. Returns the exit status of the trainer.

    arguments are those of this program. say tells the worker of an error, with the hello
    to say before it.
    """
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        ranks = Path(folder)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: (ranks / "stop").touch())
        environment = {**os.environ, FOLDER: folder}
        environment.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // processes, 1)))
        if sys.platform == "linux":
            environment.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are here
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
        command += [f"--nproc-per-node={processes}", "--max-restarts=0", f"--shutdown-timeout={SHUTDOWN}"]
        # Whoever stops a machine signals every process. torchrun would kill the ranks then,
        # before they have saved a checkpoint.
        command += ["--signals-to-handle=SIGUSR2", "-m", "tunebus_trainer", *arguments]
        torchrun = subprocess.Popen(command, env=environment, preexec_fn=_ignore)  # noqa: PLW1509 - there are no threads yet
        torchrun.wait()
        said = [_read(ranks / f"rank-{i}.json") for i in range(processes)]
        if "status" in said[0]:
            return int(said[0]["status"])
        say(_read(ranks / "hello.json"), _reason(said))
        return 1


def _ignore() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value


def _reason(said: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Why the ranks failed: the first error that is not that of a rank which lost another one."""
    errors = sorted((s for s in said if "error" in s), key=lambda s: (bool(s["lost"]), float(s["time"])))
    vanished = [str(i) for i, s in enumerate(said) if not s]
    if vanished and (not errors or errors[0]["lost"]):
        text = f"the process of rank {', '.join(vanished)} of {len(said)} ended without a word; where the memory of a machine runs out, the kernel kills one"
        return "internal", text, ""
    if not errors:
        return "internal", "rank 0 ended before the training was over", ""
    kind, text, key = errors[0]["error"]
    return str(kind), str(text), str(key)


# ---- A rank.


def is_rank() -> bool:
    """True in a process that torchrun started for a job."""
    return FOLDER in os.environ


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if is_rank() else 0


def world() -> int:
    """How many processes train."""
    return int(os.environ.get("WORLD_SIZE", "1")) if is_rank() else 1


def stop_ordered() -> bool:
    """True once a signal has reached the first process."""
    return is_rank() and Path(os.environ[FOLDER], "stop").exists()


def greet(hello: dict[str, Any]) -> None:
    """Keeps what rank 0 says of itself, for an error that it cannot say itself."""
    _write("hello.json", hello)


def ended(status: int) -> int:
    """Says how this rank ended. Returns the exit status of its process: torchrun kills the others at any but 0."""
    _write(f"rank-{rank()}.json", {"status": status})
    return 0


def failed(error: tuple[str, str, str], cause: BaseException) -> None:
    """Says why this rank failed."""
    import torch

    text = str(cause)
    lost = isinstance(cause, torch.distributed.DistError) or "gloo" in text or "NCCL" in text or "Connection closed by peer" in text
    _write(f"rank-{rank()}.json", {"error": error, "lost": lost, "time": time.time()})


def _write(name: str, value: dict[str, Any]) -> None:
    path = Path(os.environ[FOLDER], name)
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(value), encoding="utf-8")
    whole.rename(path)


def choose_devices(devices: int) -> str:
    """Shows this process as many accelerators as the job asks for; returns a note if there are more.

    transformers refuses several in one process. To be called before torch looks.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [d for d in visible.split(",") if d] if visible is not None else [p.name[6:] for p in Path("/dev").glob("nvidia[0-9]*")]
    if len(names) <= devices:
        return ""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[:devices] if visible is not None else [str(i) for i in range(devices)])
    return f"fine_tuner.devices = {devices}: {len(names) - devices} of the {len(names)} devices of the slot had nothing to do"


def begin() -> None:
    """Takes the device of this rank. To be called before a model is loaded."""
    import torch

    if is_rank() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


_control: list[Any] = []  # the group for agreements, once there is one


def agreed(flag: bool) -> bool:
    """True if a rank says so. All ranks have to call this alike. It is also a barrier."""
    if world() == 1:
        return flag
    import torch
    from torch import distributed

    if not _control:  # a group of its own: that of the training may be one of accelerators
        _control.append(distributed.new_group(backend="gloo"))
    votes = torch.tensor([int(flag)])
    distributed.all_reduce(votes, op=distributed.ReduceOp.MAX, group=_control[0])
    return bool(votes.item())


def is_sharded(trainer: Any) -> bool:
    """True if no process has the whole model."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


def gather(trainer: Any, folder: Path) -> None:
    """Writes a model that the processes share. All of them have to call this."""
    trainer.save_model(str(folder))
    for path in folder.glob("*.bin"):
        path.unlink()  # the arguments of the training, as a pickle


class Quiet:
    """What a rank other than 0 has in place of a connection: nobody hears it."""

    def __init__(self) -> None:
        self._stop = False

    @property
    def stopping(self) -> bool:
        """True once a signal has ordered a stop."""
        return self._stop

    def order_stop(self) -> None:
        """Does what a stop of the worker does; safe in a handler of a signal."""
        self._stop = True

    def kept(self) -> int:
        """0: rank 0 alone removes checkpoints."""
        return 0

    def stage(self, stage: str, done: int = 0) -> None: ...

    def progress(self, step: int, total: int, points: dict[str, float]) -> None: ...

    def note(self, text: str) -> None: ...

    def dataset(self, name: str, rows: int, dropped: int, cut: int) -> None: ...

    def checkpoint(self, step: int, folder: Path) -> None: ...

    def wait_until_answered(self, timeout: float) -> None: ...

    def result(self, folder: Path, tokens: int, statistics: dict[str, float], artifacts: dict[str, str], early: bool = False) -> None: ...

    def error(self, kind: str, text: str, key: str = "") -> None: ...

    def close(self) -> None: ...
