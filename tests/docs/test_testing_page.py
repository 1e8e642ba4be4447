"""The tests by one line of the page on testing, run on the application of the quick start."""

from __future__ import annotations

from docs._ext.examples import module

module("quickstart.rst", 0, "shop")
# Its fixtures and tests become ours, and pytest collects them.
globals().update(module("testing.rst", 0, "test_account"))
