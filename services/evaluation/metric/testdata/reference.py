"""Writes reference.json: what the reference implementations say about pairs of texts.

    python -m venv v && v/bin/pip install sacrebleu==2.6.0 rouge-score==0.1.2 nltk==3.10.4
    v/bin/python reference.py > reference.json
"""
import collections
import json
import random
import re
import string
import sys

from sacrebleu.metrics import BLEU, CHRF
from rouge_score import rouge_scorer
from nltk.stem.porter import PorterStemmer

PAIRS = [  # truth, answer
    ("The quick brown fox jumps over the lazy dog.", "The quick brown fox jumped over a lazy dog."),
    ("Paris is the capital of France. It lies on the Seine.", "Paris is the capital of France. It lies on the Seine."),
    ("Paris is the capital of France. It lies on the Seine.", "It lies on the Seine. Bananas are blue and nothing here is right."),
    ("Paris is the capital of France. It lies on the Seine.", "Paris is the capital of France and it lies on the Seine."),
    ("Paris is the capital of France and it lies on the Seine.", "Paris is the capital of France. It lies on the Seine."),
    ("Yes. The answer is 42 because of deep thought.", "Yes. The answer is 42 because of deep thought."),
    ("New York City", "New York City"),
    ("Die Größe beträgt 3,5 m²; das Café ist größer.", "Die Größe beträgt 3,5 m²; ein Café ist größer."),
    ("東京 は 日本 の 首都 です 。", "東京 は 日本 の 首都 でした 。"),
    ("東京は日本の首都です。", "日本の首都は東京です。"),
    ("北京是中国的首都。", "北京是中国的首都。"),
    ("서울은 대한민국의 수도이다.", "대한민국의 수도는 서울이다."),
    ("the cat sat on the mat today", "the cat sat on a mat today"),
    ("a cat sits", "the cat sat"),
    ("", ""), ("", "something"), ("something", ""), ("   ", "\t\n"), ("Paris", "Paris"), ("Paris", "paris."),
    ("!!!", "???"), ("...", "..."), ("the", "a"), ("The a an", "word"), ("word", "The word"), ("!", "word !"),
    ("v2.0.1.", "v2.0.1"), ("1,000.50, ok.", "1,000.50 ok"), ("a-b 10-20 x-1", "a-b 10 - 20 x - 1"),
    ("&amp;lt; &quot;hi&quot; &amp;quot; a&lt;b&gt;c", '< "hi" &quot; a<b>c'), ("<skipped>text here is-\nbroken", "text here isbroken"),
    ("line one\nline two\nline three", "line two\nline one\nline three"), ("a b c d e f g h", "h g f e d c b a"),
    ("word " * 40, "word " * 37), ("one two three four five six seven", "one two three four"),
    ("one two three four", "one two three four five six seven eight nine"), ("I'm sure it's John's rock-and-roll", "Im sure its Johns rock and roll"),
    ("año nuevo en España", "el año nuevo de España"), ("e\u0301te\u0301", "\u00e9t\u00e9"), ("a\u0301 la carte", "la carte"),
    ("İstanbul is big", "istanbul is big"), ("ΟΔΥΣΣΕΥΣ ταξιδεύει", "οδυσσευς ταξιδεύει"), ("ΣΣΣ Σ Σ' 'Σ aΣb AΣ. Σ\u00adΣ", "σσς σ σ σ aσb aς σσ"),
    ("STRASSE und Straße", "strasse und strasse"), ("ﬁne oﬃce", "fine office"), ("Kelvin 300 \u212a", "kelvin 300 k"),
    ("zero\u200bwidth \ufeffmark", "zero width mark"), ("sep\x1carated\x1fby unit", "sep arated by unit"), ("no\u00a0break\u3000space", "no break space"),
    ("null\x00byte here", "null byte here"), ("emoji 😀 works 👩‍👩‍👧", "emoji 😀 works 👩"), ("مرحبا بالعالم، كيف الحال؟ ١٢٣", "مرحبا بالعالم كيف الحال ١٢٣"),
    ("नमस्ते दुनिया", "नमस्ते दुनिया।"), ("สวัสดีชาวโลก", "สวัสดีโลก"), ("Привет, мир! Как дела?", "Привет мир, как дела"), ("שלום עולם", "שלום לעולם"),
    ("The police were gunning for the killers yesterday.", "Police killed the gunman; they yesterday gunned."),
    ("alpha beta gamma\ndelta epsilon", "delta gamma\nalpha beta epsilon"), ("The flies died happily in geology", "A fly dies happy in geological"),
    ("generalization of relational operators", "general relations operate"), ("skies dying lying tying news innings", "sky die lie tie new inning"),
    ("http://example.com/a?b=c&d=e#f", "http://example.com/a?b=c&d=e"), ("$5.00, 50%, C++ & C#", "$5 50 % C C#"),
    ("x. y. z. w", "x. y. z. w"), ("One. Two. Three four five six. Seven", "Three four five six. One"), (". . . .", ". . . ."), (". ", ". "),
    ("under_score a_b the_end", "under score a b the end"), ("``quotes'' 'single' \"double\"", "quotes single double"),
    ("2024-01-31T12:00:00Z", "2024-01-31 12:00"), ("1. first 2. second", "first second"), ("-5 --5 5-", "5 5 5"), ("ends with dash -", "ends with dash"),
    ("a" * 300, "a" * 290), ("x", "x"), ("ab", "ab"), ("abc", "abd"), ("word,word.word;word", "word word word word"), ("¿Qué? ¡Sí!", "Que Si"), ("mixed 日本語 and English テキスト", "mixed 日本語 with English テキスト"),
    ("(bracket) [square] {curly}", "bracket square curly"), ("\"", "'"), ("a\u0300b\u0301c", "abc"), ("½ ² ① Ⅷ", "1/2 2 1 8"), ("yyyy yyy sayyid", "yy y says"),
]
rnd = random.Random(7)
vocab = "the a an model trains trained training is was running quickly happily relational, conditional; operators. it's 3.5 10-20 New York, (see) fine-tuned U.S. e.g. 1,000 größer café naïve".split()
for _ in range(40):
    t = [rnd.choice(vocab) for _ in range(rnd.randint(1, 30))]
    a = [w if rnd.random() < .7 else rnd.choice(vocab) for w in t]
    a = a[: rnd.randint(1, len(a))] if rnd.random() < .3 else a
    PAIRS.append((" ".join(t), " ".join(a)))
alphabet = "aAbΣİß.,'-&;<>0 19 \n\u0301\u200b日語!?_"
for _ in range(40):
    PAIRS.append(tuple("".join(rnd.choice(alphabet) for _ in range(rnd.randint(0, 40))) for _ in range(2)))

bleu, sentence = BLEU(), BLEU(effective_order=True)
chrf, chrfpp = CHRF(), CHRF(word_order=2)
rouge = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True)

def squad(s):
    s = "".join(c for c in s.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())

def f1(a, t):
    a, t = squad(a).split(), squad(t).split()
    if not a or not t:
        return float(a == t)
    n = sum((collections.Counter(a) & collections.Counter(t)).values())
    if n == 0:
        return 0.0
    p, r = n / len(a), n / len(t)
    return 2 * p * r / (p + r)

out = []
for t, a in PAIRS:
    r = rouge.score(t, a)
    out.append({
        "truth": t, "answer": a, "tokens_13a": bleu.tokenizer(a.rstrip()).split(),
        # RAGAS hands these over: segments of the answer, streams of one sentence each.
        "bleu_score": bleu.corpus_score(a.split(". "), [[x] for x in t.split(". ")]).score / 100,
        "sentence_bleu": sentence.sentence_score(a, [t]).score,
        "rouge": {k: [v.precision, v.recall, v.fmeasure] for k, v in r.items()},
        "exact_match": float(squad(a) == squad(t)), "token_f1": f1(a, t),
        "chrf": chrf.sentence_score(a, [t]).score, "chrfpp": chrfpp.sentence_score(a, [t]).score,
    })
answers, truths = [a for _, a in PAIRS], [[t for t, _ in PAIRS]]

# Several references: every answer against its own truth and those of its neighbours.
several = []
for i, (t, a) in enumerate(PAIRS):
    refs = [PAIRS[(i + k) % len(PAIRS)][0] for k in range(i % 3 + 1)]
    refs = refs[::-1] if i % 2 else refs
    r = rouge.score_multi(refs, a)
    several.append({
        "truths": refs, "answer": a,
        "bleu_score": max(bleu.corpus_score(a.split(". "), [[x] for x in t.split(". ")]).score / 100 for t in refs),
        "sentence_bleu": sentence.sentence_score(a, refs).score,
        "rouge": {k: [v.precision, v.recall, v.fmeasure] for k, v in r.items()},
        "exact_match": max(float(squad(a) == squad(t)) for t in refs), "token_f1": max(f1(a, t) for t in refs),
        "chrf": chrf.sentence_score(a, refs).score, "chrfpp": chrfpp.sentence_score(a, refs).score,
    })
streams = [[s["truths"][k] if k < len(s["truths"]) else None for s in several] for k in range(3)]
words = sorted(set("""caresses ponies ties dies flies spied died cats caress agreed feed plastered bled motoring sing conflated troubled sized hopping tanned
falling hissing fizzed failing filing happy sky enjoy by say spy digitizer conformably radically differently vilely analogously vietnamization predication
operator feudalism decisiveness hopefulness callousness formality sensitivity sensibility hopefully geology biology logically triplicate formative formalize
electricity electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption
homologous communism activate angularity effective bowdlerize probate rate cease controll roll skies sky dying lying tying news innings outings cannings howe
proceed exceed succeed element cement ionion yyyy syzygy sayyid year eying aged using abed owed ying ing used added egged 1234 abc1s x2ied area areas
national nationally rationally fully carefully calli alli vocally aing oxen owing""".split()))
p = PorterStemmer()

json.dump({
    "pairs": out, "corpus": {"sacrebleu": bleu.corpus_score(answers, truths).score, "chrf": chrf.corpus_score(answers, truths).score, "chrfpp": chrfpp.corpus_score(answers, truths).score},
    "several": several, "several_corpus": {"sacrebleu": BLEU().corpus_score(answers, streams).score, "chrf": CHRF().corpus_score(answers, streams).score, "chrfpp": CHRF(word_order=2).corpus_score(answers, streams).score},
    "signature": str(bleu.get_signature()), "stems": {w: p.stem(w) for w in words if len(w) > 2},
}, sys.stdout, ensure_ascii=True, indent=1)

