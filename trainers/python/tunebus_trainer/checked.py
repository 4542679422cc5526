"""Importing this ends the program with a sentence where its Python or its packages do not do."""

import sys

from . import needs

_lacking = needs.lacks(sys.argv[sys.argv.index("--engine") + 1] if "--engine" in sys.argv[:-1] else "trl")
if _lacking:
    sys.stderr.write(_lacking + "\n")
    sys.exit(78 if "--job" in sys.argv else 1)  # no attempt could work here
