"""Writes reference/unigram-*: small Unigrams as the library "tokenizers" trains and saves
them, with what it makes of nasty texts and of random ids. The table of normalizations of
one of them is SentencePiece's own, made small by rules of few characters.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
    python unigrams.py
"""

import io
import json
import os
import pathlib
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent / "reference"
SPACE = "\u2581"
TEXTS = 250
LISTS = 200

CORPUS = [
    "The ferry leaves the harbour at nine, and the ferry comes back at noon.",
    "Old Brandt repairs the nets; the nets dry in the sun for two hours.",
    "They're late again. We've waited, I'm tired, and he'll say that it isn't his fault.",
    "In 2024 the harbour counted 1234567 boats, 890 of them in March.",
    "Die F\u00e4hre f\u00e4hrt \u00fcber das Meer. \u00c7a va tr\u00e8s bien, na\u00efve caf\u00e9.",
    "\u6e2f\u306b\u8239\u304c\u7740\u304f\u3002\u8239\u306f\u6e2f\u3092\u51fa\u308b\u3002",
    "for (i = 0; i < 10; i++) {\n    total += i;\n}\n\n\treturn total;",
] * 4

PARTS = [
    "The ferry leaves at nine.", "the", " ferry", "harbour", "They're", "boats", "aboat", "boat", "F\u00e4hre", "cafe\u0301", "u\u0308", "a\u0323\u0302", "\u0301", "\ufb01ne", "\u2167", "\u00bd",
    "\u00b9\u00b2\u00b3", "\u338f", "\u212b", "\u017f", "\u00df", "\u0130", "\u0131", "\u0391\u0392\u0393", "\u041f\u0430\u0440\u043e\u043c", "\u6e2f\u306b\u8239", "\u8239", "\ud55c\uad6d", "\u1112\u1161\u11ab",
    "\u0917\u093e\u0901\u0935", "\u0915\u094d\u0937\u093f", "\u0e44\u0e17\u0e22", "\u0644\u064e\u064a\u0652\u0644", "\U0001f6a2", "\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "1", "1234567", "\u0663\u0664", " ", "  ", "    ",
    "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u2028", "\u200b", "\ufeff", "\u00ad", "\u0085", "\x00", "\x01", "\x7f", "\u0378", "\ue000", "\uffff", "\U0010ffff", "\ufffd", SPACE,
    SPACE + "the", SPACE + SPACE, "<0x0A>", "<0xFF>", "<unk>", "<s>", "</s>", "<mask>", "<|user|>", "<|", "_", "a.b.c", "{", "();", "...", "\u2026", "\u2014", "\u201cq\u201d", "!!!", "$5", "\u20ac",
    "aaaaaaaaaaaaaaaaaaaa", "ferry" * 9, "ABCdef", "Z\u0351\u036b\u0343a", "\uff46\uff55\uff4c\uff4c", "\uff76\uff9e", "\u0344", "\u8c48", "\r\u0301", "q\u0301", "a\u0301\u0301\u0301\u0301",
]


def charsmap():
    """The table of a few rules, as SentencePiece compiles it."""
    rules = {
        "\u3000": " ", "\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\ufb01": "fi", "\u2167": "VIII", "\u00bd": "1\u20442", "\u00b9": "1", "\u00b2": "2", "e\u0301": "\u00e9",
        "u\u0308": "\u00fc", "a\u0323\u0302": "\u1ead", "q": "k", "q\u0301": "x", "\u200b": "", "\ufeff": "", "\u00ad": "", "\uff46": "f", "\uff55": "u", "\uff4c": "l", "\uff76\uff9e": "\u30ac", "\uff76": "\u30ab",
        "\u2026": "...", "\u0344": "\u0308\u0301", "\u1112\u1161\u11ab": "\ud55c", "\U0001f6a2": "ship", "\u0130": "I",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.tsv")
        with open(path, "w") as f:
            for left, right in rules.items():
                f.write(" ".join(f"{ord(c):04X}" for c in left) + "\t" + " ".join(f"{ord(c):04X}" for c in right) + "\n")
        made = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_writer=made, vocab_size=100, hard_vocab_limit=False, normalization_rule_tsv=path, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(made.getvalue())
    return model.normalizer_spec.precompiled_charsmap


def trained(normalizer, pre_tokenizer, decoder, fallback, size=300):
    """A vocabulary that the library's own trainer makes, with bytes in it if fallback is true."""
    tok = Tokenizer(models.Unigram())
    tok.normalizer, tok.pre_tokenizer = normalizers.Replace(" ", SPACE), pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, unk_token="<unk>", special_tokens=["<s>", "</s>", "<unk>"], show_progress=False, max_piece_length=8)
    tok.train_from_iterator(CORPUS[:5] * 4, trainer)
    model = json.loads(tok.to_str())["model"]
    vocab = [(text, score) for text, score in model["vocab"]]
    if fallback:
        vocab += [(f"<0x{b:02X}>", 0.0) for b in range(256)]
    tok = Tokenizer(models.Unigram(vocab, unk_id=model["unk_id"], byte_fallback=fallback))
    if normalizer:
        tok.normalizer = normalizer
    if pre_tokenizer:
        tok.pre_tokenizer = pre_tokenizer
    tok.decoder = decoder
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>", "<|user|>")])
    tok.add_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False), AddedToken("boat", single_word=True, normalized=False)])
    return tok


def kinds():
    """T5 and XLM-R before and after their pre-tokenizers changed, Llama with a Unigram, and the normalizers alone."""
    table = normalizers.Precompiled(charsmap())
    meta = pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True)
    decoder = decoders.Metaspace(SPACE, prepend_scheme="always")
    yield "unigram-t5", trained(table, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), meta]), decoder, False)
    yield "unigram-xlmr", trained(normalizers.Sequence([table, normalizers.Replace(Regex(" {2,}"), " ")]), meta, decoder, False)
    both = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    yield "unigram-llama", trained(both, None, decoders.Sequence(steps), True)
    first = pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False)
    lower = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(left=False, right=True)])
    yield "unigram-nfkc", trained(lower, first, decoders.Sequence([*steps[:3]]), True)
    yield "unigram-nfd", trained(normalizers.NFD(), pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=True), decoders.Metaspace(SPACE, prepend_scheme="never"), False, 200)


def save(name, tok):
    """The tokenizer, and what it makes of texts and ids."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    pick = random.Random(name)
    texts = ["", *PARTS]
    while len(texts) < TEXTS:
        texts.append("".join(pick.choice(PARTS) + pick.choice(["", "", " ", "  "]) for _ in range(pick.randrange(2, 9))))
    size = tok.get_vocab_size()
    lists = [[pick.randrange(size) for _ in range(pick.randrange(1, 12))] for _ in range(LISTS // 2)]
    lists += [[pick.randrange(max(size - 262, 0), size) for _ in range(pick.randrange(1, 9))] for _ in range(LISTS - len(lists))]
    cases = []
    for text, ids in [(t, tok.encode(t, add_special_tokens=False).ids) for t in texts] + [(None, ids) for ids in lists]:
        case = {"text": text, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False), "plain": tok.decode(ids, skip_special_tokens=True)}
        cases.append({k: v for k, v in case.items() if v is not None})
    with open(folder / "cases.json", "w") as f:
        json.dump(cases, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    for name, tok in kinds():
        save(name, tok)
