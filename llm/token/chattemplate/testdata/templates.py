"""Writes renderings.json: what apply_chat_template of transformers makes of
conversations, with the templates beside this script, and what it does with the
files of a checkpoint.

    pip install transformers==5.24.0 jinja2==3.1.6 numpy
    python templates.py
"""

import datetime
import json
import os
import pathlib
import shutil
import tempfile

import transformers.utils.chat_template_utils as chat
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE.parent.parent / "testdata/reference/gpt2/tokenizer.json"


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 3, 5, 9, 20, 0)


chat.datetime = Clock

TOOLS = [
    {"type": "function", "function": {
        "name": "departures", "description": "Lists what leaves a pier.",
        "parameters": {
            "type": "object",
            "properties": {
                "pier": {"type": "integer", "description": "The number of the pier"},
                "days": {"type": "array", "items": {"type": "string"}, "description": "Days <of> the week & more"},
                "kind": {"type": "string", "enum": ["ferry", "cutter"], "default": "ferry"},
            },
            "required": ["pier"],
        },
        "return": {"type": "object"},
    }},
    {"type": "function", "function": {
        "name": "wind", "description": "Tells the wind (Stärke).",
        "parameters": {"type": "object", "properties": {"zone": {"type": ["string", "null"], "description": "A zone"}, "more": {"type": "object"}}, "required": []},
    }},
]


def call(name, arguments, id):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


SYSTEM = {"role": "system", "content": "Be brief. "}
CALLS = [call("departures", {"pier": 4, "days": ["Mon", "Tue"], "kind": "ferry"}, "call00001"), call("wind", {"zone": "Süd <3>", "more": {"b": None, "a": 1.5}}, "call00002")]

CONVERSATIONS = [
    {"name": "one turn", "messages": [user("Where is the ferry?")]},
    {"name": "answered", "messages": [user(" Where?\n"), assistant("\nAt pier 4. ")]},
    {"name": "several turns", "messages": [user("One?"), assistant("Two."), user("Three?"), assistant("Four."), user("Five?")]},
    {"name": "system", "messages": [SYSTEM, user("Say {{ messages }} {% if %} %s {}"), assistant("It's \"said\" \\ so.")]},
    {"name": "system in the middle", "messages": [user("a"), SYSTEM, user("b"), assistant("c")]},
    {"name": "tools, nobody calls", "messages": [SYSTEM, user("Is there wind?")], "tools": TOOLS},
    {"name": "two calls", "messages": [
        user("What leaves, and is there wind?"), assistant("I look.", tool_calls=CALLS),
        {"role": "tool", "tool_call_id": "call00001", "name": "departures", "content": "[\"09:20\"]"},
        {"role": "tool", "tool_call_id": "call00002", "name": "wind", "content": "{\"bft\": 5}"},
        assistant("At 09:20, with wind."),
    ], "tools": TOOLS},
    {"name": "one call, content None", "messages": [user("Wind?"), assistant(None, tool_calls=CALLS[1:]), {"role": "tool", "tool_call_id": "call00002", "content": "5"}], "tools": TOOLS},
    {"name": "call without tools", "messages": [user("Wind?"), {"role": "assistant", "tool_calls": CALLS[:1]}]},
    {"name": "empty content", "messages": [user(""), assistant("")]},
    {"name": "content None", "messages": [user("a"), assistant(None)]},
    {"name": "list content", "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Look well."}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is "}, {"type": "text", "text": "this?\tA boat?"}]},
        assistant([{"type": "text", "text": "A cutter."}]),
    ]},
    {"name": "reasoning", "messages": [user("Why?"), assistant("Because.", reasoning_content="\nI think\n"), user("And?"), assistant("So.", reasoning="Hm.")]},
    {"name": "reasoning in the content", "messages": [SYSTEM, user("Why?"), assistant("<think>\nlet me see\n</think>\n\nBecause."), user("And?"), assistant("<think>again</think>So.")]},
    {"name": "no thinking", "messages": [user("Why? /no_think"), assistant("Because."), user("And?")], "variables": {"enable_thinking": False, "reasoning_effort": "low", "keep_past_thinking": True, "controls": ["citations"]}},
    {"name": "documents", "messages": [user("What do they say?")], "documents": [{"title": "A", "text": "One."}, {"title": "B", "text": "Two ."}], "variables": {"date_string": "6 Mar 2024", "tools_in_user_message": False, "eos_token": "<END>"}},
    {"name": "odd roles", "messages": [assistant("I begin."), assistant("I go on."), {"role": "developer", "content": "x"}]},
    {"name": "system, several turns", "messages": [SYSTEM, user("One?"), assistant("Two."), user("Three?"), assistant("Four.")]},
    {"name": "empty system", "messages": [{"role": "system", "content": ""}, user("Hello?"), assistant("Hello.")]},
    {"name": "system with tools, answered", "messages": [SYSTEM, user("Is there wind?"), assistant("None.")], "tools": TOOLS},
    {"name": "two calls, then another question", "messages": [
        user("What leaves?"), assistant("", tool_calls=CALLS),
        {"role": "tool", "tool_call_id": "call00001", "name": "departures", "content": "09:20"},
        {"role": "tool", "tool_call_id": "call00002", "name": "wind", "content": "5"},
        assistant("One does."), user("When?"), assistant("At 09:20."),
    ], "tools": TOOLS},
    {"name": "reasoning before two calls", "messages": [
        user("Wind?"), assistant("", reasoning_content="Ask.", tool_calls=CALLS),
        {"role": "tool", "tool_call_id": "call00001", "name": "departures", "content": "none"},
        {"role": "tool", "tool_call_id": "call00002", "name": "wind", "content": "5"},
        assistant("Five.", reasoning_content="It says five."),
    ], "tools": TOOLS},
    {"name": "reasoning, several turns", "messages": [user("One?"), assistant("1.", reasoning_content="A"), user("Two?"), assistant("2.", reasoning_content="B"), user("Three?"), assistant("3.")]},
    {"name": "thinking is asked for", "messages": [user("Why?"), assistant("Because."), user("And?"), assistant("So.")], "variables": {"enable_thinking": True, "thinking": True}},
    {"name": "reasoning in the last content", "messages": [user("Why?"), assistant("<think>\nHm.\n</think>\n\nBecause.")]},
    {"name": "list content, several turns", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "One?"}]}, assistant([{"type": "text", "text": "1."}]),
        {"role": "user", "content": [{"type": "text", "text": "Two?"}]}, assistant([{"type": "text", "text": "2."}, {"type": "text", "text": " And 3."}]),
    ]},
    {"name": "empty answers in between", "messages": [user("a"), assistant(""), user(""), assistant("b")]},
    {"name": "None in between", "messages": [user("a"), assistant(None), user("b"), assistant("c")]},
    {"name": "marks in the texts", "messages": [user("<|im_start|>assistant\nx<|im_end|> [INST] </s>"), assistant("<|im_end|>\n<|im_start|>user\n<start_of_turn>model [/INST]"), user("<think>"), assistant("</think> y")]},
    {"name": "unicode and lines", "messages": [user("Fähre 🚢\r\nΣΑΣ\u00a0\n\n\u2028港"), assistant("  \t多谢\u3000")]},
]


def render(tokenizer, source, conversation, prompt):
    c = json.loads(json.dumps(conversation))
    out = {}
    try:
        out["rendered"] = tokenizer.apply_chat_template(
            c["messages"], tools=c.get("tools"), documents=c.get("documents"), chat_template=source,
            add_generation_prompt=prompt, tokenize=False, **c.get("variables", {}))
    except Exception as e:
        out["error"] = type(e).__name__
        if type(e).__name__ == "TemplateError":
            out["message"] = str(e)
        return out
    if source and "generation %}" in source or source and "generation -%}" in source:
        _, spans = chat.render_jinja_template(
            chat_template=source, return_assistant_tokens_mask=True, add_generation_prompt=prompt,
            conversations=[chat._normalize_chat_messages(c["messages"])], tools=c.get("tools"), documents=c.get("documents"),
            **{**tokenizer.special_tokens_map, **c.get("variables", {})})
        out["generated"] = [out["rendered"][a:b] for a, b in spans[0]]
    return out


def checkpoint(files):
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.copy(TOKENIZER, folder / "tokenizer.json")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    try:
        return AutoTokenizer.from_pretrained(folder)
    finally:
        shutil.rmtree(folder)


CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast"}
SHOW = "{{ [bos_token, eos_token, unk_token, pad_token, sep_token, cls_token, mask_token, image_token, boi_token, extra_special_tokens, additional_special_tokens, add_bos_token] }}"
NAMED = [{"name": "default", "template": "default {{ tools is none }}"}, {"name": "tool_use", "template": "tools {{ tools | length }}"}, {"name": "rag", "template": "rag"}]
ADDED = {"content": "<s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}

CHECKPOINTS = [
    {"name": "tokens in the configuration", "files": {"tokenizer_config.json": {**CONFIG, "eos_token": "<|end|>", "bos_token": {"__type": "AddedToken", **ADDED}, "chat_template": SHOW}}},
    {"name": "tokens in the map alone", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": SHOW}, "special_tokens_map.json": {"eos_token": "<|end|>", "bos_token": ADDED, "pad_token": "<|end|>"}}},
    {"name": "tokens in both", "files": {"tokenizer_config.json": {**CONFIG, "eos_token": "<|bot|>", "unk_token": "<|user|>", "chat_template": SHOW}, "special_tokens_map.json": {"eos_token": "<|end|>"}}},
    {"name": "tokens in both, newer", "files": {"tokenizer_config.json": {**CONFIG, "eos_token": "<|bot|>", "added_tokens_decoder": {}, "chat_template": SHOW}, "special_tokens_map.json": {"eos_token": "<|end|>", "pad_token": "<|end|>"}}},
    {"name": "tokens that are null", "files": {"tokenizer_config.json": {**CONFIG, "eos_token": None, "bos_token": None, "add_bos_token": True, "chat_template": SHOW}}},
    {"name": "tokens of a kind of model", "files": {"tokenizer_config.json": {**CONFIG, "image_token": "<img>", "extra_special_tokens": {"boi_token": "<boi>"}, "additional_special_tokens": ["<|user|>"], "chat_template": SHOW}}},
    {"name": "named templates", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED}}},
    {"name": "named templates and tools", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED}}, "tools": TOOLS},
    {"name": "named templates and no tool", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED}}, "tools": []},
    {"name": "named template that is asked for", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED}}, "template": "rag"},
    {"name": "named templates without a default", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED[1:]}}},
    {"name": "a file counts more", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": NAMED}, "chat_template.jinja": "file {{ tools is none }}"}, "tools": TOOLS},
    {"name": "further files", "files": {"tokenizer_config.json": {**CONFIG, "chat_template": "key"}, "chat_template.jinja": "file", "additional_chat_templates/tool_use.jinja": "further {{ tools[0].function.name }}"}, "tools": TOOLS},
    {"name": "no template", "files": {"tokenizer_config.json": CONFIG}},
]


def main():
    tokenizer = checkpoint({"tokenizer_config.json": {**CONFIG, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}})
    out = {"conversations": CONVERSATIONS, "renderings": {}, "checkpoints": []}
    for path in sorted((HERE / "templates").glob("*.jinja")):
        source = path.read_text()
        out["renderings"][path.stem] = [render(tokenizer, source, c, prompt) for c in CONVERSATIONS for prompt in (False, True)]
    for c in CHECKPOINTS:
        case = dict(c)
        messages = {"messages": [user("x")], "tools": c.get("tools")}
        case.update(render(checkpoint(c["files"]), c.get("template"), messages, False))
        out["checkpoints"].append(case)
    (HERE / "renderings.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
    n = sum(len(r) for r in out["renderings"].values())
    print(len(out["renderings"]), "templates,", n, "renderings,", sum("error" in c for r in out["renderings"].values() for c in r), "errors")
    for name, r in out["renderings"].items():
        errors = {}
        for c in r:
            if "error" in c:
                errors[c["error"]] = errors.get(c["error"], 0) + 1
        print(f"  {name:26}", sum("rendered" in c for c in r), errors)
    for c in out["checkpoints"]:
        print(" ", c["name"], "->", c.get("rendered", c.get("error")))


main()
