"""The command that answers: ``python -m tunebus_trainer.generate --job FILE`` or ``--describe``.

The job has prompts as token ids, or as messages with images. Its answers are lines of a file, written batch by batch,
so that a process that is killed has lost one batch.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import describe, pictured
from .connection import Connection, WorkerGone
from .job import PROTOCOL, JobFault
from .keys import Machine

STOPPED = 75  # the exit status of a command that was stopped
REPORT_EVERY = 2.0  # seconds between two signs of life inside a batch
KEYS = (
    "batch_size",
    "dtype",
    "load_in_4bit",
    "load_in_8bit",
    "max_new_tokens",
    "min_p",
    "repetition_penalty",
    "seed",
    "stop",
    "temperature",
    "top_k",
    "top_p",
    "use_cache",
)


class BadKey(ValueError):
    """A key asks for what this machine does not have."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class BadModel(ValueError):
    """The model cannot be opened, or does not fit the prompts."""


class BadPrompts(ValueError):
    """The file of the prompts is not one of this protocol."""


@dataclasses.dataclass(frozen=True)
class Prompt:
    """One prompt. answered means that an earlier attempt has its answer."""

    row: int
    ids: list[int]
    answered: bool
    pictured: pictured.Pictured | None = None  # in the place of ids

    @property
    def order(self) -> tuple[bool, int, int]:
        """Prompts with images stand behind the others, and short ones before long ones."""
        return (bool(self.pictured and self.pictured.images), len(self.ids), self.row)


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job asks for. All paths are absolute."""

    model: Path
    tokenizer: Path
    adapter: Path | None
    keys: dict[str, Any]
    seed: int
    prompts: Path
    end: list[int]  # the ids that end an answer
    answers: Path
    images: int = 0  # that the prompts name; with some, a model that sees answers

    @classmethod
    def read(cls, path: Path) -> Job:
        """Reads a job file. Raises JobFault."""
        try:
            job = json.loads(path.read_text(encoding="utf-8"))
            if job["protocol"] != PROTOCOL or job.get("kind") != "inference":
                raise JobFault(f"the job has protocol {job['protocol']} and kind {job.get('kind')!r}; want {PROTOCOL} and 'inference'")
            model = job["model"]
            return cls(
                model=Path(model["folder"]),
                tokenizer=Path(model["tokenizer"]),
                adapter=Path(model["adapter"]) if model.get("adapter") else None,
                keys=job["keys"],
                seed=job["seed"],
                prompts=Path(job["prompts"]["tokens"]),
                end=list(job["prompts"]["end"]),
                answers=Path(job["output"]["answers"]),
                images=int(job["prompts"].get("images", 0)),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as err:
            raise JobFault(f"{path.name}: {err!r}") from err


def description(machine: Machine) -> dict[str, Any]:
    """The fields that --describe prints and hello has."""
    import torch

    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    packages = ("torch", "transformers", "peft", "bitsandbytes")
    return {
        "protocol": PROTOCOL,
        "name": "transformers",
        "version": describe.version(),
        "kinds": ["inference"],
        "rows": "tokens",
        "versions": {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)},
        "devices": devices or ["cpu"],
        "keys": list(KEYS),
        "quantisation": ["4bit", "8bit"] if machine.bitsandbytes else [],
        "vision": importlib.util.find_spec("PIL") is not None,
    }


def compute_type(dtype: str, machine: Machine) -> str:
    """The type to compute in, as torch names it; dtype is the key, which may be empty."""
    if dtype:
        return dtype
    if not machine.accelerator:
        return "float32"
    return "bfloat16" if machine.bfloat16 else "float16"


def load(job: Job, machine: Machine) -> Any:
    """The model of a job with its adapter. Raises BadKey and BadModel."""
    import torch
    import transformers

    keys, compute = job.keys, compute_type(job.keys.get("dtype", ""), machine)
    quantization = None
    if keys.get("load_in_4bit") and keys.get("load_in_8bit"):
        raise BadKey("load_in_8bit", "inferencer.load_in_4bit and inferencer.load_in_8bit are both true; choose one")
    if keys.get("load_in_4bit") or keys.get("load_in_8bit"):
        if not machine.bitsandbytes:
            raise BadKey(
                "load_in_4bit" if keys.get("load_in_4bit") else "load_in_8bit",
                "quantisation needs the package bitsandbytes, which is not installed",
            )
        if keys.get("load_in_8bit"):
            quantization = transformers.BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
        else:  # the package's own default is fp4
            quantization = transformers.BitsAndBytesConfig(  # type: ignore[no-untyped-call]
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=getattr(torch, compute),
            )
    kind: Any = transformers.AutoModelForImageTextToText if job.images else transformers.AutoModelForCausalLM
    try:
        model: Any = kind.from_pretrained(
            job.model,
            dtype=getattr(torch, compute),
            quantization_config=quantization,
            local_files_only=True,
            trust_remote_code=False,
        )
        if job.adapter is not None:
            import peft

            model = peft.PeftModel.from_pretrained(model, job.adapter, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as err:
        raise BadModel(str(err)) from err
    if quantization is None and machine.accelerator:
        model = model.to("cuda")
    # Values of the model's own, such as a repetition penalty, are no keys of the run.
    base = model.get_base_model() if job.adapter is not None else model
    base.generation_config = transformers.GenerationConfig()  # type: ignore[no-untyped-call]
    return model.eval()


def read_prompts(path: Path) -> list[Prompt]:
    """Reads the prompts, the shortest first. Raises BadPrompts."""
    prompts = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                value = json.loads(line)
                ids = [int(i) for i in value["ids"]]
                prompts.append(Prompt(int(value["row"]), ids, bool(value.get("answered")), pictured.Pictured.read(value)))
            except (ValueError, KeyError, TypeError) as err:
                raise BadPrompts(f"prompts, line {number}: {err!r}") from err
    return sorted(prompts, key=lambda p: p.order)


def batches(prompts: list[Prompt], size: int) -> Iterator[list[Prompt]]:
    """Batches of similar lengths that have something to answer.

    They depend on the prompts alone, so that an attempt that goes on has the batches of the
    one before, and thereby its answers. The longest come first: what does not fit into the
    memory is known at once. A batch has no prompts with and without images.
    """
    plain = sum(not p.order[0] for p in prompts)
    for first, last in ((plain, len(prompts)), (0, plain)):
        for start in reversed(range(first, last, max(size, 1))):
            batch = prompts[start : min(start + max(size, 1), last)]
            if not all(p.answered for p in batch):
                yield batch


class Generator:
    """Answers batches with a model."""

    def __init__(self, job: Job, model: Any, connection: Connection) -> None:
        self._job, self._model, self._connection = job, model, connection
        self._tokens = 0
        self._told = time.monotonic()
        self._tokenizer: Any = None
        self._long = 0  # prompts with images that are longer than the key says
        self._encoder = pictured.Encoder(job.tokenizer, job.keys) if job.images else None
        if job.keys.get("stop"):
            import transformers

            self._tokenizer = transformers.AutoTokenizer.from_pretrained(job.tokenizer, local_files_only=True)

    @property
    def tokens(self) -> int:
        """Tokens that were generated so far."""
        return self._tokens

    @property
    def long(self) -> int:
        """Prompts with images that are longer than max_sequence_length; they are read whole."""
        return self._long

    def answer(self, batch: list[Prompt]) -> list[tuple[list[int], str, int]] | None:
        """The ids of the answer to each prompt, why it ends, and the tokens of the prompt; None if the worker orders a stop."""
        import torch
        import transformers

        padding = self._job.end[0] if self._job.end else 0
        inputs = self._inputs(batch, padding)
        lengths = [int(n) for n in inputs["attention_mask"].sum(dim=1)]
        width = int(inputs["input_ids"].shape[1])
        torch.manual_seed(self._job.seed + min(p.row for p in batch))
        criteria = transformers.StoppingCriteriaList([self._watch()])
        with torch.inference_mode():
            out = self._model.generate(
                **{name: self._moved(tensor) for name, tensor in inputs.items()},
                generation_config=self._config(padding),
                stopping_criteria=criteria,
                tokenizer=self._tokenizer,
            )
        if self._connection.stopping:
            return None
        return [(*self._ended(row), n) for row, n in zip(out[:, width:].tolist(), lengths, strict=True)]

    def _inputs(self, batch: list[Prompt], padding: int) -> dict[str, Any]:
        """The tensors of a batch, filled up at their beginning."""
        import torch

        if self._encoder is not None:
            inputs = self._encoder.encode([p.pictured for p in batch if p.pictured is not None])
            limit = int(self._job.keys.get("max_sequence_length") or 0)
            self._long += int((inputs["attention_mask"].sum(dim=1) > limit).sum()) if limit else 0
            return inputs
        width = max(len(p.ids) for p in batch)
        return {
            "input_ids": torch.tensor([[padding] * (width - len(p.ids)) + p.ids for p in batch]),
            "attention_mask": torch.tensor([[0] * (width - len(p.ids)) + [1] * len(p.ids) for p in batch]),
        }

    def _moved(self, tensor: Any) -> Any:
        """A tensor where the model is, and in its type if it has fractions, as images have."""
        return tensor.to(self._model.device, dtype=self._model.dtype if tensor.is_floating_point() else tensor.dtype)

    def _config(self, padding: int) -> Any:
        import transformers

        keys = self._job.keys
        draws = keys["temperature"] > 0
        chosen: dict[str, Any] = {}
        if keys.get("repetition_penalty"):  # also where nothing is drawn
            chosen["repetition_penalty"] = float(keys["repetition_penalty"])  # transformers leaves padding out of it
        if draws:
            chosen |= {
                "temperature": keys["temperature"],
                "top_k": keys["top_k"] or None,
                "top_p": keys["top_p"],
                "min_p": keys["min_p"] or None,
            }
        return transformers.GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=draws,
            max_new_tokens=keys["max_new_tokens"],
            eos_token_id=self._job.end or None,
            pad_token_id=padding,
            use_cache=keys.get("use_cache", True),
            stop_strings=keys.get("stop") or None,
            **chosen,
        )

    def _ended(self, ids: list[int]) -> tuple[list[int], str]:
        for i, one in enumerate(ids):
            if one in self._job.end:
                return ids[:i], "stop"
        if len(ids) < self._job.keys["max_new_tokens"]:
            return ids, "stop"
        return ids, "length"

    def _watch(self) -> Any:
        """A criterion that ends a batch when the worker orders a stop, and shows that it goes on."""
        import torch

        def watch(ids: Any, _scores: Any, **_more: Any) -> Any:
            self._tokens += int(ids.shape[0])
            if time.monotonic() - self._told > REPORT_EVERY:
                self._told = time.monotonic()
                self._connection.stage("generate", self._tokens)
            return torch.full((ids.shape[0],), self._connection.stopping, device=ids.device)

        return watch


def answer_all(job: Job, generator: Generator, connection: Connection) -> bool:
    """Answers what is not answered yet. False if the worker orders a stop."""
    prompts = read_prompts(job.prompts)
    written, total = 0, sum(not p.answered for p in prompts)
    started = time.monotonic()
    with job.answers.open("a", encoding="utf-8") as out:
        for batch in batches(prompts, job.keys["batch_size"]):
            if connection.stopping:
                return False
            answers = generator.answer(batch)
            if answers is None:
                return False
            for prompt, (ids, reason, tokens) in zip(batch, answers, strict=True):
                if not prompt.answered:
                    counted = {"prompt_tokens": tokens} if prompt.pictured is not None else {}
                    out.write(json.dumps({"row": prompt.row, "ids": ids, "finish_reason": reason, **counted}) + "\n")
                    written += 1
            out.flush()
            speed = generator.tokens / max(time.monotonic() - started, 1e-9)
            connection.progress(written, total, {"tokens_per_second": speed})
    return True


def work(path: Path, machine: Machine, connection: Connection) -> int:
    """Answers what a job asks. Returns the exit status."""
    job = Job.read(path)
    connection.stage("load")
    model = load(job, machine)
    if not job.keys.get("dtype"):
        connection.note(f"inferencer.dtype is empty: the model computes in {compute_type('', machine)}, as this machine suggests")
    connection.stage("generate")
    generator = Generator(job, model, connection)
    if not answer_all(job, generator, connection):
        return STOPPED
    if generator.long:
        limit = job.keys.get("max_sequence_length")
        connection.note(
            f"{generator.long} prompts with images are longer than inferencer.max_sequence_length = {limit}, and are read whole"
        )
    connection.result(job.answers.parent, 0, {}, {})
    return 0


def classify(err: BaseException) -> tuple[str, str, str]:
    """The class of an error in the protocol, its text, and the key that it is about."""
    import torch

    text = str(err) or repr(err)
    if isinstance(err, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text or "out of memory" in text.lower():
        return "out_of_memory", text + "; a smaller inferencer.batch_size needs less", "batch_size"
    if isinstance(err, BadKey):
        return "bad_key", text, err.key
    if isinstance(err, BadModel):
        return "bad_model", text, ""
    if isinstance(err, (BadPrompts, pictured.BadPicture)):
        return "bad_data", text, ""
    return "internal", text if isinstance(err, JobFault) else f"{type(err).__name__}: {text}", ""


def main() -> int:
    """Works on a job. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="tunebus_trainer.generate")
    parser.add_argument("--describe", action="store_true", help="print what this command can do")
    parser.add_argument("--job", type=Path, help="the job file")
    arguments = parser.parse_args()
    if arguments.describe:
        print(json.dumps(description(describe.machine())))
        return 0
    if arguments.job is None or "TUNEBUS_SOCKET" not in os.environ:
        parser.error("a worker of tunebus starts this with --job FILE and TUNEBUS_SOCKET; see --describe")
    machine = describe.machine()
    try:
        connection = Connection(os.environ["TUNEBUS_SOCKET"], description(machine))
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


if __name__ == "__main__":
    sys.exit(main())
