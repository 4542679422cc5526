"""Writes into each want.json what a training has to see: the text of each row, its
ids and the positions that count, made with transformers and TRL. The rest of a
want.json is written by hand.

    pip install torch transformers==5.24.0 trl==1.16.0 datasets pandas pyarrow
    python rows.py

Where TRL trains on another text than the model is asked with, the example is the
prompt of inference and what follows it, see the package lossmask: then PROMPTED
says what follows.
"""

import datetime
import gzip
import json
import pathlib
import shutil
import sys
import tempfile
import types

import pandas
import transformers.utils.chat_template_utils as chat
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

HERE = pathlib.Path(__file__).parent
BASE = HERE.parents[3].parent / "configs/quickstart/base-model"


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
        return Rows({**{k: v for k, v in r.items() if k not in gone}, **fn(json.loads(json.dumps(r)), **(fn_kwargs or {}))} for r in self)

    def filter(self, fn, **_):
        return Rows(r for r in self if fn(r))


def prepare(tokenizer, row):
    args = SFTConfig(output_dir=tempfile.gettempdir(), max_length=None, bf16=False, use_cpu=True, report_to=[])
    trainer = types.SimpleNamespace(completion_only_loss="prompt" in row, chat_template=tokenizer.chat_template, _tokenizer=tokenizer)
    done = SFTTrainer._prepare_dataset(trainer, Rows([row]), tokenizer, args, False, None, "train")[0]
    return done["input_ids"], [i for i, label in enumerate(done["labels"]) if label != -100]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def pair(question, answer):
    return {"prompt": [user(question)], "completion": [assistant(answer)]}


def lines(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as f:
        return [json.loads(line) for line in f if line.strip()]


def pairs(rows):
    return [pair(r["question"], r["answer"]) for r in rows if r.get("answer") is not None]


def turns(row):
    """One example for each answer, which TRL sees as prompt and completion."""
    out = []
    for i, m in enumerate(row["messages"]):
        if m["role"] == "assistant":
            example = {"prompt": row["messages"][:i], "completion": [m]}
            if row.get("tools"):
                example["tools"] = row["tools"]
            out.append(example)
    return out


def flat(row):
    return {**row, "messages": [{**m, "content": "".join(p["text"] for p in m["content"])} for m in row["messages"]]}


def frame(path, **how):
    return pandas.read_csv(path, keep_default_na=False, **how).to_dict("records")


def written(value):
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def parquet(path):
    return pandas.read_parquet(path).to_dict("records")


def alpaca(row):
    question = row["instruction"] + ("\n\n" + row["input"] if row["input"] else "")
    return pair(question, row["output"])


# What TRL sees of each row: a list of examples, of which the last has the whole row.
READ = {
    "shape-messages": lambda d: [turns(r) for r in lines(d / "train.jsonl")],
    "shape-messages-parts": lambda d: [turns(flat(r)) for r in lines(d / "train.jsonl")],
    "shape-messages-turns": lambda d: [turns(r) for r in lines(d / "train.jsonl")],
    "shape-messages-tools": lambda d: [turns(r) for r in lines(d / "train.jsonl")],
    "shape-sharegpt": lambda d: [turns({"messages": [user(m["value"]) if m["from"] == "human" else assistant(m["value"]) for m in r["conversations"]]}) for r in json.loads((d / "train.json").read_text())],
    "shape-prompt-completion": lambda d: [[pair(r["prompt"], r["completion"])] for r in lines(d / "train.jsonl")],
    "shape-prompt-completion-chat": lambda d: [[r] for r in lines(d / "train.jsonl")],
    "shape-alpaca-input": lambda d: [[alpaca(r)] for r in json.loads((d / "train.json").read_text())],
    "shape-text": lambda d: [[r] for r in lines(d / "train.jsonl")],
    "text-begins": lambda d: [[r] for r in lines(d / "train.jsonl")],
    "parquet-messages": lambda d: [turns({"messages": list(r["messages"])}) for r in parquet(d / "train.parquet")],
    "parquet-date": lambda d: [[pair(r["question"], written(r["answer"]))] for r in parquet(d / "train.parquet")],
    "parquet-timestamp": lambda d: [[pair(r["question"], written(r["answer"]))] for r in parquet(d / "train.parquet")],
    "semicolon-csv": lambda d: [[p] for p in pairs(frame(d / "train.csv", sep=";"))],
    "bare-quote-csv": lambda d: [[p] for p in pairs(frame(d / "train.csv"))],
    "cp1252-csv": lambda d: [[p] for p in pairs(frame(d / "train.csv", encoding="cp1252"))],
    "jsonl-gz": lambda d: [[p] for p in pairs(lines(d / "train.jsonl.gz"))],
    "two-train-folders": lambda d: [[p] for p in pairs(lines(d / "training/train.jsonl"))],
}

# What follows the prompt of inference where the template writes something else
# before an answer.
PROMPTED = {
    "template-think-in-prompt": "\n</think>\n\n{answer}<|im_end|>\n",
    "template-separator-between": "{answer}<|im_end|>",
}


def rows(name, folder, tokenizer, limit):
    read = READ.get(name, lambda d: [[p] for p in pairs(lines(d / "train.jsonl"))])
    for examples in read(folder):
        counted = []
        if name in PROMPTED:
            (example,) = examples
            prompt = tokenizer.apply_chat_template(example["prompt"], add_generation_prompt=True, tokenize=False)
            text = prompt + PROMPTED[name].format(answer=example["completion"][0]["content"])
            encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ids = encoded["input_ids"]
            counted = [i for i, (_, end) in enumerate(encoded["offset_mapping"]) if end > len(prompt)]
        else:
            for example in examples:
                ids, positions = prepare(tokenizer, example)
                counted += positions
        if limit:
            ids, counted = ids[:limit], [i for i in counted if i < limit]
        yield {"text": tokenizer.decode(ids), "ids": ids, "counted": counted}


def main():
    for folder in sorted(HERE.iterdir()):
        path = folder / "want.json"
        if not path.exists():
            continue
        want = json.loads(path.read_text())
        for run in want["runs"]:
            if run["what"] != "train" or run["exit"] != 0:
                continue
            base = pathlib.Path(tempfile.mkdtemp())
            shutil.copytree(BASE, base, dirs_exist_ok=True)
            if (folder / "chat_template.jinja").exists():
                shutil.copy(folder / "chat_template.jinja", base)
            for name, keys in run.get("base", {}).items():
                (base / name).write_text(json.dumps(json.loads((base / name).read_text()) | keys))
            tokenizer = AutoTokenizer.from_pretrained(base)
            run["rows"] = list(rows(folder.name, folder, tokenizer, run["keys"].get("fine_tuner.max_sequence_length")))
            shutil.rmtree(base)
            print(folder.name, len(run["rows"]), repr(run["rows"][0]["text"]), "|", repr(tokenizer.decode([run["rows"][0]["ids"][i] for i in run["rows"][0]["counted"]])))
        path.write_text(dumps(want) + "\n")


def dumps(want):
    """JSON with a row of numbers in one line."""
    text = json.dumps(want, indent=1, ensure_ascii=False)
    out, inside = [], False
    for line in text.splitlines():
        bare = line.strip()
        if inside:
            out[-1] += bare if bare.startswith("]") else bare.replace(",", ", ")
            inside = not bare.startswith("]")
        else:
            out.append(line)
            inside = bare in ('"ids": [', '"counted": [')
    return "\n".join(out)


main()
