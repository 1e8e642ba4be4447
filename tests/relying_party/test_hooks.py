"""The hooks of a host: their order, what they may do, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flask_pkce.errors import AccessDenied, PKCEError, TenantLimit
from flask_pkce.protocol.authorization import AuthorizationRequest, AuthorizationResponse
from flask_pkce.protocol.token import TokenRequest, TokenResponse
from flask_pkce.relying_party.hooks import (
    Hook,
    HookRunner,
    Hooks,
    TenantCall,
    failed,
    signed_in,
    tenant_called,
)
from tests.support import CALLBACK, CHALLENGE, CLIENT_ID, ISSUER, Bench, told

REQUEST = AuthorizationRequest(
    client_id=CLIENT_ID,
    redirect_uri=CALLBACK,
    scope=("openid",),
    state="s",
    nonce="n",
    code_challenge=CHALLENGE,
)
ANSWER = AuthorizationResponse(code="c", state="s", issuer=ISSUER)
TOKEN_REQUEST = TokenRequest(grant_type="authorization_code", code="c")
TOKENS = TokenResponse(
    access_token="a", expires_in=60, scope=("openid",), claims={"iss": ISSUER, "sub": "alice"}
)


def runner(hooks: Hooks, ensure_sync: Callable[[Hook], Hook] = lambda hook: hook) -> HookRunner:
    return HookRunner(hooks, ensure_sync=ensure_sync, sender="the application")


#: Each kind of hook: where it is registered, what runs it, and the value it gets.
RUNS: dict[str, tuple[Callable[[HookRunner], Callable[[Any], Any]], Any]] = {
    "before_authorize": (lambda run: run.before_authorize, REQUEST),
    "after_authorize": (lambda run: run.after_authorize, ANSWER),
    "before_token": (lambda run: run.before_token, TOKEN_REQUEST),
    "after_token": (lambda run: run.after_token, TOKENS),
    "on_error": (lambda run: run.on_error, TenantLimit()),
}
CHANGING = ("before_authorize", "before_token", "after_token")


def run(name: str, *hooks: Hook, ensure_sync: Callable[[Hook], Hook] = lambda hook: hook) -> Any:
    """Run hooks of that kind on its value."""
    method, value = RUNS[name]
    registered = Hooks()
    getattr(registered, name).extend(hooks)
    return method(runner(registered, ensure_sync))(value)


@pytest.mark.parametrize("name", RUNS)
def test_order(name: str) -> None:
    """Hooks run in order of registration, each with the value."""
    heard: list[tuple[int, Any]] = []
    run(name, lambda value: heard.append((1, value)), lambda value: heard.append((2, value)))
    assert heard == [(1, RUNS[name][1]), (2, RUNS[name][1])]


@pytest.mark.parametrize("name", CHANGING)
def test_none_leaves_things_be(name: str) -> None:
    """A hook that returns None, or none at all, changes nothing."""
    assert run(name, lambda value: None) is RUNS[name][1]
    assert run(name) is RUNS[name][1]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("error", [AccessDenied("Not you."), RuntimeError("a mistake")])
def test_refusing(name: str, error: Exception) -> None:
    """A hook that raises refuses, and no later one runs."""
    later: list[object] = []

    def refuse(value: object) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        run(name, refuse, later.append)
    assert later == []


def test_each_hook_gets_what_the_one_before_made() -> None:
    """Changes add up."""
    first = run(
        "before_authorize",
        lambda request: request.replace(prompt="login"),
        lambda request: request.replace(screen_hint=f"after {request.prompt}"),
    )
    assert (first.prompt, first.screen_hint) == ("login", "after login")
    changed = run("before_token", lambda request: request.replace(audience="api"))
    assert changed == TOKEN_REQUEST.replace(audience="api")
    changed = run(
        "after_token",
        lambda response: response.replace(claims={**response.claims, "role": "admin"}),
    )
    assert changed.claims["role"] == "admin"


@pytest.mark.parametrize("name", ["after_authorize", "on_error"])
def test_what_an_observing_hook_returns_is_ignored(name: str) -> None:
    """These hooks are told; there is nothing to change any more."""
    heard: list[object] = []
    assert run(name, lambda value: "something", heard.append) is None
    assert heard == [RUNS[name][1]]


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("before_authorize", lambda request: request.replace(state="other")),
        ("before_authorize", lambda request: request.replace(scope=("email",))),
        ("before_token", lambda request: request.replace(code="other")),
        ("after_token", lambda response: response.replace(claims={"sub": "bob"})),
    ],
)
def test_forbidden_change(name: str, forbidden: Hook) -> None:
    """A hook that would cut a tie is stopped before the next one runs."""
    later: list[object] = []
    with pytest.raises(ValueError, match="hook"):
        run(name, forbidden, later.append)
    assert later == []


@pytest.mark.parametrize("name", CHANGING)
def test_hook_that_returns_something_else(name: str) -> None:
    """A hook that returns another kind of value is told what it must return."""
    with pytest.raises(TypeError, match=f"{name} hook returns a"):
        run(name, lambda value: "something")


def _in_a_loop(hook: Hook) -> Hook:
    if not asyncio.iscoroutinefunction(hook):
        return hook
    return lambda value: asyncio.run(hook(value))


@pytest.mark.parametrize("name", RUNS)
def test_async_hooks(name: str) -> None:
    """An ``async`` hook works as Flask's views do, among others that are not."""
    heard: list[object] = []

    async def hear(value: object) -> None:
        await asyncio.sleep(0)
        heard.append(value)

    run(name, hear, heard.append, ensure_sync=_in_a_loop)
    assert heard == [RUNS[name][1]] * 2


def test_functions_that_replace_ours() -> None:
    """The host's own functions get the request, and their result is used."""
    nothing = runner(Hooks())
    assert nothing.replaced_authorize(REQUEST) is None
    assert nothing.token_function is None

    async def token(request: TokenRequest) -> dict[str, str | None]:
        return {"access_token": request.code}

    own = runner(
        Hooks(authorize=lambda request: f"https://x/{request.state}", token=token), _in_a_loop
    )
    assert own.replaced_authorize(REQUEST) == "https://x/s"
    assert own.token_function is not None
    assert own.token_function(TOKEN_REQUEST) == {"access_token": "c"}


@pytest.mark.parametrize("document", [None, "text", [("access_token", "x")]])
def test_token_function_that_returns_something_else(document: Any) -> None:
    """What the host's function returns in place of the tenant's answer is an object."""
    own = runner(Hooks(token=lambda request: document))
    assert own.token_function is not None
    with pytest.raises(TypeError, match="token function returns the JSON object"):
        own.token_function(TOKEN_REQUEST)


def test_receiver_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that raises is logged; the others hear, and nothing is undone."""

    def fall_over(sender: object, **values: object) -> None:
        raise RuntimeError("a mistake of the host")

    with told(signed_in) as heard, signed_in.connected_to(fall_over):
        runner(Hooks()).tell(signed_in, response=TOKENS)
    assert heard == [{"response": TOKENS}]
    assert [record.message for record in caplog.records] == ["signal-receiver-failed: signed-in"]
    assert "a mistake of the host" in caplog.text


def test_signals_only_tell() -> None:
    """A signal comes from the application; what a receiver returns is ignored."""
    senders: list[object] = []

    def hear(sender: object, **values: object) -> str:
        senders.append(sender)
        return "ignored"

    with told(signed_in) as heard, signed_in.connected_to(hear):
        runner(Hooks()).tell(signed_in, response=TOKENS)
    assert heard == [{"response": TOKENS}]
    assert senders == ["the application"]


def test_signals_are_apart() -> None:
    """Who listens to one signal hears no other."""
    error = PKCEError()
    with told(signed_in) as heard, told(failed) as errors:
        runner(Hooks()).tell(failed, error=error)
    assert (heard, errors) == ([], [{"error": error}])


def test_calls_to_the_tenant() -> None:
    """Who listens is told of a call; where nobody does, nothing is made."""
    call = TenantCall(endpoint="token", issuer=ISSUER, seconds=0.25, status=200, error=None)
    with told(tenant_called) as heard:
        runner(Hooks()).tell_of_call("token", ISSUER, 0.25, 200, None)
    assert heard == [{"call": call}]
    runner(Hooks()).tell_of_call("token", ISSUER, 0.25, 200, None)
    assert heard == [{"call": call}]


def test_calls_of_a_sign_in() -> None:
    """A sign-in that is ended again calls these, and in none of it is a secret or an address."""
    with told(tenant_called) as heard:
        bench = Bench()
        signed_in = bench.sign_in()
        bench.relying_party.sign_out.clear(signed_in.session)
    calls = [each["call"] for each in heard]
    endpoints = ["discovery", "keys", "token", "revocation"]
    assert [call.endpoint for call in calls] == endpoints
    assert {(call.issuer, call.status, call.error) for call in calls} == {(ISSUER, 200, None)}
    assert all(f"{call.issuer}oauth" not in repr(call) for call in calls)
