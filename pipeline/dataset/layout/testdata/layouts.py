"""Writes layouts.json: what the library datasets sees in folders of data files.

Run it where datasets 5.2 is installed: python layouts.py > layouts.json
"""

import json
import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets  # noqa: E402

CARD = """---
configs:
- config_name: main
  data_files:
  - split: train
    path: main/train-*
  - split: test
    path: main/test-*
- config_name: hard
  data_files:
  - split: test
    path:
    - hard/a.jsonl
    - hard/more/**
---
# A data set
"""
DEFAULT = CARD.replace("config_name: hard\n", "config_name: hard\n  default: true\n")
ONE = """---
configs:
- config_name: default
  data_files: data/*.jsonl
---
"""
BY_NAME = """---
configs:
- config_name: en
  data_dir: en
- config_name: de
  data_dir: de
---
"""
CARD_FILES = [
    "main/train-00000-of-00002.jsonl", "main/train-00001-of-00002.jsonl", "main/test-00000-of-00001.jsonl",
    "hard/a.jsonl", "hard/b.jsonl", "hard/more/x/c.jsonl",
]

# name: card, files
LAYOUTS = {
    "words of names": (None, ["train.jsonl", "validation.jsonl", "test.jsonl"]),
    "other words": (None, ["training.jsonl", "dev.jsonl", "eval.jsonl"]),
    "val and testing": (None, ["train.jsonl", "val.jsonl", "testing.jsonl"]),
    "valid and evaluation": (None, ["x_train_1.jsonl", "x-valid.jsonl", "my evaluation 2.jsonl"]),
    "folders": (None, ["train/a.jsonl", "train/b.jsonl", "test/a.jsonl"]),
    "folders in folders": (None, ["en/train/a.jsonl", "de/train/a.jsonl", "en/test/a.jsonl"]),
    "shards": (None, ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl", "data/test-00000-of-00001.jsonl"]),
    "shards with hashes": (None, ["data/train-00000-of-00001-0f3a.jsonl", "data/validation-00000-of-00001-0f3a.jsonl"]),
    "shards of other splits": (None, ["data/train_sft-00000-of-00001.jsonl", "data/test_sft-00000-of-00001.jsonl", "data/train_gen-00000-of-00001.jsonl"]),
    "no words": (None, ["a.jsonl", "b.jsonl", "sub/c.jsonl"]),
    "words within words": (None, ["contest.jsonl", "latest.jsonl", "strain.jsonl"]),
    "a word and others": (None, ["train.jsonl", "more.jsonl"]),
    "only test": (None, ["data/test.jsonl"]),
    "card": (CARD, CARD_FILES),
    "card with a default": (DEFAULT, CARD_FILES),
    "card with one pattern": (ONE, ["data/a.jsonl", "data/b.jsonl", "other/c.jsonl"]),
    "card with folders": (BY_NAME, ["en/train.jsonl", "en/test.jsonl", "de/train.jsonl"]),
}


def look(card, files):
    with tempfile.TemporaryDirectory() as dir:
        dir = os.path.realpath(dir)
        for f in files:
            path = os.path.join(dir, f)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as out:
                out.write('{"question": "q"}\n')
        if card:
            with open(os.path.join(dir, "README.md"), "w") as out:
                out.write(card)
        names = datasets.get_dataset_config_names(dir)
        configs = {}
        for name in names:
            builder = datasets.load_dataset_builder(dir, name, cache_dir=os.path.join(dir, ".cache"))
            configs[name] = {
                str(split): sorted(os.path.relpath(f, dir) for f in found) for split, found in builder.config.data_files.items()
            }
        try:
            default = datasets.load_dataset_builder(dir, cache_dir=os.path.join(dir, ".cache")).config.name
            default = default.split("-data_dir")[0]
        except ValueError:
            default = None
        return {"card": card or "", "files": files, "configs": configs, "default": default}


if __name__ == "__main__":
    print(json.dumps({name: look(*layout) for name, layout in LAYOUTS.items()}, indent=1))
