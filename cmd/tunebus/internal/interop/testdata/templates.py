"""Renders conversations with the chat templates that installed packages ship.

Writes a list of {"family", "template", "conversation", "tools", "prompt",
"text" or "error"} to stdout, as transformers renders them.
"""

import glob
import json
import os
import sys

from transformers.utils.chat_template_utils import render_jinja_template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
TOOLS = [{"type": "function", "function": {"name": "tide", "description": "When the tide turns.", "parameters": {
    "type": "object", "properties": {"pier": {"type": "integer"}}, "required": ["pier"]}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "id": "call00001", "function": {"name": "tide", "arguments": {"pier": 4}}}]}
CONVERSATIONS = [
    [{"role": "user", "content": "Who?"}],
    [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ada, at the pier."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Who? \n"}, {"role": "assistant", "content": "Ada."},
     {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "<think>\nAt sea.\n</think>\n\nAt sea."}],
    [{"role": "user", "content": "When?"}, CALL, {"role": "tool", "tool_call_id": "call00001", "name": "tide", "content": "at nine"},
     {"role": "assistant", "content": "At nine."}],
    [{"role": "user", "content": "Ω “quotes” <b>& 'x'"}, {"role": "assistant", "content": ""}],
]

out = []
places = [p for p in sys.path if p.endswith("site-packages")]
files = sorted(f for p in places for f in glob.glob(os.path.join(p, "**", "*.jinja"), recursive=True))
for path in files:
    with open(path) as f:
        template = f.read()
    if "messages" not in template:
        continue  # no template of conversations
    for conversation in CONVERSATIONS:
        tools = TOOLS if any("tool_calls" in m for m in conversation) else None
        for prompt in (False, True):
            one = {"family": os.path.basename(path)[: -len(".jinja")], "template": template, "conversation": conversation, "tools": tools, "prompt": prompt,
                   "tokens": TOKENS}
            try:
                rendered, _ = render_jinja_template([conversation], chat_template=template, tools=tools, add_generation_prompt=prompt, **TOKENS)
                one["text"] = rendered[0]
            except Exception as e:  # what the template refuses has to be refused here, too
                one["error"] = str(e) or type(e).__name__
            out.append(one)
json.dump(out, sys.stdout)
