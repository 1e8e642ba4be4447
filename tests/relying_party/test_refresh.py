"""Refresh: new tokens for a sign-in of the session."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from flask_pkce.errors import (
    AccessDenied,
    FileDescriptorsExhausted,
    GrantRefused,
    IDTokenInvalid,
    RefreshTokenReused,
    RefreshTokenUnknown,
    RefreshUnderWay,
    SignedOutMeanwhile,
    TenantBusy,
    TenantError,
    TenantSilent,
    TenantUnreachable,
)
from flask_pkce.protocol.token import TokenRequest, TokenResponse
from flask_pkce.relying_party.hooks import Hooks, token_refreshed
from flask_pkce.relying_party.redeem import Redeemed
from flask_pkce.relying_party.refresh import Refreshed
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.session import Grant, Renewal, Session
from flask_pkce.web.models import TokenizedPKCE
from tests.support import ISSUER, NOW, Bench, Failing, at_once, told


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def bench(hooks: Hooks) -> Bench:
    return Bench(hooks=hooks)


def grant_of(session: Stored[Session]) -> Grant:
    """The newest sign-in."""
    grant = session.value.grant(now=NOW)
    assert grant is not None
    return grant


def refresh(bench: Bench, session: Stored[Session], **options: Any) -> Refreshed:
    """Refresh the newest sign-in."""
    return bench.relying_party.refresh.refresh(session, grant_of(session), **options)


def current(bench: Bench, session: Stored[Session]) -> Session:
    """The session as it is now."""
    held = bench.sessions.reload(session)
    assert held is not None
    return held.value


# -- which sign-in -----------------------------------------------------------------


def find(
    bench: Bench, session: Session, *, refresh_token: str | None = None, code: str | None = None
) -> Grant:
    return bench.relying_party.refresh.grant(
        session, TokenizedPKCE(refresh_token=refresh_token, code=code)
    )


@pytest.fixture
def session() -> Session:
    """A session in which two signed in."""
    session = Session(id="id", secret_hash="x", created_at=NOW, signed_in_until=NOW)
    for name in ("alice", "bob"):
        grant = Grant(
            id=name,
            issuer=ISSUER,
            claims={"sub": name},
            scope=("openid",),
            refresh_token=f"of-{name}",
        )
        session = session.signed_in(grant, until=NOW + 60)
    return session


def test_sign_in_of_a_refresh_token(bench: Bench, session: Session) -> None:
    """A refresh token names its sign-in, as such or in the published model's `code`."""
    assert find(bench, session, refresh_token="of-alice").subject == "alice"
    assert find(bench, session, code="of-alice").subject == "alice"
    assert find(bench, session, refresh_token="of-alice", code="of-bob").subject == "alice"


@pytest.mark.parametrize("code", [None, "a dummy", ""])
def test_newest_sign_in(bench: Bench, session: Session, code: str | None) -> None:
    """Without a refresh token, or with a dummy in its place, the newest sign-in is meant."""
    assert find(bench, session, code=code).subject == "bob"


@pytest.mark.requirement("N56")
def test_refresh_token_of_another_session(bench: Bench, session: Session) -> None:
    """A refresh token that was not issued to this session is not taken (N56)."""
    with pytest.raises(RefreshTokenUnknown) as caught:
        find(bench, session, refresh_token="of-carol")
    assert (caught.value.field, caught.value.error) == ("$.refresh_token", "invalid_grant")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda session: dataclasses.replace(session, grants=()), id="nobody"),
        pytest.param(lambda session: dataclasses.replace(session, signed_in_until=NOW), id="over"),
        pytest.param(
            lambda session: dataclasses.replace(
                session, grants=(dataclasses.replace(session.grants[0], refresh_token=None),)
            ),
            id="no refresh token",
        ),
    ],
)
def test_nothing_to_refresh(
    bench: Bench, session: Session, change: Callable[[Session], Session]
) -> None:
    """Where nobody is signed in, or without a refresh token, there is nothing to refresh."""
    for members in ({}, {"code": "of-alice"}):
        with pytest.raises(RefreshTokenUnknown) as caught:
            find(bench, change(session), **members)
        assert caught.value.field is None


# -- refresh -----------------------------------------------------------------------


@pytest.mark.requirement("AZ-18")
def test_refresh(bench: Bench, hooks: Hooks) -> None:
    """New tokens come, the new refresh token takes the old one's place, observers hear of it."""
    signed_in = bench.sign_in()
    requests: list[TokenRequest] = []
    hooks.before_token.append(requests.append)
    bench.clock.now += 3600
    with told(token_refreshed) as heard:
        refreshed = refresh(bench, signed_in.session)
    old = signed_in.response.refresh_token
    assert requests == [TokenRequest(grant_type="refresh_token", refresh_token=old)]
    assert heard == [{"response": refreshed.response}]
    assert refreshed.tenant.issuer == ISSUER
    assert refreshed.response.refresh_token not in {None, old}
    assert refreshed.response.access_token != signed_in.response.access_token
    assert refreshed.response.claims["sub"] == signed_in.response.claims["sub"]
    (grant,) = current(bench, signed_in.session).grants
    assert grant.refresh_token == refreshed.response.refresh_token
    again = refresh(bench, refreshed.session)
    assert again.response.claims["iat"] == bench.clock.now


@pytest.mark.requirement("BB-6")
def test_refresh_does_not_lengthen_the_session(bench: Bench) -> None:
    """A refresh keeps the end of the session, and its pointer."""
    signed_in = bench.sign_in()
    bench.clock.now += 3600
    refreshed = refresh(bench, signed_in.session)
    assert signed_in.pointer is not None
    assert bench.sessions.load(signed_in.pointer) == refreshed.session
    assert refreshed.session.value.signed_in_until == NOW + 86400


def test_refresh_for_another_audience(bench: Bench, hooks: Hooks) -> None:
    """Tokens for another API can be asked for."""
    signed_in = bench.sign_in()
    requests: list[TokenRequest] = []
    hooks.before_token.append(requests.append)
    refresh(bench, signed_in.session, audience="https://api.example/")
    assert requests[0].audience == "https://api.example/"


def answering(bench: Bench, **changes: Any) -> Callable[[TokenRequest], dict[str, Any]]:
    """A function of the host that asks the tenant, and changes what it answers."""

    def token(request: TokenRequest) -> dict[str, Any]:
        fields = {**request.parameters(), "client_id": "local-client"}
        document = bench.relying_party.transport.session.post(
            f"{ISSUER}oauth/token", fields, timeout=5
        ).json()
        changed = {**document, **changes}
        return {name: value for name, value in changed.items() if value is not None}

    return token


def test_refresh_without_an_id_token(bench: Bench, hooks: Hooks) -> None:
    """Without an ID token the claims are those of the sign-in (OpenID Connect Core 12.2)."""
    signed_in = bench.sign_in()
    hooks.token = answering(bench, id_token=None)
    refreshed = refresh(bench, signed_in.session)
    assert refreshed.response.claims == signed_in.response.claims


@pytest.mark.requirement("AZ-18")
def test_refresh_without_a_new_refresh_token(bench: Bench, hooks: Hooks) -> None:
    """A tenant that does not rotate leaves the refresh token as it is."""
    signed_in = bench.sign_in()
    hooks.token = answering(bench, refresh_token=None)
    refreshed = refresh(bench, signed_in.session)
    assert grant_of(refreshed.session).refresh_token == signed_in.response.refresh_token


@pytest.mark.requirement("AZ-14")
def test_refresh_without_a_scope(bench: Bench, hooks: Hooks) -> None:
    """A scope that is left out is that of the sign-in."""
    signed_in = bench.sign_in()
    hooks.token = answering(bench, scope=None)
    assert refresh(bench, signed_in.session).response.scope == signed_in.response.scope


@pytest.mark.requirement("BC-16", "N64")
def test_refresh_token_that_the_tenant_took_back(bench: Bench) -> None:
    """A refresh token that the tenant does not take ends the sign-in (N64)."""
    signed_in = bench.sign_in()
    bench.tenant.faults.add("token-invalid-grant")
    with pytest.raises(GrantRefused):
        refresh(bench, signed_in.session)
    assert current(bench, signed_in.session).grants == ()
    assert bench.token_requests == 2


@pytest.mark.requirement("ID-21", "N84")
@pytest.mark.parametrize("fault", ["invalid-iss", "invalid-sig-rs256", "expired"])
def test_refreshed_id_token_that_does_not_verify(bench: Bench, fault: str) -> None:
    """An ID token that does not verify ends the sign-in, and the new token is revoked."""
    signed_in = bench.sign_in()
    bench.tenant.faults.add(fault)
    with pytest.raises(IDTokenInvalid):
        refresh(bench, signed_in.session)
    assert current(bench, signed_in.session).grants == ()
    assert bench.revocations == 1


@pytest.mark.requirement("ID-21", "N85")
def test_refreshed_id_token_of_somebody_else(bench: Bench) -> None:
    """A refreshed ID token keeps its subject (OpenID Connect Core 12.2)."""
    signed_in = bench.sign_in()
    grant = grant_of(signed_in.session)
    other = dataclasses.replace(grant, claims={**grant.claims, "sub": "auth0|mallory"})
    held = bench.sessions.update(
        signed_in.session, lambda session: session.with_grant(grant, other)
    )
    assert held is not None
    with pytest.raises(IDTokenInvalid, match="sub"):
        refresh(bench, held)


@pytest.mark.requirement("ID-21")
def test_refreshed_id_token_of_another_sign_in(bench: Bench) -> None:
    """A nonce that a refreshed ID token repeats is that of its sign-in, at every refresh."""
    signed_in = bench.sign_in()
    nonce = signed_in.response.claims["nonce"]
    refreshed = refresh(bench, refresh(bench, signed_in.session).session)
    assert grant_of(refreshed.session).nonce == nonce
    bench.tenant.faults.add("nonce-invalid")
    with pytest.raises(IDTokenInvalid, match="nonce"):
        refresh(bench, refreshed.session)
    assert current(bench, signed_in.session).grants == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unreachable", TenantUnreachable),
        ("silent", TenantSilent),
        ("token-html", TenantError),
    ],
)
def test_tenant_that_cannot_be_reached(bench: Bench, fault: str, error: type[Exception]) -> None:
    """A tenant that cannot be reached ends nothing: the sign-in stays, and it is remembered
    whether the tenant may have used the refresh token up."""
    signed_in = bench.sign_in()
    bench.tenant.faults.add(fault)
    with pytest.raises(error):
        refresh(bench, signed_in.session)
    (before,), (grant,) = signed_in.session.value.grants, current(bench, signed_in.session).grants
    assert grant == dataclasses.replace(before, is_uncertain=fault != "unreachable")


def test_refresh_without_file_descriptors(bench: Bench) -> None:
    """Without a file descriptor nothing was sent: the refresh token is as good as before."""
    signed_in = bench.sign_in()
    transport = bench.relying_party.transport.session
    transport.mount(f"{ISSUER}oauth/token", Failing(FileDescriptorsExhausted()))
    with pytest.raises(FileDescriptorsExhausted):
        refresh(bench, signed_in.session)
    assert current(bench, signed_in.session).grants == signed_in.session.value.grants


@pytest.mark.requirement("A0-5", "BC-5", "T26")
def test_sign_in_at_another_tenant(bench: Bench) -> None:
    """A refresh token of another tenant does not go to this one."""
    signed_in = bench.sign_in()
    other = dataclasses.replace(grant_of(signed_in.session), issuer="https://old.example/")
    with pytest.raises(RefreshTokenUnknown, match="another tenant"):
        bench.relying_party.refresh.refresh(signed_in.session, other)
    assert bench.token_requests == 1


def test_cleared_meanwhile(bench: Bench, hooks: Hooks) -> None:
    """New tokens of a session that was cleared meanwhile are revoked."""
    signed_in = bench.sign_in()

    def clear(request: TokenRequest) -> None:
        bench.sessions.take(signed_in.session)

    hooks.before_token.append(clear)
    with told(token_refreshed) as heard, pytest.raises(SignedOutMeanwhile):
        refresh(bench, signed_in.session)
    assert (bench.revocations, heard) == (1, [])
    assert not bench.store._entries


# -- one at a time -----------------------------------------------------------------


@pytest.mark.requirement("A0-15")
def test_refresh_at_once(bench: Bench) -> None:
    """However many refresh at once, the tenant is asked once, and all get what it answered."""
    signed_in = bench.sign_in()
    asked = bench.token_requests
    with told(token_refreshed) as heard:
        results = at_once(lambda _: refresh(bench, signed_in.session), 8)
    assert bench.token_requests == asked + 1
    assert len(heard) == 1
    refreshed = [result for result in results if isinstance(result, Refreshed)]
    assert [result.response for result in refreshed] == [refreshed[0].response] * 8
    (grant,) = current(bench, signed_in.session).grants
    assert refreshed[0].response.refresh_token == grant.refresh_token
    assert refresh(bench, refreshed[0].session).response.refresh_token


def taken(bench: Bench, signed_in: Redeemed, *, seconds: float = 20) -> Stored[Session]:
    """The session while another worker refreshes its sign-in."""
    grant = grant_of(signed_in.session)
    begun = dataclasses.replace(grant, refreshing_until=bench.clock.now + seconds)
    held = bench.sessions.update(
        signed_in.session, lambda session: session.with_grant(grant, begun)
    )
    assert held is not None
    return held


@pytest.fixture
def meanwhile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Does something as soon as somebody waits for a change."""

    def once(act: Callable[[], object]) -> None:
        def wait(key: str, seen: bytes | None, timeout: float) -> bytes | None:
            act()
            return bench.store.get(key)

        monkeypatch.setattr(bench.store, "wait", wait)

    return once


@pytest.mark.requirement("A0-15")
@pytest.mark.parametrize("refuses", [False, True])
def test_worker_that_died(bench: Bench, meanwhile: Callable[..., None], refuses: bool) -> None:
    """A refresh whose worker died keeps others off until its deadline, and no longer; where the
    tenant had its request and takes the next for a thief's, the error says so."""
    signed_in = bench.sign_in()
    held = taken(bench, signed_in)
    asked = bench.token_requests
    meanwhile(lambda: setattr(bench.clock, "now", NOW + 20))
    if refuses:
        bench.tenant.faults.add("token-invalid-grant")
        with pytest.raises(RefreshTokenReused) as caught:
            refresh(bench, held)
        assert (caught.value.status, caught.value.error) == (400, "invalid_grant")
        assert current(bench, held).grants == ()
    else:
        grant = grant_of(refresh(bench, held).session)
        assert (grant.refreshing_until, grant.is_uncertain) == (None, False)
    assert bench.token_requests == asked + 1


def test_refresh_of_another_that_fails(bench: Bench, meanwhile: Callable[..., None]) -> None:
    """Where the other could not reach the tenant, not everybody who waited tries as well."""
    signed_in = bench.sign_in()
    held = taken(bench, signed_in)
    asked = bench.token_requests
    begun, idle = grant_of(held), grant_of(signed_in.session)
    meanwhile(lambda: bench.sessions.update(held, lambda s: s.with_grant(begun, idle)))
    with pytest.raises(RefreshUnderWay) as caught:
        refresh(bench, held)
    assert (caught.value.status, caught.value.retry_after) == (409, 1)
    assert bench.token_requests == asked


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (lambda bench, held: bench.sessions.take(held), SignedOutMeanwhile),
        (
            lambda bench, held: bench.sessions.update(
                held, lambda session: dataclasses.replace(session, grants=())
            ),
            GrantRefused,
        ),
    ],
    ids=["cleared", "refused"],
)
def test_sign_in_that_ends_meanwhile(
    bench: Bench,
    meanwhile: Callable[..., None],
    end: Callable[[Bench, Stored[Session]], object],
    error: type[Exception],
) -> None:
    """Who waits hears that the session was cleared, or that the tenant ended the sign-in."""
    held = taken(bench, bench.sign_in())
    meanwhile(lambda: end(bench, held))
    with pytest.raises(error):
        refresh(bench, held)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds go by whenever somebody asks the clock that nobody can set."""
    ticks = itertools.count(0, 5)
    monkeypatch.setattr("flask_pkce.relying_party.refresh.time.monotonic", lambda: next(ticks))


@pytest.mark.usefixtures("ticking")
def test_refresh_of_a_clock_that_was_set_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited as long as a refresh may take goes on, though its deadline is far away."""
    waits: list[float] = []

    def wait(key: str, seen: bytes | None, timeout: float) -> bytes | None:
        waits.append(timeout)
        return bench.store.get(key)

    monkeypatch.setattr(bench.store, "wait", wait)
    asked = bench.token_requests
    held = taken(bench, bench.sign_in(), seconds=3600)
    grant = grant_of(refresh(bench, held).session)
    assert (grant.refreshing_until, grant.is_uncertain) == (None, False)
    assert bench.token_requests == asked + 2
    assert 1 < len(waits) < 10
    assert max(waits) <= bench.relying_party.settings.timeout + 10


@pytest.mark.usefixtures("ticking")
def test_refresh_without_end(bench: Bench, meanwhile: Callable[..., None]) -> None:
    """Nobody waits for ever, though others take the sign-in one after the other."""
    held = taken(bench, bench.sign_in(), seconds=1000)
    waits: list[None] = []

    def take_over() -> None:
        waits.append(None)
        grant = current(bench, held).grants[0]
        begun = dataclasses.replace(grant, refreshing_until=NOW + 1000 + len(waits))
        bench.sessions.update(held, lambda session: session.with_grant(grant, begun))

    asked = bench.token_requests
    meanwhile(take_over)
    with pytest.raises(RefreshUnderWay):
        refresh(bench, held)
    assert 1 < len(waits) < 10
    assert bench.token_requests == asked


@pytest.mark.usefixtures("ticking")
def test_patience_is_for_all_waits_together(bench: Bench, meanwhile: Callable[..., None]) -> None:
    """A request waits no longer where others refresh for other APIs, one after the other."""
    held = taken(bench, bench.sign_in(), seconds=1000)
    waits: list[None] = []

    def refresh_and_take_over() -> None:
        waits.append(None)
        grant = current(bench, held).grants[0]
        renewal = Renewal(
            at=NOW,
            access_token=f"token {len(waits)}",
            expires_at=None,
            scope=("openid",),
            audience="https://api.example/",
            asked_scope=None,
            id_token=None,
            spent=None,
        )
        begun = dataclasses.replace(grant, renewal=renewal)
        bench.sessions.update(held, lambda session: session.with_grant(grant, begun))

    asked = bench.token_requests
    meanwhile(refresh_and_take_over)
    with pytest.raises(RefreshUnderWay):
        refresh(bench, held)
    assert 1 < len(waits) < 10
    assert bench.token_requests == asked


@pytest.mark.requirement("UP-13")
def test_waiting_takes_a_place_of_the_tenant(bench: Bench, meanwhile: Callable[..., None]) -> None:
    """Requests that wait for another's refresh count among those that a tenant may hold."""
    held = taken(bench, bench.sign_in())
    known = bench.relying_party.tenants.default
    places_left: list[None] = []

    def look() -> None:
        with ExitStack() as places, suppress(TenantBusy):
            while True:
                places.enter_context(known.waiting())
                places_left.append(None)
        bench.clock.now = NOW + 20

    meanwhile(look)
    refresh(bench, held)
    # One is for the call that is waited for, and the request itself had one.
    assert len(places_left) == bench.relying_party.settings.max_calls - 2
    with ExitStack() as places:
        for _ in range(bench.relying_party.settings.max_calls - 1):
            places.enter_context(known.waiting())
        with pytest.raises(TenantBusy):
            refresh(bench, taken(bench, bench.sign_in()))


def test_refresh_for_another_audience_meanwhile(
    bench: Bench, hooks: Hooks, meanwhile: Callable[..., None]
) -> None:
    """What another got for its API is not for this one, which asks with the new refresh token."""
    signed_in = bench.sign_in()
    held = taken(bench, signed_in)
    begun = grant_of(held)
    requests: list[TokenRequest] = []
    hooks.before_token.append(requests.append)

    def finish() -> None:
        idle = dataclasses.replace(begun, refreshing_until=None)
        free = bench.sessions.update(held, lambda s: s.with_grant(begun, idle))
        assert free is not None
        bench.relying_party.refresh.refresh(free, idle)

    meanwhile(finish)
    refresh(bench, held, audience="https://api.example/")
    first, second = requests
    assert (first.audience, second.audience) == (None, "https://api.example/")
    assert first.refresh_token != second.refresh_token


def test_late_with_the_token_that_was_used_up(bench: Bench) -> None:
    """Who comes with the refresh token that another just used up gets what that brought."""
    signed_in = bench.sign_in()
    old = signed_in.response.refresh_token or ""
    first = refresh(bench, signed_in.session)
    asked = bench.token_requests
    bench.clock.now += 10
    grant = find(bench, first.session.value, refresh_token=old)
    late = bench.relying_party.refresh.refresh(
        first.session, grant, asked=TokenizedPKCE(refresh_token=old)
    )
    expires_in = (first.response.expires_in or 0) - 10
    assert late.response == first.response.replace(expires_in=expires_in)
    with pytest.raises(RefreshTokenUnknown):
        bench.relying_party.refresh.refresh(
            first.session,
            grant,
            asked=TokenizedPKCE(refresh_token=old),
            audience="https://api.example/",
        )
    assert bench.token_requests == asked
    bench.clock.now += 20
    with pytest.raises(RefreshTokenUnknown):
        find(bench, first.session.value, refresh_token=old)


def test_lifetime_that_is_not_told(bench: Bench, hooks: Hooks) -> None:
    """Neither is it told to those who share what another refresh brought."""
    hooks.after_token.append(lambda response: response.replace(expires_in=None))
    signed_in = bench.sign_in()
    old = signed_in.response.refresh_token
    first = refresh(bench, signed_in.session)
    late = bench.relying_party.refresh.refresh(
        first.session, grant_of(first.session), asked=TokenizedPKCE(refresh_token=old)
    )
    assert late.response.expires_in is None


def test_answer_that_was_lost(bench: Bench) -> None:
    """After a refresh whose answer never came the next may fail for reuse, and says so."""
    signed_in = bench.sign_in()
    bench.tenant.faults.add("silent")
    with pytest.raises(TenantSilent):
        refresh(bench, signed_in.session)
    bench.tenant.faults.clear()
    held = bench.sessions.reload(signed_in.session)
    assert held is not None
    assert grant_of(held).is_uncertain
    with pytest.raises(RefreshTokenReused):
        refresh(bench, held)
    assert current(bench, held).grants == ()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("is_over", [False, True])
def test_refresh_that_outlives_its_deadline(
    bench: Bench, hooks: Hooks, fails: bool, is_over: bool
) -> None:
    """A refresh that took longer than it may changes nothing of what another one did meanwhile,
    be that new tokens or the end of the sign-in."""
    signed_in = bench.sign_in()
    after: list[Session] = []

    def meanwhile(request: TokenRequest) -> None:
        if after:
            return
        after.append(signed_in.session.value)
        bench.clock.now += 60
        held = bench.sessions.reload(signed_in.session)
        assert held is not None
        if is_over:
            bench.tenant.faults.add("token-invalid-grant")
            with pytest.raises(RefreshTokenReused):
                refresh(bench, held)
            bench.tenant.faults.clear()
        else:
            refresh(bench, held)
        after.append(current(bench, held))
        if fails:
            bench.tenant.faults.add("unreachable")

    hooks.before_token.append(meanwhile)
    error: type[Exception] = TenantUnreachable if fails else GrantRefused
    if is_over and not fails:
        error = SignedOutMeanwhile
    with pytest.raises(error):
        refresh(bench, signed_in.session)
    assert current(bench, signed_in.session) == after[-1]


def test_refresh_that_was_late_and_right(bench: Bench, hooks: Hooks) -> None:
    """Where another took the sign-in over and the first got tokens after all, those of the other
    count; nothing is revoked, for that would end the other's as well."""
    signed_in = bench.sign_in()
    grant = grant_of(signed_in.session)

    def take_over(request: TokenRequest) -> None:
        held = bench.sessions.reload(signed_in.session)
        assert held is not None
        begun = grant_of(held)
        later = dataclasses.replace(begun, refreshing_until=NOW + 1000)
        bench.sessions.update(held, lambda session: session.with_grant(begun, later))

    hooks.before_token.append(take_over)
    with pytest.raises(RefreshUnderWay):
        refresh(bench, signed_in.session)
    (left,) = current(bench, signed_in.session).grants
    assert (left.refreshing_until, left.refresh_token) == (NOW + 1000, grant.refresh_token)
    assert bench.revocations == 0


def test_cleared_at_that_moment(bench: Bench) -> None:
    """Where the session is cleared before the tenant is asked, it is not asked."""
    signed_in = bench.sign_in()
    asked = bench.token_requests
    bench.sessions.take(signed_in.session)
    with pytest.raises(SignedOutMeanwhile):
        refresh(bench, signed_in.session)
    assert bench.token_requests == asked


def test_hook_that_refuses(bench: Bench, hooks: Hooks) -> None:
    """A hook that refuses new tokens has them revoked."""
    signed_in = bench.sign_in()

    def refuse(response: TokenResponse) -> None:
        raise AccessDenied()

    hooks.after_token.append(refuse)
    with pytest.raises(AccessDenied):
        refresh(bench, signed_in.session)
    assert bench.revocations == 1


@pytest.mark.parametrize(
    ("changed", "error", "ends"),
    [
        ({"expires_in": "abc"}, TenantError, False),
        ({"id_token": "no.id.token"}, IDTokenInvalid, True),
        ({}, AccessDenied, True),
    ],
)
def test_response_that_repeats_the_refresh_token(
    bench: Bench, hooks: Hooks, changed: dict[str, str], error: type[Exception], ends: bool
) -> None:
    """A tenant without rotation may repeat the refresh token.  A response that is only unusable
    leaves it good; an ID token that does not verify, or a hook that refuses, has it revoked."""
    signed_in = bench.sign_in()

    def repeat(request: TokenRequest) -> dict[str, str | None]:
        tokens = {"access_token": "an-access-token", "refresh_token": request.refresh_token}
        return {"token_type": "Bearer", **tokens, **changed}

    def refuse(response: TokenResponse) -> None:
        raise AccessDenied()

    hooks.token = repeat
    hooks.after_token.append(refuse)
    with pytest.raises(error):
        refresh(bench, signed_in.session)
    assert bench.revocations == int(ends)
    if not ends:
        hooks.token = None
        hooks.after_token.clear()
        held = bench.sessions.reload(signed_in.session)
        assert held is not None
        assert refresh(bench, held).response.refresh_token


@pytest.mark.requirement("T26", "ID-21")
@pytest.mark.parametrize("organization", [None, "org_1"])
def test_organization_is_kept(organization: str | None) -> None:
    """A refreshed ID token of another organization is nobody's that signed in."""
    bench = Bench()
    signed_in = bench.sign_in(organization=organization)
    assert refresh(bench, signed_in.session).response.claims.get("org_id") == organization
    memory = bench.tenant._provider.memory
    ((_, token),) = memory.refresh_tokens._items.values()
    moved = dataclasses.replace(token.grant, organization="org_2")
    memory.refresh_tokens.put(token.value, dataclasses.replace(token, grant=moved), 3600)
    session = bench.sessions.reload(signed_in.session)
    assert session is not None
    if organization is None:
        assert refresh(bench, session).response.claims["org_id"] == "org_2"
    else:
        with pytest.raises(IDTokenInvalid, match="org_id"):
            refresh(bench, session)


def test_refreshed_hides_its_secrets(bench: Bench) -> None:
    """What comes of a refresh shows no token."""
    refreshed = refresh(bench, bench.sign_in().session)
    shown = repr(refreshed)
    assert refreshed.response.access_token not in shown
    assert str(refreshed.response.refresh_token) not in shown
