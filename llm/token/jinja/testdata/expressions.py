"""Writes expressions.json: statements and expressions of Jinja, and what they
come to in the environment in which transformers renders chat templates.

    pip install transformers==5.24.0 jinja2==3.1.6 numpy
    python expressions.py
"""

import json
import pathlib

import transformers.utils.chat_template_utils as chat

VARIABLES = {
    "s": "The Ferry leaves at nine",
    "padded": "  \t two words \n",
    "multi": "one\ntwo\n\nthree\n",
    "uni": "Fähre ßharp ΑΣ ǆ 港に船 🚢 Ⅷ ² İ",
    "quotes": "it's \"so\" \\ \n\t\u0001\u00a0é",
    "n": 7,
    "neg": -7,
    "f": 2.5,
    "big": 12345678901234567,
    "yes": True,
    "no": False,
    "none_": None,
    "empty": "",
    "xs": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple", "Banana"],
    "mixed": [1, 2.0, "three", None, True, [4, {"five": 6}]],
    "d": {"zebra": 1, "apple": "two", "Mango": [3, None], "items": "hidden"},
    "people": [
        {"name": "Brandt", "age": 61, "boat": {"name": "Elsa", "kind": "cutter"}},
        {"name": "anna", "age": 34, "boat": {"name": "Möwe", "kind": "ferry"}},
        {"name": "Cleo", "age": 61, "boat": None},
        {"name": "Dirk", "age": 9},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": [], "m": {}}}}],
    "html": "<b>&'\"</b>",
}

EXPRESSIONS = r"""
none_
yes
no
n
f
big
1.0
1e16
1e15
123456789012345680.0
1e-5
0.0001
1.5e300
0.1 + 0.2
-0.0
1_000
0x1F
0b101
0o17
00
1.e if false
[1, 2.0, 'x', none, true, [], {}]
(1,)
()
(1, 'a')
{'a': 1, 2: [3], none: true, 1.5: 'x'}
{'k': "it's"}
['it\'s "both"', "it's", 'say "x"', 'back\\slash', 'tab\t', 'é', '\x01', '\u200b', '\xa0']
quotes
[quotes]
[uni]
mixed
d
people
missing
[missing]
missing.x
missing['x']
d.missing
d.missing.deeper
d['items']
d.items
d.zebra
d['apple']
d.get('zebra')
d.get('nope')
d.get('nope', 'dflt')
d.items() | list
d.keys()
d.values()
d.items()
d.keys() | list
d.copy()
d.pop('zebra')
xs.append(4)
xs.append
xs.index(1)
xs.index(9)
xs.count(1)
xs.copy()
xs[0]
xs[-1]
xs[-4]
xs[9]
xs[0:2]
xs[::-1]
xs[1:]
xs[:-1]
xs[-2:]
xs[::2]
xs[5:]
xs['a']
xs.0
xs[true]
(1, 2, 3)[1:]
s[0]
s[-1]
s[4:9]
s[::-1]
s[::3]
s[100:]
uni[0:7]
uni[1]
uni[-1]
uni[::-1]
uni | length
none_[0]
none_[1:]
n[0]
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
7 / 2
8 / 2
2 ** 10
2 ** -1
2 ** 0.5
-2 ** 2
2 ** 3 ** 2
1 / 0
1 // 0
1 % 0
n + f
n - 10
n * f
yes + 1
-yes
+f
not n
'a' + 'b'
'a' + 1
'ab' * 3
3 * 'ab'
[1] + [2]
[0] * 3
(1,) + (2,)
'a' * -1
'x' ~ 1 ~ none ~ true ~ 1.5 ~ [1]
s ~ missing
1 + 2 ~ 3 + 4
1 == 1.0
1 == true
'a' == 'a'
[1, 2] == [1.0, 2]
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
none_ == missing
missing == other
'1' == 1
1 < 2 < 3
1 < 3 < 2
1 < 2 > 1
'a' < 'b'
'B' < 'a'
[1, 2] < [1, 3]
(1, 2) < (1, 2, 0)
1 < 'a'
none_ < 1
missing < 1
3 in xs
4 not in xs
'Ferry' in s
1 in s
'zebra' in d
'x' in missing
2.0 in xs
none_ in mixed
'a' in 'abc' in ['abc']
n in none_
yes and n
no or 'x'
n and none_ or 'z'
empty or missing or 'last'
not empty and not none_
'a' if yes else 'b'
'a' if no
('a' if no) is defined
'a' if no else 'b' if no else 'c'
[1 if yes else 2, 3]
n is defined
missing is defined
missing is undefined
d.nope is defined
none_ is none
none_ is not none
none_ is defined
n is number
yes is number
yes is integer
n is integer
f is float
s is string
n is string
xs is sequence
s is sequence
d is sequence
missing is sequence
d is mapping
xs is mapping
xs is iterable
n is iterable
s is iterable
missing is iterable
range is callable
n is callable
missing is callable
yes is true
1 is true
no is false
yes is boolean
n is odd
n is even
n is divisibleby 7
n is divisibleby(2)
n is eq 7
n is gt 3
n is in [1, 7]
n is not in [1, 7]
s is lower
'abc' is lower
'ABC' is upper
none_ is sameas none
yes is sameas true
1 is sameas true
xs is sameas xs
'upper' is filter
'nope' is filter
'odd' is test
n is odd and f is float or no
s is escaped
f is odd
s.upper()
s.lower()
uni.upper()
uni.lower()
uni.title()
uni.capitalize()
uni.swapcase()
uni.casefold()
'ὈΔΥΣΣΕΎΣ ΣΑΣ'.lower()
'ὈΔΥΣΣΕΎΣ ΣΑΣ.'.title()
"they're bill's o'neil 3rd x2y".title()
s.title()
'hELLO wORLD'.capitalize()
'aBc1'.swapcase()
padded.strip()
padded.lstrip() ~ '|'
padded.rstrip() ~ '|'
'xxhixx'.strip('x')
'xyhiyx'.strip('xy')
'xyhiyx'.lstrip('xy')
'xyhiyx'.rstrip('xy')
'abc'.strip('')
'\x1c\x1fa\x85\u3000'.strip() ~ '|'
s.split()
padded.split()
s.split(' ')
s.split(' ', 1)
s.split(' ', maxsplit=2)
s.split(maxsplit=1)
s.split(none, 2)
' a b  c '.split(none, 1)
' a b  c '.split(' ')
'a,b,,c'.split(',')
'a,b,,c'.split(',', 0)
'a--b--c'.split('--', 1)[-1]
''.split()
''.split(',')
'abc'.split('')
'a b c'.rsplit(' ', 1)
' a b  c '.rsplit(none, 1)
'a,b,c'.rsplit(',')
'a,b,c'.rsplit(',', 1)
multi.splitlines()
multi.splitlines(true)
'a\r\nb\x0bc\u2028d'.splitlines()
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('=')
'abc'.rpartition('=')
'a-b-c'.replace('-', '+')
'a-b-c'.replace('-', '+', 1)
'abc'.replace('', '.')
'abc'.replace('', '.', 2)
'abc'.replace('b', 1)
'abc'.startswith('a')
'abc'.startswith(('x', 'a'))
'abc'.startswith('b', 1)
'abc'.startswith('', 4)
'abc'.startswith(['a'])
'abc'.endswith(('c', 'd'))
'abc'.endswith('b', 0, 2)
'abcabc'.find('c')
'abcabc'.find('c', 3)
'abcabc'.find('z')
'abcabc'.rfind('b')
'abcabc'.index('b')
'abcabc'.index('z')
uni.find('港')
'abcabc'.count('bc')
'abc'.count('')
'aaa'.count('a', 1)
', '.join(words)
''.join(['a', 1])
'-'.join('abc')
'-'.join(xs | map('string'))
'ab'.center(7, '*')
'abc'.center(6) ~ '|'
'ab'.ljust(4) ~ '|'
'ab'.rjust(4, '0')
'-42'.zfill(6)
'42'.zfill(1)
'a\tbc\td'.expandtabs(4)
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
'abc'.isalpha() ~ 'ab1'.isalnum() ~ '12'.isdigit() ~ '²'.isdigit() ~ '²'.isdecimal() ~ 'Ⅷ'.isnumeric() ~ '四'.isnumeric() ~ ''.isalpha()
'abc'.islower() ~ 'ABC1'.isupper() ~ 'Ab Cd'.istitle() ~ ' \t'.isspace() ~ 'abc'.isascii() ~ 'é'.isascii() ~ 'a_1'.isidentifier() ~ 'a\n'.isprintable()
'abc'.encode('utf-8')
'abc'.nope
'abc'.nope()
'abc'.__class__
'abc'.__class__.__mro__
'%s and %s' % ('a', 1)
'%s' % 'a'
'%s' % xs
'%s %s' % ('a',)
'%s' % ('a', 'b')
'no args' % 'a'
'%d|%5d|%-5d|%05d|%+d|% d' % (1, 2, 3, 4, 5, 6)
'%x %X %o %#x' % (255, 255, 8, 255)
'%.2f|%8.3f|%e|%g|%G' % (3.14159, 2.5, 12345.678, 0.00001, 1e20)
'%g %g %g' % (100000, 1000000, 1.50)
'%r %s %r' % ('a', none, 'it\'s')
'%(a)s-%(b)d' % {'a': 'x', 'b': 3}
'%(a)s' % {'b': 1}
'%5s|%-5s|%.2s' % ('ab', 'cd', 'efgh')
'%c%c' % (65, 'b')
'%d%%' % 50
'%d' % 3.9
'%d' % 'x'
'%*d' % (5, 42)
'%s' % none
'%s' % missing
'%i' % true
'%' % 1
'%y' % 1
'{} {}'.format(1, 'b')
'{0}{1}{0}'.format('a', 'b')
'{x} {y!r}'.format(x=1, y='q')
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:,} {:+d} {:x} {:b}'.format(42, 1234567, 5, 255, 5)
'{:.2f} {:8.3f} {:e} {:.1%}'.format(3.14159, 2.5, 1234.5, 0.256)
'{0[a]} {1.name}'.format({'a': 1}, people[0])
'{{}} {}'.format(1)
'{:{w}}'.format('a', w=4) ~ '|'
'{}'.format()
'{'.format(1)
'{:.3}'.format('abcdef')
'{} {} {}'.format(none, true, [1, 'a'])
s | upper
s | lower
s | title
"o'neil mc-donald (x) [y] {z} <w>" | title
'hELLO' | capitalize
padded | trim
'xxaxx' | trim('x')
s | replace('e', 'E')
s | replace('e', 'E', 2)
n | replace(7, 8)
s | length
xs | length
d | count
n | length
missing | length
xs | first
xs | last
[] | first
[] | last
'abc' | first
'abc' | last
xs | reverse | list
'abc' | reverse
xs | sort
words | sort
words | sort(case_sensitive=true)
words | sort(reverse=true)
people | sort(attribute='age') | map(attribute='name') | join(',')
people | sort(attribute='age,name') | map(attribute='name') | join(',')
people | sort(attribute='age', reverse=true) | map(attribute='name') | join(',')
mixed | sort
d | dictsort
{'b': 1, 'A': 2, 'c': 0} | dictsort(true)
{'b': 1, 'A': 2, 'c': 0} | dictsort(by='value')
{'b': 1, 'A': 2} | dictsort(reverse=true)
xs | join
xs | join(', ')
people | join(', ', attribute='name')
[1, none, true, missing] | join('|')
xs | sum
people | sum(attribute='age')
[[1], [2]] | sum(start=[])
[1, 'a'] | sum
xs | min
xs | max
words | min
words | max(case_sensitive=true)
people | max(attribute='age')
[] | max
words | unique | list
words | unique(case_sensitive=true) | list
people | unique(attribute='age') | map(attribute='name') | list
xs | map('string') | list
words | map('upper') | join(' ')
words | map('replace', 'a', '4') | list
people | map(attribute='boat.name') | list
people | map(attribute='boat.name', default='none') | list
people | map(attribute='boat') | list
people | map('length') | list
xs | map
[1, 2, 3, 4] | select('odd') | list
[1, 2, 3, 4] | select('gt', 2) | list
[0, 1, '', 'a', none] | select | list
[0, 1, '', 'a', none] | reject | list
[1, 2, 3] | reject('odd') | list
people | selectattr('boat') | map(attribute='name') | list
people | selectattr('age', 'equalto', 61) | map(attribute='name') | list
people | rejectattr('boat.kind', 'defined') | map(attribute='name') | list
people | selectattr('name', 'in', ['anna', 'Cleo']) | list | length
people | groupby('age') | map('first') | list
people | groupby('age') | map(attribute='grouper') | list
people | groupby('age') | map(attribute='list') | map('length') | list
['b', 'B', 'a'] | groupby('0') | list
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3, 4, 5] | batch(2, 'x') | list
[1, 2, 3, 4, 5] | slice(3) | list
[1, 2, 3, 4, 5] | slice(3, 'x') | list
missing | default('x')
none_ | default('x')
none_ | default('x', true)
'' | d('y', boolean=true)
missing | default
d.missing | default(d.zebra)
missing.x | default('z')
'42' | int
'42.7' | int
'x' | int
'x' | int(-1)
'0x1A' | int(base=16)
'1_000' | int
' 12 ' | int
f | int
none_ | int
yes | int
missing | int
'1.5' | float
'x' | float
'x' | float(2)
'1e3' | float
'inf' | float
n | float
n | string ~ 'x'
xs | string
missing | string
-3 | abs
(-3) | abs
neg | abs
f | round
3.5 | round
2.675 | round(2)
2.71828 | round(2)
2.1 | round(0, 'ceil')
2.19 | round(1, 'floor')
n | round
1234.5 | round(-2)
multi | indent
multi | indent(2)
multi | indent(2, true)
multi | indent('> ', blank=true)
multi | indent(width=2, first=true)
s | truncate(10)
s | truncate(10, true)
s | truncate(10, false, '')
s | truncate(20, leeway=9)
s | wordcount
'a b' | center(9) ~ '|'
'a b&c/d?é' | urlencode
{'a b': 'c&d', 'e': 1} | urlencode
html | e
html | escape
html | safe
html | e | e
html | forceescape
html | safe ~ '<'
'%s-%s' | format('a', 1)
'%(x)s' | format(x=2)
'abc' | list
d | list
d | items | list
missing | items | list
n | items
people[0] | attr('name')
'x' | attr('upper')
d | tojson
mixed | tojson
tools | tojson
tools | tojson(indent=2)
tools | tojson(indent=4)
{} | tojson(indent=2)
{'b': [1, {'x': none}], 'a': 'é<>&\'"/\u2028'} | tojson
{'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true)
{'a': [1, 2]} | tojson(separators=(',', ':'))
{'a': [1, 2]} | tojson(separators=(',', ':'), indent=1)
{'a': [1, 2]} | tojson(indent='\t')
'é🚢\x7f' | tojson(ensure_ascii=true)
'é🚢\x7f' | tojson
{1: 2, none: 3, true: 4, 1.5: 5} | tojson
(1, 2) | tojson
[1.0, 1e16, 0.1, 1e-7] | tojson
missing | tojson
[missing] | tojson
d.keys() | tojson
s | tojson | length
quotes | tojson
none_ | tojson
yes | tojson
range(3) | list
range(3)
range(2, 10, 3) | list
range(5, 0, -2) | list
range(0) | list
range(1000000)
range('a')
range(3)[1]
dict(a=1, b='x')
dict([('a', 1), ('b', 2)])
dict({'x': 1}, y=2)
namespace(a=1).a
namespace(a=1)
namespace({'x': 2}).x
namespace(_a=1)
namespace(a=1).b
raise_exception('the roles are wrong')
raise_exception()
strftime_now is defined
strftime_now('%%')
messages is defined
loop is defined
lipsum is defined
cycler('a', 'b').next()
joiner(', ')()
n()
none_()
xs | nofilter
n is notest
'a' 'b' "c"
"dq \" esc \n nl"
'sq \' esc \\ back \/ slash \d'
'\x41\u00e9\U0001F6A2\101\0'
'a\
b'
'{{ not a tag }} {% nor this %}'
'é\é'
"}}"
'%}'
{'a': {'b': {'c': 1}}}.a.b.c
{'a': [1, {'b': 2}]}['a'][1]['b']
[[1, 2], [3, 4]][1][0]
{('a', 1): 'tuple key'}[('a', 1)]
{[1]: 2}
{'a': 1, 'a': 2}
(1, 2) | first
((1 + 2) * 3)
1 + 2 * 3 - 4 / 2
not true or true
- 3 + 5
1 if 0 else 2 if 0 else 3
s.split(' ')[0].lower().replace('t', 'T') | length
(s | upper).split(' ') | first
[s, uni] | map('length') | sum
words | map('lower') | unique | sort | join(',')
'a' in words
d.items() | map('first') | list
d | dictsort | map('last') | list
people | map(attribute='name') | map('lower') | select('in', ['anna']) | list
people | map(attribute='missing') | list
people | map(attribute='name') | first
'abc' | map('upper') | list
(xs | map('string')) ~ ''
xs | map('upper') | first
'x' * 100000000000
9223372036854775807 + 1
2 ** 64
99999999999999999999
'1' * 30 | int
1,2
1 +
(1
foo bar
1 | 2
a b
s..x
s[
s[]
{'a'}
*xs
f(
x if
xs | join(d=', ')
xs | join(sep=', ')
s.split(sep=' ')
s.nope(1)
s | upper(1)
s.upper(1)
dict(**{'k': 1})
dict(*[[['k', 1]]])
'%s%s' % ([1, 2])
'a' if missing else 'b'
missing or none_
missing + 1
-missing
missing()
missing[0]
missing ~ 'x'
missing * 2
missing in xs
xs in missing
true == True
none == None
True and False or None
""".strip("\n").split("\n")

STATEMENTS = [
    "{% for x in xs %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in xs %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }} {% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in xs %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in [] %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in missing %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in none_ %}{{ x }}{% endfor %}",
    "{% for x in n %}{{ x }}{% endfor %}",
    "{% for c in 'añ🚢' %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }} {% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a, b in xs %}{{ a }}{% endfor %}",
    "{% for p in people if p.age > 20 %}{{ loop.index }}{{ p.name }}{{ loop.length }} {% else %}no{% endfor %}",
    "{% for p in people if p.age > 200 %}{{ p.name }}{% else %}no{% endfor %}",
    "{% for p in people | selectattr('age', 'gt', 20) %}{{ loop.last }}{{ loop.revindex }} {% endfor %}",
    "{% for x in xs | map('string') %}{{ loop.length }}{{ x }}{{ loop.nextitem }} {% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}never{% endfor %}",
    "{% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in xs %}{% set outer = loop %}{% for y in xs %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% set x = 0 %}{% for i in xs %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for i in xs %}{% set ns.x = ns.x + i %}{{ ns.x }} {% endfor %}{{ ns.x }}",
    "{% set ns = namespace(found=false, last=none) %}{% for p in people %}{% if p.age == 34 %}{% set ns.found = true %}{% set ns.last = p %}{% endif %}{% endfor %}{{ ns.found }} {{ ns.last.name }}",
    "{% for i in xs %}{{ y }}{% set y = i %}{{ y }} {% endfor %}{{ y }}",
    "{% if no %}{% set q = 1 %}{% endif %}{{ q is defined }}",
    "{% if yes %}{% set q = 1 %}{% endif %}{{ q }}",
    "{% if no %}{% set n = 1 %}{% endif %}{{ n }}",
    "{% set n = n + 1 %}{{ n }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = xs %}{{ a }}",
    "{% set t = 1, 2 %}{{ t }}",
    "{% set (a, b) = ('x', 'y') %}{{ b }}{{ a }}",
    "{% set d.x = 1 %}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set missing_ns.x = 1 %}",
    "{% set block %}a {{ n }} b{% endset %}[{{ block }}]{{ block | length }}",
    "{% set block | upper %}a {{ s }} b{% endset %}{{ block }}",
    "{% set block | upper | replace('A', '4') %}banana{% endset %}{{ block }}",
    "{% set ns = namespace() %}{% set ns.b %}text{% endset %}{{ ns.b }}",
    "{% set b %}{% set inner = 1 %}x{% endset %}{{ inner is defined }}{{ b }}",
    "{% filter upper %}a {{ s }} b{% endfilter %}",
    "{% filter trim | replace('a', 'b') %} banana {% endfilter %}|",
    "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{% set a = 5 %}{% with a = a + 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}",
    "{% macro m(a, b='x', c=none) %}[{{ a }}|{{ b }}|{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=1, a=2) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ m('x') }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}inside {{ n }}{% endcall %}",
    "{% macro m(x) %}<{{ caller(x, 2) }}>{% endmacro %}{% call(a, b=1) m(7) %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 'now' %}{{ m() }}",
    "{% macro m() %}{% set inside = 1 %}{% endmacro %}{{ m() }}{{ inside is defined }}",
    "{% for x in xs %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}",
    "{% macro m(a) %}x{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m }}",
    "{% macro m() %}  a  {% endmacro %}{{ m() | trim }}{{ m() | length }}",
    "{% for i in tree recursive %}{{ i.v }}{% if i.c %}({{ loop(i.c) }}){% endif %}{% endfor %}",
    "{% for i in tree recursive %}{{ loop.depth }}{{ loop.depth0 }}:{{ i.v }} {{ loop(i.c) }}{% endfor %}",
    "{% for i in xs %}{{ loop(xs) }}{% endfor %}",
    "{% if n > 5 %}big{% elif n > 2 %}mid{% else %}small{% endif %}",
    "{% if no %}a{% elif no %}b{% elif yes %}c{% else %}d{% endif %}",
    "{% if n %}{% if f %}both{% endif %}{% endif %}",
    "{% if 'x' is filter %}{{ s | x }}{% else %}no x{% endif %}",
    "{% if no %}{{ s | nofilter }}{% endif %}ok",
    "{% if no %}{{ n is notest }}{% endif %}ok",
    "{{ s | nofilter if no else 'ok' }}",
    "{# comment #}a{# multi\nline #}b",
    "{# a #}{#- b -#}  c {#- d #}",
    "{% raw %}{{ not }} {% rendered %}{% endraw %}",
    "a\n{% raw -%}\n  {{ x }}\n{%- endraw %}\nb",
    "a {%- raw %} x {% endraw -%} b",
    "  {% if yes %}\n  a\n  {% endif %}\n  b",
    "  {%+ if yes %}\n  a\n  {%+ endif %}\n  b",
    "  {%- if yes -%}\n  a\n  {%- endif -%}\n  b",
    "x  {%- if yes %} a {% endif -%}  y",
    "x {{- ' a ' -}} y",
    "x {{ 'a' }}\ny\n\n",
    "trailing\n",
    "trailing\n\n",
    "crlf\r\n{% if yes %}\r\na\r\n{% endif %}\r\nb",
    "\t{% if yes %}\n\t\t{{ n }}\n\t{% endif %}\n",
    "{% if yes +%}\na{% endif %}",
    "a {% if yes %} b {% endif %} c {% if yes %} d\n{% endif %}  e",
    "{% for x in xs %}\n  {{ x }}\n{% endfor %}\n",
    "{%for x in xs%}{{x}}{%endfor%}",
    "{{n}}{{ n}}{{n }}",
    "{{- n -}}",
    "{{ {'a': {'b': 1}} }}",
    "{{ {'a': 1}}}",
    "{% generation %}x {{ n }}{% endgeneration %}",
    "{% generation %}{% set g = 1 %}{{ g }}{% endgeneration %}{{ g is defined }}",
    "{% for x in xs %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% for x in xs %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% print n, s %}",
    "{% do xs.append(1) %}",
    "{% trans %}x{% endtrans %}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% block b %}x{% endblock %}",
    "{% autoescape true %}x{% endautoescape %}",
    "{% nonsense %}",
    "{% if yes %}",
    "{% endif %}",
    "{% for x in xs %}{% endif %}",
    "{% break %}",
    "{{ ",
    "{% if ",
    "{# never",
    "{% raw %}never",
    "{{ 'never }}",
    "{{ n }",
    "{ { n }}",
    "{{ n ) }}",
    "{{ (n }}",
    "{{ n ; }}",
    "{{ n ! }}",
    "{{ n $ }}",
    "{% set true = 1 %}",
    "{% set 1 = 2 %}",
    "{% for loop in xs %}{% endfor %}",
    "{% macro m(a, a) %}{% endmacro %}{{ m() }}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% call n %}{% endcall %}",
    "{% set x = xs | map('string') %}{{ x | join }}{{ x | join }}|",
    "{% set x = xs | select('odd') %}{{ x | list }}{{ x | list }}",
    "{% set ns = namespace(on=true) %}{% for x in xs if ns.on %}{{ x }}{% set ns.on = false %}{% endfor %}",
    "{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}",
    "{% set j = joiner('|') %}{% for x in xs %}{{ j() }}{{ x }}{% endfor %}",
    "{{ raise_exception('Roles must alternate: ' ~ n) }}",
    "{% if tools is defined and tools %}{{ tools | length }}{% endif %}",
    "{% set messages = people[1:] %}{% for m in messages %}{{ m['name'] }}{{ ' ' if not loop.last }}{% endfor %}",
    "{%- for p in people -%}\n    {%- if p.boat is defined and p.boat is not none -%}\n        {{ p.boat.name }}\n    {%- endif -%}\n{%- endfor -%}",
    "{% for p in people %}{% if loop.first %}<{% endif %}{{ p['name'] }}{% if loop.last %}>{% endif %}{% endfor %}",
    "{% set x = {'a': 1} %}{% set y = dict(x, b=2) %}{{ y }}{{ x }}",
    "{% set items = [] %}{% for x in xs %}{% set items = items + [x] %}{% endfor %}{{ items }}",
    "{% set ns = namespace(items=[]) %}{% for x in xs %}{% set ns.items = ns.items + [x] %}{% endfor %}{{ ns.items }}",
    "{% for x in range(3) %}{{ x }}{% endfor %}{% for x in range(n) if x is odd %}{{ x }}{% endfor %}",
    "{% for x in xs %}{{ loop }}{% endfor %}",
    "{% for x in 'ab' %}{% for y in 'cd' %}{{ x }}{{ y }}{{ loop.index0 * 2 }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{%- set ns = namespace(s='') -%}{%- for p in people -%}{%- set ns.s = ns.s + p.name | lower + ',' -%}{%- endfor -%}{{ ns.s }}",
    "{{ 'a' ~ 'b' | upper }} {{ ('a' ~ 'b') | upper }} {{ -1 | abs }} {{ 2 ** 2 | string }}",
    "{{ n is divisibleby 7 and s is string }}{{ not n is odd }}{{ n is not odd }}",
    "{{ xs | sort | first + 10 }}",
    "{{ people[0].name if people else 'x' }}{{ (people | last).name }}{{ people[-2:] | map(attribute='name') | join('+') }}",
    "{{ d['Mango'][0] }}{{ d.Mango[1] }}{{ d['zebra'] is defined }}{{ 'Mango' in d.keys() }}{{ ('zebra', 1) in d.items() }}{{ 1 in d.values() }}",
    "{% set a = b = 1 %}",
    "{{ s[:3] }}{{ s[-4:] }}{{ s[2:-2][::2] }}{{ xs[:1] + xs[-1:] }}",
    "{% if s.startswith('The') and not s.endswith(('x', 'y')) %}yes{% endif %}",
    "{{ (1, 2)[0] }}{{ [1, 2,][1] }}{{ {'a': 1,}['a'] }}{{ (1,)[0] }}",
    "{{ xs[1:][0] }}{{ xs[n] is defined }}{{ xs[0] is defined }}",
    "{% set x %}{% endset %}[{{ x }}]{% if x %}t{% else %}f{% endif %}",
    "{{ self }}",
    "{{ '\\N{BULLET}' }}",
    "{{ '\\ud83d' }}",
    "{{ '\\x4' }}",
    "{{ s | pprint }}",
    "{{ xs | random }}",
    "{{ lipsum() }}",
    "{{ s | wordwrap(5) }}",
    "{{ 'a'.translate({}) }}",
    "{{ html | e + '<' }}",
    "{{ (html | safe) | upper }}",
    "{{ (html | safe).upper() }}",
    "{{ loop.index }}",
    "{% for x in xs %}{{ loop.nothing }}{% endfor %}|",
    "{{ range }}",
    "{{ s.upper }}",
    "{{ n.real }}",
    "{{ f.is_integer() }}",
    "{{ dict.fromkeys(['a']) }}",
]


def main():
    cases = []
    sources = ["{{ " + e + " }}" for e in EXPRESSIONS] + STATEMENTS
    for source in sources:
        case = {"source": source}
        try:
            out = chat._compile_jinja_template(source).render(**VARIABLES)
            out.encode()
            if " at 0x" not in out and "lipsum" not in source and "random" not in source:
                case["rendered"] = out
            else:
                case["error"] = "an address or chance"
        except Exception as e:
            case["error"] = type(e).__name__
            if type(e).__name__ == "TemplateError":
                case["message"] = str(e)
        cases.append(case)
    out = {"variables": VARIABLES, "cases": cases}
    (pathlib.Path(__file__).parent / "expressions.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
    print(len(cases), "cases,", sum("error" in c for c in cases), "errors")


main()
