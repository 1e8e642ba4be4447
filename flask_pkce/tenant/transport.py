"""Bounded HTTP to the tenant: a deadline for the whole call, caps, no redirects, no environment.

Calls go through :meth:`requests.Session.send`, so that requests-mock and responses intercept them.
"""

from __future__ import annotations

import copy
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from ..errors import TenantError, TenantSilent, TenantUnreachable
from ..protocol.strict_json import StrictJSONError, loads_object
from ..protocol.text import form_encode
from .adapter import Adapter
from .connections import MAX_BODY, NotConnected

_CHUNK = 64 * 1024
_MAX_DEPTH = 32


@dataclass(frozen=True)
class TenantResponse:
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


class _Session(requests.Session):
    """A session for which a response leads nowhere.

    Otherwise ``send`` reads the ``Location`` of a redirect that is not followed, too: it raises
    where that is no URL, and quotes it.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class Transport:
    """One pooled ``requests`` session for one application.

    :param timeout: seconds that a whole call may take.
    :param proxies: proxies by scheme; those of the environment are not used.
    :param ca_bundle: a file or folder of certificate authorities in place of certifi's.
    :param clock: monotonic seconds, by which idle connections grow old.
    :raises OSError: if ``ca_bundle`` cannot be read, or has no certificate in it.
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
        self.session: requests.Session = _Session()
        #: Neither ``.netrc`` (it overrides Authorization) nor proxies or CA bundles that the
        #: operator did not set.
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = Adapter(ca_bundle, clock)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, adapter)
        self._proxies = dict(proxies or {})
        #: The few addresses are those of the tenant's metadata.
        self._prepared = lru_cache(maxsize=16)(self._prepare)

    def get(self, url: str) -> TenantResponse:
        """Fetch a document.  See :meth:`_send` for what is raised."""
        return self._send(self._request("GET", url))

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> TenantResponse:
        """Post a form, once.  See :meth:`_send` for what is raised."""
        request = self._request("POST", url)
        body = form_encode(form)
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        if headers:
            request.headers.update(headers)
        return self._send(request)

    def visit(self, url: str) -> TenantResponse:
        """Open a page as a new browser does; a redirect is an answer then, and not followed."""
        return self._send(self._prepare("GET", url, "text/html"), may_redirect=True)

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        """A request whose headers and body can be set."""
        # Its own way to copy one makes a new cookie jar, which costs as much as all the rest.
        request = copy.copy(self._prepared(method, url))
        request.headers = request.headers.copy()
        return request

    def _prepare(
        self, method: str, url: str, accept: str = "application/json"
    ) -> requests.PreparedRequest:
        """A request without a body, from which all to this address are copied.

        Preparing one costs more than sending it.
        """
        headers = {
            "Accept": accept,
            # What is not compressed cannot grow when it is read.
            "Accept-Encoding": "identity",
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.session.prepare_request(requests.Request(method, url, headers=headers))

    def _send(
        self, request: requests.PreparedRequest, may_redirect: bool = False
    ) -> TenantResponse:
        """Send a request and read its answer; an error knows which host was called.

        :param may_redirect: whether a redirect is an answer.

        :raises TenantUnreachable: if the request surely did not reach the tenant.
        :raises TenantSilent: if it may have, and no whole answer came in time.
        :raises TenantError: if the answer is a redirect, encoded, or too large.
        """
        try:
            answer = self._exchange(request)
            if 300 <= answer.status < 400 and not may_redirect:
                raise TenantError("The tenant answered with a redirect, which is not followed.")
        except TenantError as exc:
            exc.host = urlsplit(request.url or "").netloc
            raise
        return answer

    def _exchange(self, request: requests.PreparedRequest) -> TenantResponse:
        try:
            response = self.session.send(
                request,
                allow_redirects=False,
                stream=True,
                timeout=self.timeout,
                proxies=self._proxies,
            )
            try:
                body = _read(response)
            finally:
                response.close()
        except requests.RequestException as exc:
            raise _classify(exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise TenantSilent() from exc
        return TenantResponse(response.status_code, response.headers, body)


def _read(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise TenantError("The tenant's answer is compressed, which was not asked for.")
    body = bytearray()
    while chunk := response.raw.read(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise TenantError("The tenant's answer is too large.")
    return bytes(body)


_NOT_SENT = (
    NotConnected,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
)


def _classify(exc: requests.RequestException) -> TenantError:
    """Whether a request that failed was surely not sent."""
    if isinstance(exc, requests.exceptions.ProxyError):
        error = TenantUnreachable()
        error.setting = "PKCE_PROXIES"
        return error
    reason = exc.args[0] if exc.args else None
    reason = getattr(reason, "reason", reason)
    if isinstance(reason, urllib3.exceptions.SSLError) and isinstance(
        reason.args[0], ssl.SSLCertVerificationError
    ):
        return TenantUnreachable("The tenant's certificate cannot be trusted.")
    was_not_sent = isinstance(exc, requests.ConnectTimeout) or isinstance(reason, _NOT_SENT)
    return TenantUnreachable() if was_not_sent else TenantSilent()
