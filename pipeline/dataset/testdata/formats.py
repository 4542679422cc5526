"""Writes the folder formats: every shape in every file format, as people's tools write them.

Run it where pandas, pyarrow and openpyxl are installed: python formats.py
"""

import gzip
import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

TOOLS = [{"type": "function", "function": {"name": "tide", "description": "Height of the water", "parameters": {"type": "object", "required": ["pier"]}}}]
CALL = [{"type": "function", "function": {"name": "tide", "arguments": {"pier": 4}}}]
LANDS = [{"role": "user", "content": "Where does the Alma land?"}, {"role": "assistant", "content": "At pier 4, on the left.\nCafé Sjöberg is near."}]

SHAPES = {
    "question_answer": [
        {"question": "Where does the Alma land?", "answer": "At pier 4, on the left."},
        {"question": 'Who said "ahoy"?\nAnd when?', "answer": "Frau Sjöberg; at nine."},
    ],
    "messages": [
        {"messages": [{"role": "system", "content": "You know the harbour."}, *LANDS], "tools": None},
        {
            "messages": [
                {"role": "user", "content": "How high is the water?"}, {"role": "assistant", "content": "", "tool_calls": CALL},
                {"role": "tool", "content": "2.1", "name": "tide"}, {"role": "assistant", "content": "It is 2.1 metres."},
            ],
            "tools": TOOLS,
        },
    ],
    "conversations": [
        {"conversations": [{"from": "human", "value": "Where does the Alma land?"}, {"from": "gpt", "value": "At pier 4."}]},
        {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Who mends her?"}, {"from": "gpt", "value": "Brandt."}]},
    ],
    "prompt_completion": [
        {"prompt": "Where does the Alma land?", "completion": "At pier 4."},
        {"prompt": "Who mends her?", "completion": "Old Brandt."},
    ],
    "prompt_completion_lists": [
        {"prompt": LANDS[:1], "completion": LANDS[1:]},
        {"prompt": [*LANDS, {"role": "user", "content": "Sure?"}], "completion": [{"role": "assistant", "content": "Yes."}]},
    ],
    "alpaca": [
        {"instruction": "Answer in one word.", "input": "Where does the Alma land?", "output": "Pier 4.", "history": None},
        {"instruction": "Sure?", "input": "", "output": "Yes.", "history": [["Where does the Alma land?", "At pier 4."]]},
    ],
    "text": [{"text": "Where does the Alma land? At pier 4."}, {"text": "Café Sjöberg\nis near."}],
    "references": [
        {"question": "Where does the Alma land?", "answer": "At pier 4.", "references": ["At pier 4.", "It lands at pier 4."]},
        {"question": "Who mends her?", "answer": None, "references": ["Old Brandt."]},
    ],
}


def flat(v):
    """The value of a cell: tools that write tables write a list as JSON at best."""
    return json.dumps(v, ensure_ascii=False) if isinstance(v, (list, dict)) else v


def write(folder, name, rows):
    path = os.path.join(folder, name)
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    with open(path + ".jsonl", "w") as f:
        f.write(lines)
    with open(path + ".jsonl.gz", "wb") as f:
        f.write(gzip.compress(lines.encode(), mtime=0))
    with open(path + ".jsonl.zst", "wb") as f:
        f.write(pa.compress(lines.encode(), codec="zstd", asbytes=True))
    with open(path + ".json", "w") as f:
        json.dump(rows, f, ensure_ascii=False, indent=1)
    table = pa.Table.from_pylist(rows)
    pa.parquet.write_table(table, path + ".parquet")
    pa.feather.write_feather(table, path + ".feather")
    with pa.OSFile(path + ".arrow", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    frame = pd.DataFrame([{k: flat(v) for k, v in r.items()} for r in rows])
    frame.to_csv(path + ".csv", index=False)
    frame.to_csv(path + ".tsv", index=False, sep="\t")
    frame.to_excel(path + ".xlsx", index=False)


if __name__ == "__main__":
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")
    os.makedirs(folder, exist_ok=True)
    for name, rows in SHAPES.items():
        write(folder, name, rows)
