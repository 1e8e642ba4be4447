"""Reads a page as strictly as XHTML was read."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "img", "input", "br"})


class Page(HTMLParser):
    """A page, whose elements must be closed in the order in which they were opened.

    :raises AssertionError: if it is malformed, or gives an ``id`` twice.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        #: Each element's name and attributes, in order.
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        assert html.startswith("<!doctype html>\n")
        self.feed(html)
        self.close()
        assert not self._open
        ids = self.values("id")
        assert len(ids) == len(set(ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of {tag} is given twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        """Every value of that attribute."""
        return [found[attribute] for _, found in self.elements if attribute in found]
