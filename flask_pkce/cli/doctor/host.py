"""Checks of the application around the blueprint, and of what stands before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from ...web.context import has_strict_cookies
from .findings import Finding, Patient, doubtful, right, wrong

#: What middlewares call the application that they wrap.
_WRAPPED = ("app", "wsgi_app", "application", "_app")
#: Middlewares that may be wrapped around one another.
_MAX_LAYERS = 32


def _proxy_fix(patient: Patient) -> ProxyFix | None:
    """The middleware that believes a proxy, however many others are wrapped around it."""
    layer: Any = patient.app.wsgi_app
    for _ in range(_MAX_LAYERS):
        if isinstance(layer, ProxyFix):
            return layer
        parts = getattr(layer, "__dict__", {})
        layer = next((parts[name] for name in _WRAPPED if name in parts), None)
    return None


def proxy(patient: Patient) -> Iterable[Finding]:
    """Whether what is said of a proxy fits together."""
    fix, key = _proxy_fix(patient), patient.key("PUBLIC_URL")
    if fix is None:
        yield right("proxy", "No ProxyFix: sign-ins need none.")
    elif patient.public_url is None:
        yield doubtful(
            "proxy",
            "ProxyFix is there, and nothing says which address users see.",
            f"Set {key}; behind a proxy only requests to localhost are answered without it.",
        )
    elif patient.is_https and not fix.x_proto:
        yield doubtful(
            "proxy",
            "ProxyFix does not read the scheme: addresses of your own views begin with http.",
            "Let the proxy send X-Forwarded-Proto, and give ProxyFix x_proto=1.",
        )
    else:
        yield right("proxy", f"ProxyFix is there, and {key} says which address users see.")


def local_session(patient: Patient) -> Iterable[Finding]:
    """The session that all programs of a machine's user share."""
    key = patient.key("LOCAL_SESSION")
    if not patient.settings.local_session:
        yield right("local-session", "There is no local session.")
    elif _proxy_fix(patient) is not None:
        yield doubtful(
            "local-session",
            f"{key} is on, and there is a ProxyFix: what came through a proxy is never local.",
            f"Take {key} or ProxyFix out.",
        )
    else:
        yield right(
            "local-session", "Programs of this machine's user share one session, as they should."
        )


def cookies(patient: Patient) -> Iterable[Finding]:
    """The attributes of the host's own cookie, and its name."""
    faults = list(_of_cookie(patient))
    yield from faults
    if not faults:
        mode = patient.settings.response_mode
        is_strict = has_strict_cookies(patient.app.config)
        through = " through a page in between" if is_strict else ""
        yield right("cookies", f"An answer by {mode} meets your own session{through}.")


def _of_cookie(patient: Patient) -> Iterator[Finding]:
    config = patient.app.config
    same_site = str(config.get("SESSION_COOKIE_SAMESITE") or "").lower()
    ours = patient.extension.site.cookie_name(patient.request)
    if config["SESSION_COOKIE_NAME"] == ours:
        yield wrong(
            "cookies",
            f"Your session's cookie has the name of the sign-in's, {ours}.",
            "Change SESSION_COOKIE_NAME.",
        )
    if same_site == "none" and not config["SESSION_COOKIE_SECURE"]:
        yield wrong(
            "cookies",
            "SESSION_COOKIE_SAMESITE is None without Secure: browsers drop such a cookie.",
            "Set it to Lax: an answer of the tenant needs no more.",
        )
    elif same_site == "none":
        yield doubtful(
            "cookies",
            "SESSION_COOKIE_SAMESITE is None: other sites make requests with your session.",
            "Set it to Lax: an answer of the tenant needs no more.",
        )
    elif not same_site and patient.is_https:
        yield doubtful(
            "cookies",
            "SESSION_COOKIE_SAMESITE is not set: browsers differ in what that means.",
            "Set it to Lax.",
        )
    if patient.is_https and not config["SESSION_COOKIE_SECURE"] and same_site != "none":
        yield doubtful(
            "cookies",
            "SESSION_COOKIE_SECURE is off: your session travels over http as well.",
            "Set it to True.",
        )


def csrf(patient: Patient) -> Iterable[Finding]:
    """A protection that wants a token of its own would refuse the tenant's answer."""
    protection = patient.app.extensions.get("csrf")
    config = patient.app.config
    if protection is None:
        yield right("csrf", "No protection against CSRF stands before the routes.")
    elif not (config.get("WTF_CSRF_ENABLED", True) and config.get("WTF_CSRF_CHECK_DEFAULT", True)):
        yield right("csrf", "CSRFProtect does not look at requests by itself.")
    elif callable(getattr(protection, "exempt", None)):
        # At the first request at the latest, by `web.csrf`.
        yield right("csrf", "CSRFProtect leaves the routes to their own protection.")
    else:
        yield doubtful(
            "csrf",
            "There is a protection against CSRF that the doctor does not know.",
            "See that it lets the routes pass: they have a protection of their own.",
        )
