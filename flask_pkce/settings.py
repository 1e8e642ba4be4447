"""The settings: a mapping of ``PKCE_*`` becomes frozen :class:`Settings`, or is refused whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .protocol.addresses import is_local_path, is_loopback_host, origin_of, parse_address
from .protocol.id_token import ALGORITHMS
from .protocol.metadata import Registration, parse_domain
from .protocol.text import is_scope_token, is_visible_ascii

#: Characters of a ``SECRET_KEY``, below which it counts as weak.
MIN_SECRET_KEY_LENGTH = 16
_KNOWN_SECRET_KEYS = frozenset({"dev", "secret", "changeme", "change-me", "your-secret-key"})


class TokenDelivery(StrEnum):
    """Who gets the tokens."""

    #: The caller, as the published API says.
    CALLER = "caller"
    #: Nobody outside the server (backend for frontend).
    SESSION = "session"


class Fault(ValueError):
    """What is wrong with one setting."""


# -- readers: a value of app.config in, the checked value out -------------------


def _text(value: Any) -> str:
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise Fault("is no text: quote it")
    text = str(value)
    if not text or len(text) > 2048 or not text.isprintable():
        raise Fault("is empty, too long or not printable")
    return text


def _client_id(value: Any) -> str:
    text = _text(value)
    if not is_visible_ascii(text, 256):
        raise Fault("is not 1 to 256 visible ASCII characters")
    return text


def _boolean(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    try:
        return known[str(value).strip().lower()]
    except KeyError:
        raise Fault("is neither true nor false") from None


def _seconds(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault("is not a whole number of seconds")
        if not low <= value <= high:
            raise Fault(f"is not between {low} and {high} seconds")
        return value

    return read


def _list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple | set | frozenset):
        raise Fault("is neither a list nor a comma-separated text")
    return tuple(_text(item) for item in value)


def _scopes(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    scopes = _list(value)
    for scope in scopes:
        if not is_scope_token(scope):
            raise Fault("has a scope with a character that no scope may have")
    return tuple(dict.fromkeys(scopes))


def _openid_scopes(value: Any) -> tuple[str, ...]:
    scopes = _scopes(value)
    if "openid" not in scopes:
        raise Fault("does not contain `openid`, without which nobody is signed in")
    return scopes


def _origins(value: Any) -> tuple[str, ...]:
    origins = []
    for text in _list(value):
        try:
            parts = parse_address(text)
        except ValueError as exc:
            raise Fault(f"has an origin that {exc}") from None
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise Fault("has an origin with a path: give scheme, host and port alone")
        origins.append(origin_of(parts))
    return tuple(origins)


def _public_url(value: Any) -> str:
    text = _text(value)
    try:
        parts = parse_address(text)
    except ValueError as exc:
        raise Fault(str(exc)) from None
    if parts.query or parts.fragment or not is_local_path(parts.path or "/"):
        raise Fault("must be scheme, host and, where the application has one, its prefix")
    return origin_of(parts) + parts.path.rstrip("/")


def _redirect_uris(value: Any) -> tuple[str, ...]:
    for text in (uris := _list(value)):
        if "#" in text:
            raise Fault("has an address with a fragment")
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"}:
            try:
                parse_address(text)
            except ValueError as exc:
                raise Fault(f"has an address that {exc}") from None
        # A private-use scheme is a reversed domain name (RFC 8252 7.1).
        elif "." not in parts.scheme or not is_visible_ascii(text, 2048):
            raise Fault("has an address that is neither https nor of a private-use scheme")
    return uris


def _destination(value: Any) -> str:
    text = _text(value)
    if is_local_path(text):
        return text
    try:
        parse_address(text)
    except ValueError:
        raise Fault("is neither a path of this application nor an https address") from None
    return text


def _response_mode(value: Any) -> str:
    if value not in {"form_post", "query"}:
        raise Fault("is neither `form_post` nor `query`")
    return str(value)


def _delivery(value: Any) -> TokenDelivery:
    try:
        return TokenDelivery(value)
    except ValueError:
        raise Fault("is neither `caller` nor `session`") from None


def _algorithms(value: Any) -> tuple[str, ...]:
    algorithms = _list(value)
    if not algorithms or not set(algorithms) <= set(ALGORITHMS):
        raise Fault(f"has an algorithm that is not one of {', '.join(ALGORITHMS)}")
    return algorithms


def _domain(value: Any) -> str:
    text = _text(value)
    try:
        parse_domain(text)
    except ValueError as exc:
        raise Fault(str(exc)) from None
    return text


def _proxies(value: Any) -> Mapping[str, str]:
    if isinstance(value, str):
        return {"https": _text(value), "http": _text(value)}
    if not isinstance(value, Mapping) or not set(value) <= {"http", "https"}:
        raise Fault("is neither an address nor a mapping of `http` and `https` to one")
    return {str(scheme): _text(address) for scheme, address in value.items()}


def _store(value: Any) -> Any:
    return _text(value) if isinstance(value, str | int) else value


def _setting(
    name: str, read: Callable[[Any], Any], default: Any = MISSING, *, secret: bool = False
) -> Any:
    """A field whose setting is called ``PKCE_`` and this name."""
    metadata = {"name": name, "read": read}
    if default is MISSING:
        return field(metadata=metadata, repr=not secret)
    return field(metadata=metadata, default=default, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one blueprint in one application, checked.

    The comment of a field is its documentation.
    """

    #: The tenant: its host (``example.eu.auth0.com``), or an issuer URL.
    #: Plain ``http:`` only for a loopback host.
    domain: str = _setting("DOMAIN", _domain)
    #: The ``client_id`` of the application at the tenant.
    client_id: str = _setting("CLIENT_ID", _client_id)
    #: The client secret of a confidential application; none for a public one.
    client_secret: str | None = _setting("CLIENT_SECRET", _text, None, secret=True)
    #: The API for which access tokens are asked, if there is one.
    audience: str | None = _setting("AUDIENCE", _text, None)
    #: The scope that is asked for, by default ``openid profile email``.
    #: Add ``offline_access`` for refresh tokens.
    scope: tuple[str, ...] = _setting("SCOPE", _openid_scopes, ("openid", "profile", "email"))
    #: Further audiences that a caller may ask for.
    allowed_audiences: tuple[str, ...] = _setting("ALLOWED_AUDIENCES", _list, ())
    #: Further scopes that a caller may ask for.
    allowed_scopes: tuple[str, ...] = _setting("ALLOWED_SCOPES", _scopes, ())
    #: Further origins whose pages may call the routes, such as a single-page app of your own.
    #: CORS headers are not ours to send: Flask-CORS does.
    allowed_origins: tuple[str, ...] = _setting("ALLOWED_ORIGINS", _origins, ())
    #: The address of the application's root as users see it, any prefix included.
    #: Needed everywhere but on a loopback host.
    public_url: str | None = _setting("PUBLIC_URL", _public_url, None)
    #: Redirect URIs that a caller may ask for, besides our own callback.
    redirect_uris: tuple[str, ...] = _setting("REDIRECT_URIS", _redirect_uris, ())
    #: How the tenant answers: ``form_post``, which keeps the code out of addresses, or ``query``.
    response_mode: str = _setting("RESPONSE_MODE", _response_mode, "form_post")
    #: Where sign-ins are kept: ``sqlite:///pkce.db`` (relative to the instance folder, serves
    #: all workers of one machine), ``memory://`` (one process), or a store object.
    store_url: Any = _setting("STORE_URL", _store, "sqlite:///pkce.db")
    #: Seconds that a sign-in may take from start to end.
    flow_lifetime: int = _setting("FLOW_LIFETIME", _seconds(10, 3600), 600)
    #: Seconds that a signed-in session lives.
    session_lifetime: int = _setting("SESSION_LIFETIME", _seconds(60, 90 * 86400), 86400)
    #: Who gets the tokens: the ``caller``, as the published API says, or the ``session`` on the
    #: server alone.
    token_delivery: TokenDelivery = _setting("TOKEN_DELIVERY", _delivery, TokenDelivery.CALLER)
    #: Whether programs without cookies on this machine share one session.
    #: For a single-user server on the loopback interface alone.
    local_session: bool = _setting("LOCAL_SESSION", _boolean, False)
    #: Where a browser ends after a sign-in; by default on a page that says it is done, or at
    #: the application's root with delivery ``session``.
    authenticated_url: str | None = _setting("AUTHENTICATED_URL", _destination, None)
    #: Where a browser ends after it cleared its session.
    unauthenticated_url: str | None = _setting("UNAUTHENTICATED_URL", _destination, None)
    #: Names of ``ADDITIONAL_PARAMETERS`` that a caller may send, besides the usual ones.
    additional_parameters: tuple[str, ...] = _setting("ADDITIONAL_PARAMETERS", _list, ())
    #: Hosts on which the tenant's endpoints may lie, besides the issuer's.
    endpoint_hosts: tuple[str, ...] = _setting("ENDPOINT_HOSTS", _list, ())
    #: Proxies for calls to the tenant; those of the environment are not used.
    proxies: Mapping[str, str] | None = _setting("PROXIES", _proxies, None, secret=True)
    #: A file or folder of certificate authorities; those of the environment are not used.
    ca_bundle: str | None = _setting("CA_BUNDLE", _text, None)
    #: Seconds that a whole call to the tenant may take.
    timeout: int = _setting("TIMEOUT", _seconds(1, 60), 10)
    #: Seconds by which our clock and the tenant's may differ.
    leeway: int = _setting("LEEWAY", _seconds(0, 300), 60)
    #: Algorithms with which ID tokens may be signed.
    algorithms: tuple[str, ...] = _setting("ALGORITHMS", _algorithms, ("RS256",))

    @property
    def registration(self) -> Registration:
        """Our registration at the tenant."""
        issuer, is_exact = parse_domain(self.domain)
        return Registration(
            issuer=issuer,
            issuer_is_exact=is_exact,
            client_id=self.client_id,
            client_secret=self.client_secret,
            endpoint_hosts=self.endpoint_hosts,
        )

    @property
    def delivers_to_session(self) -> bool:
        """Whether codes, verifiers and tokens stay on the server."""
        return self.token_delivery is TokenDelivery.SESSION

    @property
    def is_public_url_loopback(self) -> bool:
        """Whether users reach the application on a loopback host alone."""
        return self.public_url is None or is_loopback_host(
            urlsplit(self.public_url).hostname or ""
        )

    @property
    def scopes_allowed(self) -> frozenset[str]:
        """Every scope that a caller may ask for."""
        return frozenset(self.scope + self.allowed_scopes)

    @property
    def audiences_allowed(self) -> frozenset[str]:
        """Every audience that a caller may ask for."""
        return frozenset(
            self.allowed_audiences
            if self.audience is None
            else (self.audience, *self.allowed_audiences)
        )


def read_settings(config: Mapping[str, Any], *, prefix: str = "PKCE_") -> Settings:
    """Read the settings of a mapping such as ``app.config``.

    :param prefix: what the names begin with.
    :raises ConfigurationError: with every fault at once, each beginning with its setting's name.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for setting in fields(Settings):
        name = prefix + setting.metadata["name"]
        value = config.get(name)
        if value is None or value == "":
            if setting.default is MISSING:
                faults.append(f"{name} is missing")
            continue
        try:
            values[setting.name] = setting.metadata["read"](value)
        except Fault as exc:
            faults.append(f"{name} {exc}")
    if faults:
        raise ConfigurationError(faults)
    settings = Settings(**values)
    if settings.local_session and not settings.is_public_url_loopback:
        raise ConfigurationError(
            f"{prefix}LOCAL_SESSION is on while {prefix}PUBLIC_URL is not a loopback address:"
            " everybody could use the one session"
        )
    return settings


def read_secret_keys(
    config: Mapping[str, Any], *, lenient: bool
) -> tuple[tuple[bytes, ...], bool]:
    """Read ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.

    :param lenient: whether a weak key is let through, as in debugging and tests.
    :return: the keys, the one that signs first, and whether it is weak.
    :raises ConfigurationError: if there is no key, or a weak one.
    """
    secret_key = config.get("SECRET_KEY")
    if not secret_key:
        raise ConfigurationError(
            "SECRET_KEY is missing: set it to a long random value, the same for all workers"
        )
    keys = [secret_key, *(config.get("SECRET_KEY_FALLBACKS") or ())]
    if not all(isinstance(key, str | bytes) and key for key in keys):
        raise ConfigurationError("SECRET_KEY or SECRET_KEY_FALLBACKS is no text and no bytes")
    encoded = tuple(key.encode() if isinstance(key, str) else key for key in keys)
    weak = (
        len(encoded[0]) < MIN_SECRET_KEY_LENGTH
        or encoded[0].decode("utf-8", "replace").lower() in _KNOWN_SECRET_KEYS
    )
    if weak and not lenient:
        raise ConfigurationError(
            f"SECRET_KEY is weak: use {MIN_SECRET_KEY_LENGTH} random characters or more"
        )
    return encoded, weak
