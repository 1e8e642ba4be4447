"""Addresses that stay on our origin, whoever reads them."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from flask_pkce.protocol.addresses import is_local_path


def _as_a_browser(path: str) -> str:
    """The target as browsers read it: they drop tabs and line breaks, and turn backslashes."""
    return "".join(char for char in path if char not in "\t\r\n").strip().replace("\\", "/")


@given(st.text("/\\.%2fF5cCeE?#:@a\t\n ", max_size=24))
@example("/%2f/evil")
def test_a_local_path_stays(path: str) -> None:
    """What is taken for local stays on the origin, decoded or not, however it is joined."""
    if not is_local_path(path):
        return
    for read in (path, unquote(path.partition("?")[0].partition("#")[0])):
        target = urljoin("https://app.example/pkce/response/code", _as_a_browser(read))
        assert urlsplit(target).netloc == "app.example"
        assert not urlsplit(target).path.startswith("//")
