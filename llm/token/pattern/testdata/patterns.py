"""Writes patterns.json: how the library "tokenizers" cuts texts at patterns.

    pip install tokenizers==0.23.3
    python patterns.py
"""

import json
import pathlib

from tokenizers import Regex, pre_tokenizers

PATTERNS = [
    # Those of families in use.
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", r"[0-9][0-9][0-9]", r"\s+(?!\S)|\s",
    # Those whose parts mean something else in Go.
    r"\d+", r"\D+", r"[\d_]+", r"[^\d]+", r"\w+", r"\W+", r"[\w']+", r"[^\w]+", r"\s", r"\S+", r"[\S]+", r"[^\S]+", r"\h+", r"[\h]+", r"\H+", r"\R",
    r"(?m:a.b)", r"a.b", r"(?i)ferry", r"(?<x>at) (?<y>nine)", r"\u0061+", r"\x61+", r"\x{61}+", r"[]a]+", r"[\]a\-z]+", r"a{,2}", r"a{2", r"\_+",
    r"\p{N}{1,2}+", r"a{2}+b", r"\p{^L}+", r"\p{Han}+", r"a++b", r" ?+\p{L}", r"[\e\t]", r"[\b]",
]

REFUSED = [
    r"(?<=\d)a", r"(?<!\d)a", r"a(?=b)", r"a(?!b)", r"(?=(\d{3})+(?!\d))|\d+", r"\s+(?!\S)|a\s+(?!\S)|\s+", r"(?>a+)b", r"(a)\1", r"(?<x>a)\k<x>",
    r"^a", r"a$", r"\ba", r"a\b", r"\Aa", r"a\z", r"[a[bc]]+", r"[a-z&&[^b]]+", r"[[:alpha:]]+", r"a++a", r"(a++)", r"(ab)++", r"\s++$|a",
    r"(?x: a b )", r"(?#no)a", r"a{1,2000}", r"\X", r"\N+", r"(?~a)", "(a", "a)", "[a", "a\\", r"[\W]+", r"\K",
]

TEXTS = [
    "", " ", "The ferry leaves  at nine.", "They're, THEY'LL 'S 'ſ", "In 2024: 1, 12, 123, 1234567 boats", "٣٤٥ ¹²³ Ⅷ ½ 一二三 x_y‿z", "Fähre über cafe\u0301 naïve",
    "a\r\nb\r\n\r\n  c\t\td \n ", "aab aaab abb a\nb a b", "x\u00a0y\u2003z\u3000w\u2028v\x85u\x1ct\x0bs\u200br\u180eq", "[]a-z{2 a{2", "漢字かなカナ hangul 한국", "deadBEEF 00ff xyz",
    "🚢🚢 👩‍👩‍👧…—“q” ___", "   ", "end   ", "\x1b\x08", "ΣΑΣ ǅ ʰ ª º", "FERRY Ferry fErrY", "a\u200db\u200cc \u24b6\u24e9 \U0001f150 \u2160 \u00aa \u0345 \u20dd \u0bf0 \u3021",
]


def cut(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), behavior="isolated").pre_tokenize_str(text)]


out = {
    "refused": REFUSED,
    "patterns": [{"pattern": p, "cuts": [{"text": t, "pieces": cut(p, t)} for t in TEXTS]} for p in PATTERNS],
}
path = pathlib.Path(__file__).with_name("patterns.json")
path.write_text(json.dumps(out, ensure_ascii=True, indent=1) + "\n", encoding="utf-8")
