"""A provider in a process of its own: metadata, one key, and ID tokens that it signs.

It keeps nothing: what it must know of a sign-in, the nonce and the code challenge, travels in the
authorization code.
It speaks just enough HTTP/1.1, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from io import BufferedReader
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "benchmark"
CLIENT_SECRET = "a secret of the benchmarks"
SUBJECT = "auth0|alice"
EMAIL = "alice@example.com"

TOKEN_PATH = "/oauth/token"
_KID = "stub"
_JSON = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def make_code(nonce: str, code_challenge: str, subject: str = SUBJECT) -> str:
    """An authorization code, as the authorization endpoint would give it.

    :param nonce: of the authorization request; empty where there is none.
    :param code_challenge: the same.
    :param subject: who signed in.
    """
    return f"{nonce}~{code_challenge}~{subject}~{next(_serial)}"


_serial = itertools.count()


class Stub:
    """The provider.

    :param latency: seconds that a token request takes.
    """

    def __init__(self, issuer: str, *, latency: float) -> None:
        self._issuer = issuer
        self._latency = latency
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._header = _encode({"alg": "RS256", "kid": _KID, "typ": "JWT"})
        #: How often each path was asked for, and how many connections asked for tokens.
        self.counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._documents = {
            "/.well-known/openid-configuration": self._metadata(),
            "/jwks": {"keys": [self._public_key()]},
            "/counts": self.counts,
        }

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self._issuer,
            "authorization_endpoint": f"{self._issuer}authorize",
            "token_endpoint": self._issuer + TOKEN_PATH[1:],
            "jwks_uri": f"{self._issuer}jwks",
            "userinfo_endpoint": f"{self._issuer}userinfo",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def _public_key(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": _KID,
            "n": _base64url(numbers.n.to_bytes(256, "big")),
            "e": _base64url(numbers.e.to_bytes(3, "big")),
        }

    def serve(self, connection: socket.socket) -> None:
        """Answer what comes on a connection until its other end closes it."""
        asked_for_tokens = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader:
            while request := _read_request(reader):
                path, body = request
                with self._counting:
                    self.counts[path] += 1
                    self.counts["connections"] += path == TOKEN_PATH and not asked_for_tokens
                asked_for_tokens = asked_for_tokens or path == TOKEN_PATH
                connection.sendall(self._answer(path, body))

    def _answer(self, path: str, body: bytes) -> bytes:
        if path == TOKEN_PATH:
            time.sleep(self._latency)
            status, document = self._token({k: v[0] for k, v in parse_qs(body.decode()).items()})
        else:
            status, document = 200, self._documents[path]
        encoded = json.dumps(document).encode()
        return _JSON % (status, len(encoded), encoded)

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        nonce, challenge, subject, _ = form["code"].split("~")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if challenge and _base64url(digest) != challenge:
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": f"at-{_base64url(os.urandom(24))}",
            "token_type": "Bearer",
            "expires_in": 86400,
            "scope": "openid profile email",
            "id_token": self._id_token(nonce, subject),
        }

    def _id_token(self, nonce: str, subject: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": subject,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 36000,
            "name": "Alice Liddell",
            "email": EMAIL,
            "email_verified": True,
            "picture": "https://example.com/alice.png",
            "updated_at": "2026-01-01T00:00:00.000Z",
            **({"nonce": nonce} if nonce else {}),
        }
        signed = f"{self._header}.{_encode(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


def _read_request(reader: BufferedReader) -> tuple[str, bytes] | None:
    """The path and body of the next request; None when there is none."""
    line = reader.readline()
    if not line:
        return None
    length = 0
    while (header := reader.readline()) not in (b"\r\n", b""):
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return line.split(b" ")[1].decode(), reader.read(length)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode(document: dict[str, Any]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _accept(listener: socket.socket, stub: Stub, tls: ssl.SSLContext | None) -> None:
    def serve(connection: socket.socket) -> None:
        try:
            stub.serve(tls.wrap_socket(connection, server_side=True) if tls else connection)
        except OSError:
            # Whoever was at the other end has gone.
            connection.close()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main() -> None:
    """Serve, tell the issuer on standard output, and end with standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", help="a file with key and certificate, for https")
    parser.add_argument("--latency", type=float, default=0, help="seconds of a token request")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    scheme = "https" if tls else "http"
    issuer = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
    stub = Stub(issuer, latency=options.latency)
    threading.Thread(target=_accept, args=(listener, stub, tls), daemon=True).start()
    print(issuer, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
