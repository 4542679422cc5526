"""Writes positions.json: the tokens of conversations and which of them count in
the loss, as TRL prepares them.

The templates and conversations are those of ../../chattemplate/testdata. Each
turn of the assistant becomes an example with a prompt and a completion; templates
that mark answers with {% generation %} are asked for assistant_only_loss too.

    pip install torch transformers==5.24.0 trl==1.16.0 datasets
    python positions.py
"""

import datetime
import json
import pathlib
import shutil
import tempfile
import types

import transformers.utils.chat_template_utils as chat
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

HERE = pathlib.Path(__file__).parent
TEMPLATES = HERE.parent.parent / "chattemplate/testdata"
TOKENIZER = HERE.parent.parent / "testdata/reference/qwen2/tokenizer.json"


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 3, 5, 9, 20, 0)


chat.datetime = Clock


class Rows(list):
    """The rows of a data set as they are: Arrow would fill absent keys up."""

    column_names = property(lambda self: list(self[0].keys()) if self else [])

    def map(self, fn, remove_columns=None, fn_kwargs=None, **_):
        gone = [remove_columns] if isinstance(remove_columns, str) else remove_columns or []
        out = []
        for row in self:
            new = fn(json.loads(json.dumps(row)), **(fn_kwargs or {}))
            kept = {k: v for k, v in row.items() if k not in gone}
            out.append({**kept, **new})
        return Rows(out)

    def filter(self, fn, **_):
        return Rows(r for r in self if fn(r))


def prepare(tokenizer, row, assistant_only=False):
    args = SFTConfig(output_dir=tempfile.gettempdir(), max_length=None, bf16=False, use_cpu=True, report_to=[], assistant_only_loss=assistant_only)
    trainer = types.SimpleNamespace(completion_only_loss="prompt" in row, chat_template=tokenizer.chat_template, _tokenizer=tokenizer)
    try:
        done = SFTTrainer._prepare_dataset(trainer, Rows([row]), tokenizer, args, False, None, "train")[0]
    except Exception as e:
        return {"error": type(e).__name__}
    return {"ids": done["input_ids"], "counted": [i for i, label in enumerate(done["labels"]) if label != -100]}


def conversations():
    for c in json.loads((TEMPLATES / "renderings.json").read_text())["conversations"]:
        if "documents" not in c:
            yield c


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.copy(TOKENIZER, folder / "tokenizer.json")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    out = {}
    for path in sorted((TEMPLATES / "templates").glob("*.jinja")):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = path.read_text()
        cases = {}
        for c in conversations():
            common = {"chat_template_kwargs": c.get("variables", {})}
            if c.get("tools"):
                common["tools"] = c["tools"]
            messages = c["messages"]
            turns = {}
            for i, m in enumerate(messages):
                if m["role"] == "assistant" and i > 0:
                    turns[str(i)] = prepare(tokenizer, {"prompt": messages[:i], "completion": [m], **common})
            if not turns:
                continue
            cases[c["name"]] = {"turns": turns}
            if "generation -%}" in tokenizer.chat_template or "generation %}" in tokenizer.chat_template:
                cases[c["name"]]["assistant_only"] = prepare(tokenizer, {"messages": messages, **common}, True)
        out[path.stem] = cases
        n = [t for c in cases.values() for t in c["turns"].values()]
        print(f"{path.stem:26}", len(n), "turns,", sum("error" in t for t in n), "errors")
    (HERE / "positions.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")
    shutil.rmtree(folder)


main()
