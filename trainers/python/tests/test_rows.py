"""The rows of a job. Needs no packages."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from tunebus_trainer import rows


class TestRows(unittest.TestCase):
    def read(self, text: str) -> tuple[list[dict[str, list[int]]], rows.Counts]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokens.jsonl"
            path.write_text(text)
            counts = rows.Counts()
            return list(rows.read(path, counts)), counts

    def test_labels(self) -> None:
        got, counts = self.read('{"ids": [1, 15, 7, 3], "counted": [[1, 2], [3, 4]]}\n{"ids": [1], "counted": []}\n')
        self.assertEqual(got, [{"input_ids": [1, 15, 7, 3], "labels": [-100, 15, -100, 3]}])
        self.assertEqual((counts.rows, counts.dropped, counts.tokens), (1, 1, 4))

    def test_tokens_of_steps(self) -> None:
        counts = rows.Counts()
        for tokens in (5, 7, 1, 2, 3):  # of which a step reads two, so that an epoch has three steps
            counts.count(tokens)
        for steps, want in ((0, 0), (1, 12), (2, 15), (3, 18), (4, 30), (6, 36)):
            self.assertEqual(counts.seen(steps, 3, 2), want, steps)

    def test_faults_have_their_line(self) -> None:
        good = '{"ids": [1, 2], "counted": [[1, 2]]}\n'
        for bad in (
            "{",
            '{"ids": [1]}',
            '{"ids": [1], "counted": [[0, 5]]}',
            '{"ids": [1], "counted": [3]}',
            '{"ids": 1, "counted": []}',
            "[]",
        ):
            with self.subTest(bad), self.assertRaisesRegex(rows.RowFault, "tokens.jsonl, line 2"):
                self.read(good + bad + "\n")

    def test_pairs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokens.jsonl"
            good = '{"prompt": [1, 2], "chosen": [3], "rejected": [4, 5]}\n'
            path.write_text(good)
            counts = rows.Counts()
            self.assertEqual(list(rows.read_pairs(path, counts)), [{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5]}])
            self.assertEqual((counts.rows, counts.tokens), (1, 7))
            for bad in ("{", "[]", '{"prompt": [1], "chosen": [2]}', '{"prompt": [1], "chosen": [], "rejected": [2]}'):
                path.write_text(good + bad + "\n")
                with self.subTest(bad), self.assertRaisesRegex(rows.RowFault, "tokens.jsonl, line 2"):
                    list(rows.read_pairs(path, rows.Counts()))


if __name__ == "__main__":
    unittest.main()
