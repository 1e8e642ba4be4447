"""Every Python example of the pages runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .conftest import sphinx

if TYPE_CHECKING:
    from .conftest import Page

#: Pages whose examples are tests themselves, see test_stores_page and test_testing_page.
COLLECTED = {"stores.rst", "testing.rst"}


def test_examples(tmp_path: Path, sources: dict[str, str]) -> None:
    """Each example does what its page says, most of them against a local tenant."""
    done = sphinx("doctest", tmp_path)
    report = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert done.returncode == 0, report + done.stderr
    ran = re.search(r"^ +(\d+) tests$", report, re.MULTILINE)
    assert ran
    written = sum(source.count("\n.. testcode::") for source in sources.values())
    assert int(ran[1]) >= written > 30


def test_every_python_example_is_one_that_runs(sources: dict[str, str]) -> None:
    """Python stands in `testcode` blocks alone; other blocks name another language."""
    for page, source in sources.items():
        languages = set(re.findall(r"^ *\.\. code-block:: *(\S*)", source, re.MULTILINE))
        assert languages <= {"console", "html", "javascript", "nginx"}, page
        assert "literalinclude::" not in source, page


def test_every_example_is_checked(sources: dict[str, str]) -> None:
    """After a visible example comes a hidden one that uses it, or the output that it has."""
    block = re.compile(r"^\.\. test(code|output)::(.*)\n( +:hide:)?", re.MULTILINE)
    for page in sources.keys() - COLLECTED:
        last = {
            group: kind == "output" or hidden
            for kind, group, hidden in block.findall(sources[page])
        }
        assert all(last.values()), page


def test_examples_are_shown(pages: dict[str, Page]) -> None:
    """What a reader sees is the example, and not what checks it."""
    text = pages["index.html"].text
    assert "pkce.init_app(app, url_prefix=" in text
    assert "newcomer" not in text
