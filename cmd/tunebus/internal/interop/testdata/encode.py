"""Encodes nasty strings and decodes random ids with the tokenizers of published models.

Reads a list of folders with a tokenizer.json each from stdin. Writes a list of
{"folder", "texts", "lists"} to stdout: 250 texts with their ids, and 200 lists of
random ids with what the library tokenizers decodes them to.
"""

import json
import os
import random
import sys

from tokenizers import Tokenizer

TEXTS = 250
LISTS = 200

PARTS = [
    "The ferry leaves at nine.", "the", " ferry", "harbour", "They're", "WE'LL", "it\u2019s", "I'm", "x'S", "naïve", "Fähre", "cafe\u0301", "u\u0308", "a\u0323\u0302", "\u0301",
    "ﬁne", "Ⅷ", "½", "¹²³", "①", "㎏", "Å", "\u212b", "ſ", "ß", "İ", "ı", "ǆ", "Straße", "ΑΒΓ", "ς", "Паром", "уходит", "港に船が着く。", "船", "한국어", "\u1112\u1161\u11ab", "गाँव",
    "क्षि", "ไทย", "ليل", "لَيْل", "שלום", "🚢", "👩\u200d👩\u200d👧", "🇩🇪", "🏳️\u200d🌈", "👍🏽", "1", "12", "123", "1234567", "٣٤٥", "3.14", "1e-9", "0x7F", " ", "  ", "   ", "\t", "\t\t",
    "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\u00a0", "\u2003", "\u3000", "\u2028", "\u200b", "\ufeff", "\u00ad", "\u0085", "\x0b", "\x0c", "\x00", "\x01", "\x7f", "\u0378", "\ue000", "\uffff",
    "\U0010ffff", "\U000e0041", "\ufffd", "\u2581", "\u2581the", "Ġ", "Ċ", "<0x0A>", "<0xFF>", "<unk>", "<s>", "</s>", "<pad>", "[INST]", "<|im_start|>", "<|endoftext|>", "<|", "|>", "<",
    "</", "_", "__init__", "foo_bar", "camelCase", "a.b.c", "https://x.y/z?q=1#f", "e@x.org", "{", "}", "();", "!=", "===", "//", "/* */", "#", "...", "…", "—", "“q”", "«q»", "!!!", "?!", "$5",
    "€", "%", "\\n", "\\", "\"", "'", "``", "~~~~", "----------------", "================", "        ", "if x:\n    y\n", "for (i = 0; i < 10; i++) {\n\ttotal += i;\n}", "<b>x</b>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ferry" * 9, "ABCdefGHI", "mIxEd", "\u202etxet\u202c", "Z\u0351\u036b\u0343a\u0489l\u034bg\u0352o", "ᚠᛇᚻ", "𝔘𝔫𝔦", "ｆｕｌｌ", "ｶﾞ", "\u0f73", "\u0344", "豈",
]


def texts(tok, pick):
    """The parts alone, and then parts of several kinds in a row."""
    specials = [t.content for t in tok.get_added_tokens_decoder().values()]
    few = specials if len(specials) <= 12 else specials[:6] + pick.sample(specials[6:], 6)
    out = ["", *PARTS[: TEXTS // 2], *few]
    while len(out) < TEXTS:
        parts = PARTS + few
        out.append("".join(pick.choice(parts) + pick.choice(["", "", " ", "  ", "\n"]) for _ in range(pick.randrange(2, 12))))
    return out


def lists(tok, pick):
    """Ids of any kind, ids of one neighbourhood, where the bytes and special tokens are, and texts cut anywhere."""
    size = tok.get_vocab_size()
    out = []
    for n in range(LISTS):
        length = pick.randrange(1, 16)
        if n % 4 == 0:
            ids = [pick.randrange(min(size, 400)) for _ in range(length)]
        elif n % 4 == 1:
            ids = [pick.randrange(max(size - 400, 0), size) for _ in range(length)]
        elif n % 4 == 2:
            whole = tok.encode("".join(pick.choice(PARTS) for _ in range(8)), add_special_tokens=False).ids
            start = pick.randrange(len(whole))
            ids = whole[start : start + length]
        else:
            ids = [pick.randrange(size) for _ in range(length)]
        out.append(ids)
    return out


out = []
for folder in json.load(sys.stdin):
    tok = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    pick = random.Random(os.path.basename(os.path.dirname(folder)))
    out.append({
        "folder": folder,
        "texts": [{"text": t, "ids": tok.encode(t, add_special_tokens=False).ids} for t in texts(tok, pick)],
        "lists": [{"ids": i, "whole": tok.decode(i, skip_special_tokens=False), "plain": tok.decode(i, skip_special_tokens=True)} for i in lists(tok, pick)],
    })
json.dump(out, sys.stdout)
