"""Writes reference/: tokenizers as the library "tokenizers" saves them, with
what it makes of texts, and chat templates with what Jinja makes of them under
the settings of "transformers".

    pip install tokenizers==0.23.3 jinja2==3.1.6
    python reference.py
"""

import json
import pathlib
import random

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent / "reference"

CORPUS = [
    "The ferry leaves the harbour at nine, and the ferry comes back at noon.",
    "Old Brandt repairs the nets; the nets dry in the sun for two hours.",
    "They're late again. We've waited, I'm tired, and he'll say that it isn't his fault.",
    "In 2024 the harbour counted 1234567 boats, 890 of them in March.",
    "Die Fähre fährt über das Meer. Ça va très bien, naïve café.",
    "港に船が着く。船は港を出る。",
    "Паром уходит в девять часов утра.",
    "for (i = 0; i < 10; i++) {\n    total += i;\n}\n\n\treturn total;",
] * 4

# Each takes a different road through a tokenizer.
TEXTS = [
    "",
    " ",
    "The ferry leaves at nine.",
    "the ferry  leaves   at\tnine \n",
    "   leading, and trailing   ",
    "\n\n\n",
    "a\r\nb\r\n\r\nc",
    "They're, THEY'RE, they\u2019re; he'll, HE'LL, I'm I'M",
    "In 2024: 1, 12, 123, 1234, 12345, 1234567 boats",
    "x1y22z333 4a 5-6_7",
    "¹²³ Ⅷ ½ ٣٤٥ 一二三",
    "Fähre über naïve café",
    "Fa\u0308hre u\u0308ber cafe\u0301",
    "港に船が着く。 船は 港を出る。",
    "Паром уходит в девять.",
    "🚢🚢 ferry 👩‍👩‍👧 done",
    "\u00a0no-break\u00a0\u00a0space\u2003em\u3000wide\u2028line",
    "for (i = 0; i < 10; i++) {\n    total += i;\n}\n\n\treturn total;",
    "…—“quoted”!!! ??? ... --- ___ ***",
    "<|user|>The ferry<|end|>",
    "<|user|>\n  The ferry  <|end|> \n<|bot|>",
    "a <mask> b<mask>c <mask>",
    "the word boat, boats, aboat, boat_ and boat",
    "\u2581the\u2581 ferry \u2581 <|user|>\u2581x",
    "<|user|> the<s>ferry</s>\tleaves<|end|>",
    "<0x41> <unk> <0xE2>",
    "<|use<|user|>r|>",
    "\x00\x01\x7f control",
    "ferry" * 40,
]

QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def kinds():
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    yield "gpt2", None, byte_level, False
    yield "qwen2", normalizers.NFC(), split(QWEN2), False
    yield "llama3", None, split(LLAMA3), True
    yield "digits", None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level]), False


SPACE = "\u2581"


def spaced(normalizer, pre_tokenizer, strip, normalized):
    """A vocabulary of characters as SentencePiece makes it, with bytes for the rest."""
    tok = Tokenizer(models.BPE())
    tok.normalizer, tok.pre_tokenizer = normalizers.Replace(" ", SPACE), pre_tokenizers.Metaspace()
    tok.train_from_iterator(CORPUS[:4] + CORPUS[6:8], trainers.BpeTrainer(vocab_size=400, limit_alphabet=60, show_progress=False))
    trained = json.loads(tok.to_str())["model"]
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    vocab = {text: i for i, text in enumerate(first + sorted(trained["vocab"], key=trained["vocab"].get))}
    merges = [tuple(m) for m in trained["merges"]]
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if normalizer:
        tok.normalizer = normalizer
    if pre_tokenizer:
        tok.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tok.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=normalized) for t in ("<unk>", "<s>", "</s>", "<|user|>", "<|bot|>", "<|end|>")])
    tok.add_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, normalized=normalized), AddedToken("boat", single_word=True, normalized=normalized)])
    return tok


def spaced_kinds():
    """Llama 2 and Phi-3, Mistral, Gemma, and a word for each space."""
    both = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    yield "llama2", spaced(both, None, True, False)
    yield "mistral", spaced(None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="first", split=False), True, False)
    yield "gemma", spaced(normalizers.Replace(" ", SPACE), pre_tokenizers.Split(" ", "merged_with_previous"), False, False)
    yield "metaspace", spaced(None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True), True, False)
    yield "never", spaced(None, pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=False), False, False)


def save(name, tok):
    """The tokenizer, what it makes of the texts, and what it makes of random ids."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    pick = random.Random(name)
    lists = [tok.encode(text, add_special_tokens=False).ids for text in TEXTS]
    odd = [[pick.randrange(tok.get_vocab_size()) for _ in range(pick.randrange(1, 12))] for _ in range(100)]
    odd += [[pick.randrange(3, 259) for _ in range(pick.randrange(1, 9))] for _ in range(100)]
    cases = []
    for text, ids in zip(TEXTS + [None] * len(odd), lists + odd):
        case = {"text": text, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False), "plain": tok.decode(ids, skip_special_tokens=True)}
        cases.append({k: v for k, v in case.items() if v is not None})
    write(folder / "cases.json", cases)


def tokenizers():
    for name, tok in spaced_kinds():
        save(name, tok)
    for name, normalizer, pre_tokenizer, ignore_merges in kinds():
        tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
        if normalizer:
            tok.normalizer = normalizer
        tok.pre_tokenizer = pre_tokenizer
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
        tok.train_from_iterator(CORPUS, trainer)
        tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<|user|>", "<|bot|>", "<|end|>")])
        tok.add_tokens([
            AddedToken("<mask>", lstrip=True, rstrip=False, normalized=False),
            AddedToken("boat", single_word=True, normalized=False),
        ])
        save(name, tok)


TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
              "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
              "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "headers": "{%- set ns = namespace(system='') -%}\n{%- for m in messages if m.role == 'system' -%}\n    {%- set ns.system = ns.system + m.content | trim + '\n' -%}\n{%- endfor -%}\n"
               "{{- bos_token }}\n{%- if ns.system %}\n    {{- '<h>system</h>' + ns.system }}\n{%- endif %}\n"
               "{%- for message in messages %}\n    {%- if message['role'] in ['user', 'assistant'] %}\n        {{- '<h>' + message['role'] + '</h>\n\n' + message['content'] | trim + eos_token }}\n    {%- endif %}\n{%- endfor %}\n"
               "{%- if add_generation_prompt %}\n    {{- '<h>assistant</h>\n\n' }}\n{%- endif %}\n",
    "turns": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0]['content'] ~ '\n\n' %}{% else %}{% set rest = messages %}{% set first = '' %}{% endif %}"
             "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns have to alternate: ' + m['role'] + ' at ' + loop.index0 | string) }}{% endif %}"
             "{% if m['role'] == 'user' %}[Q] {{ (first if loop.index0 == 0 else '') + m['content'] | trim }} [/Q]{% elif m['role'] == 'assistant' %} {{ m['content'].strip() }}{{ eos_token }}{% endif %}{% endfor %}",
    "marked": "{% for m in messages %}\n    {% if m.role == 'assistant' %}\n<a>{% generation %}{{ m.content }}</a>{% endgeneration %}\n    {% else %}\n<q r=\"{{ m.role | upper }}\">{{ m.content }}</q>\n    {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}<a>{% endif %}",
    "values": "{{ messages | length }} {{ messages | map(attribute='role') | join(',') }} {{ {'a': [1, 2.5, true, none], 'b': 'é<>&\"'} | tojson }} {{ [1, 2] | tojson(indent=2) }}"
              "{% if tools is defined and tools %}tools{% elif tools is not none %} none{% endif %} {{ messages[-1].content.split(' ')[0] | lower | replace('the', 'a') }} {{ 'x' * 3 }}"
              "{%- macro say(what, how='!') -%}{{ what }}{{ how }}{%- endmacro %} {{ say('hi') }} {{ say('ho', how='?') }} {% filter upper %}loud{% endfilter %} {{ messages[0].name | default('nobody', true) }} {{ 1 if messages is iterable and messages is not mapping else 0 }}",
    "conditions": "{{ 'one' if messages | length == 1 else 'two' if messages | length == 2 else 'more' }} {{ ('' if add_generation_prompt else 'no ') + 'prompt' }}"
                  "{% set who = 'nobody' if messages[0].role == 'system' else messages[0].role %} {{ who }}{{ ' (long)' if messages | length > 3 }} {{ [0 if true else 1, 2][0] }}"
                  " {{ {'k': ('a' if false else 'b'), 'if': 'else'}['k' if true else 'if'] }} {{ 'x if y else z' }} {{ (messages[9].content if messages | length > 9 else 'short') }}"
                  "{% for m in messages if m.role == 'user' %}<{{ (m.content | trim if m.content else '-') }}>{% endfor %}{# a comment } with if #}"
                  "{%- macro two(a, b=('p' if true else 'q')) -%}{{ a }}{{ b }}{%- endmacro %} {{ two('o' if false else 'n', b='r' if true else 's') }} {{ two('m') }}",
    "spaces": "  {% if true %}  \na {{ 1 }} {% if true %} b {% endif %} c\n  {% if true %}\n    d {% endif %}\n\n  {#- a comment -#}  e\n\t{%- if true +%}\nf{% endif %} \n  {%+ if true %}g\n{% endif %}{# #}\n  h {# x #}\n{{ 2 }}\n  {{- 3 -}}\n i{% endif %}\n",
    "ends": "{{ messages[-1].role }} {{ messages[ -1 ]['content'][-1] }} {{ 'abc'[-2] }} {{ ('x y z'.split(' '))[-3] }} {{ [-1, 2][0] }} {{ [[1, -1], [3, 4]][-2][-1] }} {{ messages[:-1] | length }} {{ 'a,b'.split(',')[-1] }}"
            "{% if messages[-1].role == 'user' %} q{% endif %}{% for m in messages[-1:] %} {{ m.role }}{% endfor %}",
    "thinking": "{%- set ns = namespace(last=-1, open=true) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages | length - 1) - loop.index0 %}\n"
                "    {%- if ns.open and message.role == 'user' and message.content is string and not (message.content.startswith('<t>') and message.content.endswith('</t>')) %}\n"
                "        {%- set ns.open = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n"
                "{%- for message in messages %}\n    {%- set content = message.content if message.content is string else '' %}\n    {%- if message.role == 'assistant' %}\n        {%- set thought = '' %}\n"
                "        {%- if '</t>' in content %}\n            {%- set thought = content.split('</t>')[0].rstrip('\\n').split('<t>')[-1].lstrip('\\n') %}\n            {%- set content = content.split('</t>')[-1].lstrip('\\n') %}\n        {%- endif %}\n"
                "        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}\n            {{- '<a>' + '<t>' + thought.strip('\\n') + '</t>' + content }}\n        {%- else %}\n            {{- '<a>' + content }}\n        {%- endif %}\n"
                "    {%- elif loop.first or messages[loop.index0 - 1].role != message.role %}\n        {{- '<' + message.role + '>' + content }}\n    {%- endif %}\n    {{- '</e>\\n' }}\n{%- endfor %}\n"
                "{%- if add_generation_prompt %}\n    {{- '<a>' }}\n    {%- if thinking is defined and thinking is false %}\n        {{- '<t></t>' }}\n    {%- endif %}\n{%- endif %}\n",
}

TALKS = {
    "thought": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "<t>\nlet me see\n</t>\n\nBecause."}],
    "question": [{"role": "user", "content": " The ferry?\n"}],
    "answered": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": " At pier 4. "}],
    "system": [{"role": "system", "content": "Answer in a word. "}, {"role": "user", "content": "{{ messages }} {% if %}"}],
    "long": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"}, {"role": "assistant", "content": "four"},
    ],
    "odd": [{"role": "assistant", "content": "I begin"}, {"role": "assistant", "content": "and go on"}],
}


def templates():
    def raise_exception(message):
        raise ValueError(message)

    from jinja2 import nodes
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

        def _same(self, caller):
            return caller()

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = raise_exception
    out = []
    for name, source in TEMPLATES.items():
        template = env.from_string(source)
        for talk, messages in TALKS.items():
            for prompt in (False, True):
                case = {"template": name, "source": source, "talk": talk, "messages": messages, "add_generation_prompt": prompt}
                try:
                    case["rendered"] = template.render(messages=messages, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>", tools=None)
                except ValueError as e:
                    case["refused"] = str(e)
                out.append(case)
    write(OUT / "templates.json", out)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


OUT.mkdir(exist_ok=True)
tokenizers()
templates()
