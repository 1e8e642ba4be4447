"""The documentation, built once."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"


def sphinx(builder: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a builder as `make docs` does; a warning is an error."""
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--builder", builder]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@dataclass
class Page(HTMLParser):
    """What a page of the built documentation has."""

    ids: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    #: What a browser loads with the page.
    loaded: set[str] = field(default_factory=set)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note identifiers and addresses."""
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(str(values["id"]))
        if tag == "a" and values.get("href"):
            self.links.add(str(values["href"]))
        for name in ("src", "href") if tag != "a" else ():
            if values.get(name):
                self.loaded.add(str(values[name]))

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += data


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The pages of the built documentation, by their paths."""
    folder = tmp_path_factory.mktemp("html")
    built = sphinx("html", folder)
    assert built.returncode == 0, built.stderr
    pages = {}
    for path in folder.rglob("*.html"):
        page = pages[path.relative_to(folder).as_posix()] = Page()
        page.feed(path.read_text(encoding="utf-8"))
    return pages


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The pages as they are written, by their names."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.rst"))}


@pytest.fixture(scope="session")
def prose(sources: dict[str, str]) -> dict[str, str]:
    """The pages without what is generated and without hidden checks: what somebody wrote."""
    hidden = re.compile(r"^\.\. test\w+::.*\n(?:   :hide:\n|)\n(?:   .*\n|\n)+", re.MULTILINE)
    return {
        name: hidden.sub(lambda match: "" if _is_hidden(match[0]) else match[0], source)
        for name, source in sources.items()
    }


def _is_hidden(block: str) -> bool:
    return ":hide:" in block or block.startswith(".. testsetup::")
