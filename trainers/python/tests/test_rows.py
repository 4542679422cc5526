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


if __name__ == "__main__":
    unittest.main()
