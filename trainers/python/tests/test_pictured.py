"""A tiny model that sees answers rows with images as it answers each of them alone."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests.test_generate import KEYS, Run
from tests.test_vision import make_model
from tunebus_trainer.generate import Prompt, batches
from tunebus_trainer.pictured import Pictured

END = 2  # the token <end> of the model


def question(text: str, images: int) -> list[dict[str, Any]]:
    """A prompt with places for images."""
    return [{"role": "user", "content": [{"type": "image"}] * images + [{"type": "text", "text": text}]}]


class TestPicturedBatches(unittest.TestCase):
    def test_batches_are_not_mixed(self) -> None:
        rows = [Prompt(i, [], False, Pictured([], ["a.png"] if i % 2 else [], None)) for i in range(7)]
        rows.sort(key=lambda p: p.order)
        made = [[p.row for p in b] for b in batches(rows, 2)]
        self.assertEqual(made, [[5], [1, 3], [4, 6], [0, 2]])


class TestPictured(unittest.TestCase):
    def test_answers(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            self.answers(Path(temporary))

    def answers(self, folder: Path) -> None:
        import torch
        import transformers
        from PIL import Image

        make_model(folder / "base")
        rows: list[dict[str, Any]] = []
        for i in range(7):
            path = folder / f"{i}.png"
            Image.new("RGB", (20 + i, 20), (40 * i, 255 - 30 * i, 10 * i)).save(path)
            text = "what is this" if i % 2 else "what is this red red dot"
            rows.append({"row": i, "ids": [], "messages": question(text, i % 3 and 1), "images": [str(path)] * (i % 3 and 1)})
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        answers = folder / "answers.jsonl"
        base = str(folder / "base")
        job: dict[str, Any] = {
            "protocol": 1,
            "kind": "inference",
            "model": {"folder": base, "tokenizer": base, "adapter": None, "name": "owner/model"},
            "keys": {**KEYS, "batch_size": 3, "max_sequence_length": 9},
            "seed": 42,
            "prompts": {"tokens": str(folder / "prompts.jsonl"), "rows": len(rows), "longest": 0, "end": [END], "images": 4},
            "output": {"answers": str(answers)},
        }
        run = Run(folder, job)
        self.assertEqual(run.status, 0, (folder / "log").read_text()[-3000:])
        self.assertTrue(run.of("hello")[0]["vision"])
        found = {value["row"]: value for value in map(json.loads, answers.read_text().splitlines())}
        self.assertEqual(sorted(found), list(range(7)))
        model: Any = transformers.AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
        kind: Any = transformers.AutoProcessor
        processor: Any = kind.from_pretrained(base)
        long = 0
        for row in rows:
            text = processor.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
            images = [Image.open(path).convert("RGB") for path in row["images"]]
            made = processor(text=[text], images=[images] if images else None, add_special_tokens=False, return_tensors="pt")
            out = model.generate(**made, do_sample=False, max_new_tokens=12, eos_token_id=END, pad_token_id=END)
            tokens = made["input_ids"].shape[1]
            want = out[0, tokens:].tolist()
            if END in want:
                want = want[: want.index(END)]
            self.assertEqual((found[row["row"]]["ids"], found[row["row"]]["prompt_tokens"]), (want, tokens), row)
            long += tokens > 9
        self.assertGreater(long, 0)
        notes = " ".join(note["text"] for note in run.of("note"))
        self.assertIn(f"{long} prompts with images are longer than inferencer.max_sequence_length = 9", notes)
        (folder / "1.png").write_bytes(b"no image")
        answers.unlink()
        run = Run(folder, job)
        self.assertEqual((run.status, run.of("error")[0]["class"]), (1, "bad_data"))


if __name__ == "__main__":
    unittest.main()
