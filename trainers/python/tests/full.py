"""Which tests run only where the long run of the tests is asked for."""

from __future__ import annotations

import os
import unittest
from collections.abc import Callable
from typing import Any, TypeVar

FULL = bool(os.environ.get("TUNEBUS_TEST_FULL"))

Test = TypeVar("Test", bound=Callable[..., Any])


def full(test: Test) -> Test:
    """Marks a test, or a class of tests, that takes long: it runs with TUNEBUS_TEST_FULL=1.

    ``make test-trl FULL=1`` sets the variable.
    """
    return unittest.skipUnless(FULL, "make test-trl FULL=1 runs it")(test)
