"""Addresses that stay on our origin, whoever reads them."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from flask import Request
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from flask_pkce.protocol.urls import is_local_path, origin_of, parse_address
from flask_pkce.web.urls import PublicURLs
from tests.properties.browsers import Destination, resolve
from tests.properties.documents import ANY_TEXT

OURS = "https://app.example"
BASE = Destination("https", "app.example", "/pkce/response/code")

#: What leads astray, in pieces.
PIECES = st.sampled_from(
    [
        "/", "\\", ".", "..", "%2e", "%2E.", "%2f", "%5C", "%252f", "%00", "%09", "\t", "\n", "\r",
        " ", "\0", "\x1f", "\x7f", "\u2028", "\u2215", "\uff0f", "?", "#", ":", "@", ";",
        "evil.example", "https:", "javascript:", "http", "a", "b=c", "//", "[::1]", "é",
    ]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=8).map("".join).flatmap(
    lambda path: st.sampled_from([path, f"/{path}", f"/a{path}"])
)  # fmt: skip
HARMLESS = st.from_regex(r"(/[A-Za-z0-9_~\-]{1,9}){1,5}/?(\?[a-z0-9=&%]{0,9})?", fullmatch=True)


@pytest.mark.parametrize(
    ("reference", "host", "path"),
    [
        ("/a/b?c#d", "app.example", "/a/b"),
        ("//evil.example/x", "evil.example", "/x"),
        ("/\\evil.example", "evil.example", "/"),
        ("/\t/evil.example", "evil.example", "/"),
        (" \n//evil.example", "evil.example", "/"),
        ("https:evil.example", "app.example", "/pkce/response/evil.example"),
        ("https:///evil.example", "evil.example", "/"),
        ("http:evil.example", "evil.example", "/"),
        ("https://app.example@evil.example", "evil.example", "/"),
        ("javascript:alert(1)", "", "alert(1)"),
        ("/a/../..//b", "app.example", "//b"),
        ("/%2e%2E/a/.", "app.example", "/a/"),
        ("", "app.example", "/pkce/response/code"),
    ],
)
def test_the_browser_of_the_tests(reference: str, host: str, path: str) -> None:
    """The reader that judges here goes where browsers go."""
    destination = resolve(reference, BASE)
    assert (destination.host, destination.path) == (host, path)


@pytest.mark.requirement("BC-1", "N46", "T10")
@given(PATHS | ANY_TEXT.map(lambda text: f"/{text}"))
@example("/%2f/evil")
@example("/a/..//evil")
def test_a_local_path_stays(path: str) -> None:
    """What is taken for local stays on the origin, decoded or not, however often it is read
    (N42 to N47)."""
    if not is_local_path(path):
        return
    for read in (path, unquote(path), unquote(path.partition("?")[0].partition("#")[0])):
        destination = resolve(read, BASE)
        assert (destination.scheme, destination.host) == ("https", "app.example")
        assert not destination.path.startswith("//")
        again = resolve(destination.path, BASE)
        assert again.host == "app.example"
        joined = urlsplit(urljoin(f"{OURS}{BASE.path}", read))
        assert (joined.scheme, joined.netloc) == ("https", "app.example")
        assert not joined.path.startswith("//")


@given(HARMLESS)
def test_harmless_paths_are_local(path: str) -> None:
    """Nobody has to do without the usual paths."""
    assert is_local_path(path)


@given(PATHS, st.sampled_from(["", "/base", "/base/deep"]))
def test_destinations_stay(path: str, base: str) -> None:
    """Where a browser is sent to a local path, it stays, below whatever prefix we are."""
    if not is_local_path(path):
        return
    for host, public_url in (("localhost", None), ("app.example", f"{OURS}{base}")):
        request = Request(EnvironBuilder(base_url=f"https://{host}{base}").get_environ())
        here = Destination("https", host, BASE.path)
        site = PublicURLs(name="pkce", public_url=public_url, prefix="/auth")
        for location in (site.destination(path, request), site.address(path, request)):
            destination = resolve(location, here)
            assert (destination.scheme, destination.host) == ("https", host)
            assert not destination.path.startswith("//")
            assert destination.path.startswith(base)


@given(
    PATHS.map(lambda path: f"https:{path}") | PATHS.map(lambda path: f"https://app.example{path}")
)
def test_an_address_is_read_as_browsers_read_it(text: str) -> None:
    """An address that is taken leads a browser to the origin that we read in it."""
    try:
        parts = parse_address(text)
    except ValueError:
        return
    destination = resolve(text, Destination("https", "other.example", "/"))
    host = destination.host.removesuffix(":").removesuffix(":443")
    assert f"{destination.scheme}://{host}" == origin_of(parts)
