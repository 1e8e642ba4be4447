"""Addresses, and the paths that stay on our origin."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from flask_pkce.protocol.urls import (
    host_of,
    is_local_path,
    is_loopback_host,
    origin_of,
    parse_address,
    read_host,
)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_loopback(host: str) -> None:
    """The name and the literal addresses, with brackets or without, also those of IPv4 in IPv6."""
    assert is_loopback_host(host)


@pytest.mark.requirement("NA-4")
@pytest.mark.parametrize(
    "host",
    [
        "",
        "Xlocalhost",
        "localhost.example",
        "127.0.0.1.example",
        "10.0.0.1",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
        "2130706433",
    ],
)
def test_not_loopback(host: str) -> None:
    """Anything that only looks like it is none."""
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://Example.COM:443/a?b=c", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://localhost:3000/x", "http://localhost:3000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        ("https://[64:ff9b::192.0.2.1]/", "https://[64:ff9b::192.0.2.1]"),
        ("https://example.com:/", "https://example.com"),
        ("https://" + "a" * 63 + ".com", "https://" + "a" * 63 + ".com"),
        ("https://a/" + "x" * 2038, "https://a"),
    ],
)
def test_address(text: str, origin: str) -> None:
    """An address has one spelling of its origin: lower case, no default port."""
    assert origin_of(parse_address(text)) == origin


def test_brackets_of_an_ipv6_literal() -> None:
    """The host of an IPv6 address keeps its brackets."""
    assert host_of(parse_address("https://[2001:db8::1]/")) == "[2001:db8::1]"
    assert host_of(parse_address("https://example.com/")) == "example.com"
    assert host_of(urlsplit("/path")) == ""


@pytest.mark.requirement("A0-2", "NA-4")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "visible ASCII", id="nothing"),
        pytest.param("https://exämple.com", "visible ASCII", id="beyond ASCII"),
        pytest.param("https://a\n.com", "visible ASCII", id="line break"),
        pytest.param("https://a .com", "visible ASCII", id="space"),
        pytest.param("https://a\\b.com", "visible ASCII", id="backslash"),
        pytest.param("https://a/" + "x" * 2039, "visible ASCII", id="too long"),
        pytest.param("ftp://example.com", "begin with https", id="another scheme"),
        pytest.param("javascript:alert(1)", "begin with https", id="script"),
        pytest.param("//example.com", "begin with https", id="no scheme"),
        pytest.param("https://me@example.com", "user information", id="user"),
        pytest.param("https://@example.com", "user information", id="empty user"),
        pytest.param("https://example.com:x", "no port", id="port of letters"),
        pytest.param("https://example.com:99999", "no port", id="port out of range"),
        pytest.param("https://", "no host name", id="no host"),
        pytest.param("https:///path", "no host name", id="path for a host"),
        pytest.param("https://exa_mple.com", "no host name", id="odd character"),
        pytest.param("https://example.com.", "no host name", id="dot at the end"),
        pytest.param("https://a..example.com", "no host name", id="empty label"),
        pytest.param("https://-a.example.com", "no host name", id="hyphen before a label"),
        pytest.param("https://a-.example.com", "no host name", id="hyphen behind a label"),
        pytest.param("https://" + "a" * 64 + ".com", "no host name", id="label too long"),
        pytest.param("https://:443/", "no host name", id="port alone"),
        pytest.param("https://[::1%25lo]/", "no host name", id="zone"),
        pytest.param("https://[::1", "no host name", id="open bracket"),
        pytest.param("https://[abc]/", "no host name", id="brackets around a name"),
        pytest.param("https://[v1.x]/", "no host name", id="address of the future"),
        pytest.param("https://x[::1]/", "no host name", id="text before brackets"),
        pytest.param("https://[::1]x/", "no host name", id="text behind brackets"),
        pytest.param("http://example.com", "loopback", id="plain http"),
        pytest.param("http://localhost.example.com", "loopback", id="nearly loopback"),
    ],
)
def test_no_address(text: str, fault: str) -> None:
    """Each kind of a bad address is refused with a sentence that says what is wrong."""
    with pytest.raises(ValueError, match=fault):
        parse_address(text)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/account",
        "/a/b?next=//evil.example",
        "/a#x",
        "/a%20b",
        "/a.b/..c",
        "/?",
        "/a:b@c",
        pytest.param("/" + "a" * 2047, id="longest"),
    ],
)
def test_local_path(path: str) -> None:
    """A path with one leading slash is local, whatever its query says."""
    assert is_local_path(path)


@pytest.mark.requirement("BC-1", "N42", "N43", "N44", "N45", "N46", "N47", "T10")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="nothing"),
        pytest.param("account", id="relative"),
        pytest.param("//evil.example", id="N42 scheme-relative"),
        pytest.param("///evil.example", id="N42 three slashes"),
        pytest.param("/\\evil.example", id="N43 backslash"),
        pytest.param("\\\\evil.example", id="N43 two backslashes"),
        pytest.param("/a\\b", id="N43 backslash within"),
        pytest.param("/\t/evil.example", id="N44 tab"),
        pytest.param("/\n/evil.example", id="N44 line feed"),
        pytest.param("/\x00", id="N44 null"),
        pytest.param("/a b", id="N44 space"),
        pytest.param(" /a", id="N44 leading space"),
        pytest.param("https:evil.example", id="N45 scheme without slashes"),
        pytest.param("https:///evil.example", id="N45 scheme without host"),
        pytest.param("javascript:alert(1)", id="N45 script"),
        pytest.param("/..//evil.example", id="N46 dot segments"),
        pytest.param("/a/../..//evil.example", id="N46 more dot segments"),
        pytest.param("/..", id="N46 dot segment"),
        pytest.param("/./a", id="N46 single dot"),
        pytest.param("/%2f%2fevil.example", id="N46 encoded slashes"),
        pytest.param("/%2Fevil.example", id="N46 encoded slash"),
        pytest.param("/%5cevil.example", id="N46 encoded backslash"),
        pytest.param("/%09/evil.example", id="N44 encoded tab"),
        pytest.param("/a%0D%0Ab", id="N44 encoded line break"),
        pytest.param("/%2e%2e/a", id="N46 encoded dots"),
        pytest.param("/a/%2E./b", id="N46 half encoded dots"),
        pytest.param("/a//b", id="N46 two slashes within"),
        pytest.param("https://app@evil.example", id="N47 user information"),
        pytest.param("/\u2215evil.example", id="N47 look-alike slash"),
        pytest.param("/" + "a" * 2048, id="too long"),
    ],
)
def test_not_a_local_path(path: str) -> None:
    """Whatever a browser or server could take for another host is refused."""
    assert not is_local_path(path)


@pytest.mark.requirement("HO-1")
@pytest.mark.parametrize(
    ("header", "host", "port"),
    [
        ("app.example", "app.example", None),
        ("APP.Example.", "app.example", None),
        ("app.example:443", "app.example", 443),
        ("app.example.:08080", "app.example", 8080),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]", "[::1]", None),
        ("[FE80::1]:65535", "[fe80::1]", 65535),
    ],
)
def test_host(header: str, host: str, port: int | None) -> None:
    """A host has one canonical form, in whichever spelling a request names it."""
    assert read_host(header) == (host, port)


@pytest.mark.requirement("HO-1")
@pytest.mark.parametrize(
    "header",
    [
        "",
        ".",
        ":80",
        "app.example:",
        "app.example:x",
        "app.example:-1",
        "app.example:\xb2",
        "app.example:0",
        "app.example:65536",
        "app.example:000080",
        "app.example:80:80",
        "app_example",
        "app example",
        " app.example",
        "app.example\xa0",
        "\u017fhop.example",
        "a@app.example",
        "app.example/x",
        "::1",
        "[::1",
        "::1]",
        "[::1%lo]",
        "[::1].",
        "[::1]x:80",
    ],
)
def test_no_host(header: str) -> None:
    """A malformed header names no host."""
    assert read_host(header)[0] == ""
