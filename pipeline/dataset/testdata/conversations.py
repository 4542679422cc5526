"""Writes conversations.json: the messages and tools that TRL 1.16 hands to the chat template for the cases.

Run it where datasets 5.2 and TRL 1.16 are installed: python conversations.py > conversations.json
"""

import glob
import json
import os

import datasets
from trl.data_utils import maybe_convert_to_chatml

CASES = [
    "shape-messages", "shape-messages-parts", "shape-messages-tools", "shape-messages-turns", "shape-sharegpt",
    "shape-prompt-completion-chat", "parquet-messages",
]


def present(v):
    """Without None: in a table each message has the keys of all, and templates see only those with a value."""
    if isinstance(v, dict):
        return {k: present(x) for k, x in v.items() if x is not None}
    return [present(x) for x in v] if isinstance(v, list) else v


def rows(case):
    here = os.path.dirname(os.path.abspath(__file__))
    (path,) = glob.glob(os.path.join(here, "cases", case, "train.*"))
    kind = "parquet" if path.endswith("parquet") else "json"
    for row in datasets.load_dataset(kind, data_files=path, split="train", cache_dir=os.environ.get("CACHE")):
        row = maybe_convert_to_chatml(row)
        prompt = row.get("prompt") or []
        tools = row.get("tools")
        yield {
            "messages": present(prompt + row["completion"] if prompt else row["messages"]),
            "prompted": len(prompt),
            "tools": present(json.loads(tools) if isinstance(tools, str) else tools),
        }


if __name__ == "__main__":
    print(json.dumps({case: list(rows(case)) for case in CASES}, indent=1))
