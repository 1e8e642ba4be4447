"""The routes beside the published five: sign in by a link, and sign out at the tenant, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response

from ..errors import ReturnAddressRefused
from ..protocol.urls import is_local_path
from ..sessions.session import Grant
from .body import read_form, read_query
from .confirmation import (
    CONFIRMATION,
    DECLINE,
    LOGIN_PATH,
    Link,
    UserAnswer,
    ask_about_link,
    take_answer,
)
from .context import RequestContext
from .guard import check_link
from .models import read_seed
from .responses import HiddenText, empty, page, see_other

#: What a link may say: which tenant, and what to ask it for; an invitation's leads here with its
#: organization.
_LINKED = ("domain", "client_id", "screen_hint", "organization", "invitation")
_LINKED_ADDITIONAL = ("max_age", "acr_values", "connection", "login_hint", "ui_locales")

#: All that a link to ``/pkce/login`` can ask for.
LINK_PARAMETERS = ("return_to", *_LINKED, *_LINKED_ADDITIONAL)

#: Set by a page of ours that follows a foreign link once more: its own request is no foreign one.
FOREIGN = "foreign"

#: The parameters of a link that choose no tenant.  A ``tenant_loader`` may read any other.
_NAMES_NO_TENANT = frozenset({*LINK_PARAMETERS, FOREIGN}) - {"domain", "client_id"}

#: Claims of the ID token that are the protocol's, and not the user's.
_PROTOCOL_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})


def user_claims(grant: Grant) -> dict[str, Any]:
    """What the ID token says of the user."""
    return {name: value for name, value in grant.claims.items() if name not in _PROTOCOL_CLAIMS}


def return_address(parameters: Mapping[str, str]) -> str | None:
    """Where the browser goes in the end, as it asks for.

    :raises ReturnAddressRefused: if that is no path of this application.
    """
    return_to = parameters.get("return_to") or None
    if return_to is not None and not is_local_path(return_to):
        raise ReturnAddressRefused(field="return_to")
    return return_to


def link(context: RequestContext) -> None:
    """Any site may link here; only this application's pages may post here."""
    if context.request.method == "POST":
        context.check_origin()
    else:
        check_link(context.request)


def anybody(_: RequestContext) -> None:
    """Who asks proves it by what it brings."""


def login(context: RequestContext) -> Response:
    """``/pkce/login``: send the browser to the tenant, as a link does, or ask the user first.

    OpenID Connect Core 4
    """
    asked = _read_login(context)
    if isinstance(asked, UserAnswer):
        return take_answer(context, asked)
    caller = context.caller()
    if caller.is_outrun and context.html and asked.is_foreign:
        # The page that reloads is ours; the link is another origin's all the same.
        return page("redeeming.html", refresh="1", location=_again(context, asked))
    session = caller.owner_to_start.session
    question = ask_about_link(context, asked, session) if asked.is_foreign else None
    if question is not None:
        return question
    presence = context.relying_party.presence
    user = presence.asked_again(session, asked.seed) if session is not None else None
    sent = context.relying_party.sign_in.authorize(
        caller.owner,
        asked.seed,
        callback_url=context.callback_url,
        return_to=asked.return_to,
        user=user,
        is_foreign=asked.is_foreign,
    )
    context.pointer = sent.pointer
    return see_other(sent.authorization_url)


def _read_login(context: RequestContext) -> Link | UserAnswer:
    """Read a link, the form of a page of ours, or the user's answer to a question."""
    is_posted = context.request.method == "POST"
    given = read_form(context.request) if is_posted else read_query(context.request)
    if is_posted and CONFIRMATION in given:
        return UserAnswer(given[CONFIRMATION], is_declined=DECLINE in given)
    fields = {name: given[name] for name in LINK_PARAMETERS if name in given}
    return_to = return_address(fields)
    seed = read_seed(
        {
            **{name: fields[name] for name in _LINKED if name in fields},
            "ADDITIONAL_PARAMETERS": {
                name: fields[name] for name in _LINKED_ADDITIONAL if name in fields
            },
        }
    )
    return Link(
        given=given,
        fields=fields,
        seed=seed,
        return_to=return_to,
        is_foreign=not is_posted and (context.is_foreign or FOREIGN in given),
        names_tenant=not given.keys() <= _NAMES_NO_TENANT,
    )


def _again(context: RequestContext, link: Link) -> HiddenText:
    """Return the address at which a browser follows a foreign link once more."""
    query = urlencode({**link.given, FOREIGN: ""})
    return HiddenText(f"{context.site.route(LOGIN_PATH, context.request)}?{query}")


def logout(context: RequestContext) -> Response:
    """``POST /pkce/logout``: end the session here, and then at the tenant."""
    return end_session(context)


def end_session(
    context: RequestContext,
    *,
    return_to: str | None = None,
    everywhere: bool = False,
    at_tenant: bool = True,
) -> Response:
    """End the session of a caller.

    :param return_to: a path of this application, for the browser in the end; by default
        ``PKCE_UNAUTHENTICATED_URL``.
    :param everywhere: whether the user's other sessions end, too.
    :param at_tenant: whether the browser is sent to the tenant, to end its session there.
    """
    caller = context.caller()
    # While the callback exchanges a code, the renewed cookie is not in the browser yet.
    session = caller.owner.session or caller.outrun_session
    grant = session.value.grant(now=context.relying_party.clock()) if session is not None else None
    if everywhere and grant is not None:
        context.relying_party.sign_out.everywhere(grant.issuer, grant.subject)
    if session is not None:
        context.relying_party.sign_out.clear(session)
    destination = return_to or context.settings.unauthenticated_url or "/"
    url = None
    if at_tenant:
        address = context.site.address(destination, context.request)
        # The old cookie, which may be planted or stolen, learns nothing of the user.
        is_known = caller.owner.session is not None
        url = context.relying_party.sign_out.logout_url(
            grant, return_to=address, names_user=is_known
        )
    response = see_other(url or context.site.destination(destination, context.request))
    if caller.has_cookie:
        context.delete_cookie(response)
    return response


def back_channel_logout(context: RequestContext) -> Response:
    """``POST /pkce/logout/backchannel``: the tenant reports that it signed a user out.

    OpenID Connect Back-Channel Logout 2.5 and 2.8
    """
    # Tenants read JSON, even those whose HTTP client prefers HTML by default, as Java's does.
    context.html = False
    context.relying_party.sign_out.by_tenant(read_form(context.request).get("logout_token", ""))
    return empty()
