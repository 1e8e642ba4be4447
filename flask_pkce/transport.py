"""Bounded HTTP to the tenant: a deadline for the whole call, caps, no redirects, no environment.

Calls go through :meth:`requests.Session.send`, so that requests-mock and responses intercept them.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from .errors import TenantError, TenantSilent, TenantUnreachable
from .strict_json import StrictJSONError, loads_object

#: Bytes of an answer's body.
MAX_BODY = 1024 * 1024
#: Seconds in which a connection must stand.
CONNECT_TIMEOUT = 3.0
#: Seconds after which a connection that nobody used does not carry a request that must not be
#: repeated: the tenant may be closing it at that moment.
MAX_IDLE = 4.0

_CHUNK = 64 * 1024
_MAX_DEPTH = 32
_POOL_SIZE = 64


@dataclass(frozen=True)
class HTTPAnswer:
    """What the tenant answered, read whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The JSON object in the body.

        :raises TenantError: if it is something else; nothing of it is quoted.
        """
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise TenantError(f"The tenant answered {self.status} with something other than JSON.")
        try:
            return loads_object(self.body, max_depth=_MAX_DEPTH)
        except StrictJSONError as exc:
            raise TenantError(f"The tenant's JSON is unusable: {exc}.") from None


class Transport:
    """One pooled ``requests`` session for one application.

    :param timeout: seconds that a whole call may take.
    :param proxies: proxies by scheme; those of the environment are not used.
    :param ca_bundle: a file or folder of certificate authorities in place of certifi's.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        timeout: float,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self.session = requests.Session()
        #: Neither ``.netrc`` (it overrides Authorization) nor proxies or CA bundles that the
        #: operator did not set.
        self.session.trust_env = False
        self.session.cookies.set_policy(_NoCookies())
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=_POOL_SIZE))
        self._proxies = dict(proxies or {})
        self._verify = ca_bundle or True
        self._clock = clock
        self._lock = threading.Lock()
        self._last_used = clock()

    def get(self, url: str) -> HTTPAnswer:
        """Fetch a document.  See :meth:`_send` for what is raised."""
        return self._send(requests.Request("GET", url))

    def post(self, url: str, form: Mapping[str, str]) -> HTTPAnswer:
        """Post a form, once, on a connection that is not stale.  See :meth:`_send`."""
        self._drop_idle_connections()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send(requests.Request("POST", url, data=urlencode(form), headers=headers))

    def _send(self, request: requests.Request) -> HTTPAnswer:
        """Send a request and read its answer.

        :raises TenantUnreachable: if the request surely did not reach the tenant.
        :raises TenantSilent: if it may have, and no whole answer came in time.
        :raises TenantError: if the answer is a redirect, encoded, or too large.
        """
        deadline = self._clock() + self.timeout
        request.headers = {
            **(request.headers or {}),
            "Accept": "application/json",
            # What is not compressed cannot grow when it is read.
            "Accept-Encoding": "identity",
        }
        prepared = self.session.prepare_request(request)
        try:
            response = self.session.send(
                prepared,
                allow_redirects=False,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
                verify=self._verify,
                proxies=self._proxies,
            )
            try:
                body = self._read(response, deadline)
            finally:
                response.close()
        except requests.RequestException as exc:
            raise _classify(exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise TenantSilent() from exc
        finally:
            self._last_used = self._clock()
        if 300 <= response.status_code < 400:
            raise TenantError("The tenant answered with a redirect, which is not followed.")
        return HTTPAnswer(response.status_code, response.headers, body)

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
            raise TenantError("The tenant's answer is compressed, which was not asked for.")
        # read1 returns what has arrived; read would wait for a whole chunk, past any deadline.
        read = getattr(response.raw, "read1", response.raw.read)
        body = bytearray()
        while chunk := read(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY:
                raise TenantError("The tenant's answer is too large.")
            if self._clock() > deadline:
                raise TenantSilent("The tenant's answer did not end in time.")
        return bytes(body)

    def _drop_idle_connections(self) -> None:
        with self._lock:
            if self._clock() - self._last_used <= MAX_IDLE:
                return
            self._last_used = self._clock()
        for adapter in self.session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                adapter.poolmanager.clear()


class _NoCookies(DefaultCookiePolicy):
    """Keeps no cookie and sends none."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False

    def return_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
)


def _classify(exc: requests.RequestException) -> TenantError:
    """Whether a request that failed was surely not sent."""
    if isinstance(exc, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return TenantUnreachable()
    reason = exc.args[0] if exc.args else None
    reason = getattr(reason, "reason", reason)
    if isinstance(reason, urllib3.exceptions.SSLError) and isinstance(
        reason.args[0], ssl.SSLCertVerificationError
    ):
        return TenantUnreachable("The tenant's certificate cannot be trusted.")
    return TenantUnreachable() if isinstance(reason, _NOT_SENT) else TenantSilent()
