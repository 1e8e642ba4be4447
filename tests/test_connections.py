"""The adapter below requests; what it does for whoever calls the tenant is in `test_transport`."""

from __future__ import annotations

import pytest

from flask_pkce.errors import TenantUnreachable
from flask_pkce.transport import Transport
from tests.support import RawServer, answering, http


@pytest.mark.requirement("UP-2")
def test_proxy_with_a_password() -> None:
    """What a proxy asks for is told to the proxy."""
    with RawServer(answering(http(b"{}"))) as proxy:
        address = proxy.address.replace("//", "//user:secret@")
        transport = Transport(timeout=5, proxies={"http": address, "https": address})
        transport.get("http://tenant.example/keys")
        with pytest.raises(TenantUnreachable):
            # It answers as a server, and then speaks no TLS.
            transport.get("https://tenant.example/keys")
    plain, tunnel = proxy.requests[:2]
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in plain
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in tunnel
    assert tunnel.startswith(b"CONNECT tenant.example:443 ")
