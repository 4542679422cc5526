"""The job file of the trainer protocol."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

PROTOCOL = 1


class JobFault(ValueError):
    """The job file is not one of this protocol."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """One data set, tokenised."""

    tokens: Path
    messages: Path
    examples: int
    longest: int
    pairs: bool = False  # each line is a prompt with a chosen and a rejected answer


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job asks for. All paths are absolute."""

    run: str
    model: Path
    tokenizer: Path
    adapter: Path | None
    model_name: str
    keys: dict[str, Any]
    seed: int
    training: Rows
    validation: Rows | None
    resume: Path | None
    result: Path
    checkpoints: Path
    artifacts: Path

    @classmethod
    def read(cls, path: Path) -> Job:
        """Reads a job file. Raises JobFault."""
        try:
            job = json.loads(path.read_text(encoding="utf-8"))
            if job["protocol"] != PROTOCOL:
                raise JobFault(f"the job has protocol {job['protocol']}; this trainer speaks {PROTOCOL}")
            model, output = job["model"], job["output"]
            return cls(
                run=job["run"],
                model=Path(model["folder"]),
                tokenizer=Path(model["tokenizer"]),
                adapter=Path(model["adapter"]) if model.get("adapter") else None,
                model_name=model["name"],
                keys=job["keys"],
                seed=job["seed"],
                training=_rows(job["training"]),
                validation=_rows(job["validation"]) if job.get("validation") else None,
                resume=Path(job["resume"]["folder"]) if job.get("resume") else None,
                result=Path(output["model"]),
                checkpoints=Path(output["checkpoints"]),
                artifacts=Path(output["artifacts"]),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as err:
            raise JobFault(f"{path.name}: {err!r}") from err


def _rows(value: dict[str, Any]) -> Rows:
    return Rows(
        tokens=Path(value["tokens"]),
        messages=Path(value["messages"]),
        examples=value["examples"],
        longest=value["longest"],
        pairs=value.get("pairs", False),
    )
