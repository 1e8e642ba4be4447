"""Where we are: the hosts, the origin and the callback.

An address is never taken from a forwarded header, only from ``PKCE_PUBLIC_URL``, or from a
``Host`` that is known to be ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import quote, urlsplit

from flask import Request

from ..errors import HostOtherName, HostUnknown
from ..protocol.text import one_line
from ..protocol.urls import host_of, is_local_path, read_host
from .cookies import cookie_name

#: The path of the redirect URI, below the blueprint's prefix.
CALLBACK_PATH = "/pkce/response/code"

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class PublicURLs:
    """One blueprint's place in one application.

    :param name: the blueprint's full name.
    :param public_url: the application's root as users see it; None on a loopback host.
    :param prefix: where the blueprint is mounted, below that root.
    :param further_public_urls: the root by the names of other hosts.
    """

    name: str
    public_url: str | None
    prefix: str
    further_public_urls: tuple[str, ...] = ()

    def host(self, request: Request) -> str:
        """Return which of our hosts a request names, in the canonical form.

        :raises HostOtherName: if it names this machine by another of its own names.
        :raises HostUnknown: if it names a host that is not ours (DNS rebinding).
        """
        host, _ = read_host(_host_header(request))
        if self.public_url is None:
            self.root(request)
        elif host not in self._hosts:
            if host in _LOOPBACK_HOSTS and self._hosts & _LOOPBACK_HOSTS:
                # Two names of this machine.
                raise HostOtherName(self.public_url)
            raise _unknown(_host_header(request))
        return host

    @cached_property
    def _hosts(self) -> frozenset[str]:
        return frozenset(self._roots)

    @cached_property
    def _roots(self) -> Mapping[str, str]:
        """The addresses of the root, by their hosts."""
        urls = (*self.further_public_urls, self.public_url or "")
        return {host_of(urlsplit(url)): url for url in urls}

    def root(self, request: Request) -> str:
        """The address of the application's root, without a slash at its end.

        :raises HostUnknown: if nothing says it, and the request names no loopback host.
        """
        if self.public_url is None:
            return _local_root(_host_header(request), request.scheme, request.script_root)
        if not self.further_public_urls:
            return self.public_url
        return self._roots.get(read_host(_host_header(request))[0], self.public_url)

    def origin(self, request: Request) -> str:
        """Our origin."""
        return _origin(self.root(request))

    def callback_url(self, request: Request) -> str:
        """The redirect URI that is ours."""
        return self.root(request) + self.prefix + CALLBACK_PATH

    def route(self, path: str, request: Request) -> str:
        """Where a route of ours lies, for a page of ours."""
        if self.public_url is None:
            root = _local_prefix(request.script_root)
        else:
            root = self.root(request)
        return root + self.prefix + path

    def destination(self, path: str, request: Request) -> str:
        """Where a browser is sent; a path of this application may begin with its prefix or not."""
        if not is_local_path(path):
            return path
        root = urlsplit(self.root(request)).path
        begins_with_root = path.startswith((f"{root}/", f"{root}?", f"{root}#"))
        return path if path == root or begins_with_root else root + path

    def address(self, path: str, request: Request) -> str:
        """The same, as an address."""
        destination = self.destination(path, request)
        return self.origin(request) + destination if is_local_path(destination) else destination

    def is_secure(self, request: Request) -> bool:
        """Whether users reach us over https."""
        return self.root(request).startswith("https://")

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session cookie at the address that a request names."""
        return cookie_name(self.name, self.root(request))


def _host_header(request: Request) -> str:
    header: str = request.environ.get("HTTP_HOST", "")
    return header


def _unknown(header: str) -> HostUnknown:
    return HostUnknown(host=one_line(header))


@lru_cache(maxsize=64)
def _local_root(header: str, scheme: str, prefix: str) -> str:
    """The address of the root on a loopback host, as a request has it.

    :raises HostUnknown: if that is none, whatever a proxy or the client made of it.
    """
    host, port = read_host(header)
    path = _local_prefix(prefix)
    if host not in _LOOPBACK_HOSTS or scheme not in _DEFAULT_PORTS or (prefix and not path):
        raise _unknown(header)
    if port not in {None, _DEFAULT_PORTS[scheme]}:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{path}"


def _local_prefix(prefix: str) -> str:
    """The path at which the application is mounted; empty for what is none."""
    path = quote(prefix, safe="/!$&'()*+,:;=@")
    return path if is_local_path(path) else ""


@lru_cache(maxsize=64)
def _origin(root: str) -> str:
    parts = urlsplit(root)
    return f"{parts.scheme}://{parts.netloc}"
