"""The tokenised rows of a job, read once and kept in a memory-mapped table."""

from __future__ import annotations

import array
import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IGNORED = -100  # the label of a token that does not count in the loss, in torch


class RowFault(ValueError):
    """A row of the job's file is not what the protocol says."""


@dataclasses.dataclass
class Counts:
    """What became of the rows of a file."""

    rows: int = 0
    dropped: int = 0  # rows in which no token counts
    tokens: int = 0
    lengths: array.array[int] = dataclasses.field(default_factory=lambda: array.array("i"))  # the tokens of each row

    def count(self, tokens: int) -> None:
        """Counts a row of so many tokens."""
        self.rows += 1
        self.tokens += tokens
        self.lengths.append(tokens)

    def seen(self, steps: int, of_epoch: int, rows_of_step: int) -> int:
        """The tokens of the rows that so many steps read, in the order of the rows, epoch after epoch."""
        epochs, rest = divmod(steps, of_epoch)
        return epochs * self.tokens + sum(self.lengths[: rest * rows_of_step])


def read(path: Path, counts: Counts) -> Iterator[dict[str, list[int]]]:
    """Yields ``input_ids`` and ``labels`` of each row in which a token counts."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = _row(path, number, line)
            if all(label == IGNORED for label in row["labels"]):
                counts.dropped += 1
                continue
            counts.count(len(row["input_ids"]))
            yield row


def _row(path: Path, number: int, line: str) -> dict[str, list[int]]:
    try:
        row: dict[str, Any] = json.loads(line)
        ids = row["ids"]
        labels = [IGNORED] * len(ids)
        for start, end in row["counted"]:  # ranges without their ends
            if not 0 <= start <= end <= len(ids):
                raise ValueError(f"positions {start} to {end} count, of {len(ids)}")
            labels[start:end] = ids[start:end]
        return {"input_ids": ids, "labels": labels}
    except (KeyError, TypeError, ValueError) as err:
        raise RowFault(f"{path.name}, line {number}: {err}") from err


PAIR = {"prompt": "prompt_ids", "chosen": "chosen_ids", "rejected": "rejected_ids"}  # the names of TRL


def read_pairs(path: Path, counts: Counts) -> Iterator[dict[str, list[int]]]:
    """Yields ``prompt_ids``, ``chosen_ids`` and ``rejected_ids`` of each row."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row: dict[str, Any] = json.loads(line)
                pair = {name: list(row[field]) for field, name in PAIR.items()}
                empty = [field for field, name in PAIR.items() if not pair[name]]
                if empty:
                    raise ValueError(f"{', '.join(empty)}: there is no token")
            except (KeyError, TypeError, ValueError) as err:
                raise RowFault(f"{path.name}, line {number}: {err}") from err
            counts.count(2 * len(pair["prompt_ids"]) + len(pair["chosen_ids"]) + len(pair["rejected_ids"]))
            yield pair


BATCH = 1000  # rows in one block of the table


def table(path: Path, folder: Path, pairs: bool = False) -> tuple[Any, Counts]:
    """Returns a ``datasets.Dataset`` of the rows of a file, and their counts.

    The table lies in a file below folder, so that memory does not grow with the rows.
    Its columns are ``input_ids`` and ``labels``, or those of pairs. It is None if no row counts.
    """
    import datasets
    import pyarrow as pa

    counts = Counts()
    columns = PAIR.values() if pairs else ("input_ids", "labels")
    schema = pa.schema({name: pa.list_(pa.int32()) for name in columns})
    stored = folder / (path.stem + ".arrow")
    rows = read_pairs(path, counts) if pairs else read(path, counts)
    with pa.ipc.new_stream(stored, schema) as writer:
        while batch := list(itertools.islice(rows, BATCH)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
    if counts.rows == 0:
        return None, counts
    return datasets.Dataset.from_file(str(stored)), counts
