"""The tests of the page on testing that go through the redirects, in process and by sockets."""

from __future__ import annotations

from docs._ext.examples import module

_shop = module("quickstart.rst", 0, "shop")
# Its fixtures and tests become ours, and pytest collects them.
globals().update(module("testing.rst", 1, "test_sign_in"))

_in_process = module("testing.rst", 2, "test_in_process")
_in_process["create_app"] = _shop["create_app"]

test_alice = _in_process["test_alice"]
