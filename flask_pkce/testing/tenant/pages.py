"""The pages on which a person signs in, signs up and consents."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from flask import Response, make_response, redirect, render_template, request

from .memory import Grant, TenantSession
from .models import TenantUser
from .provider import Provider
from .pushed import asked, spend, take_up
from .server import CodeGrant, TenantServer
from .tenant_session import current_session, new_session, remember

#: Seconds for which a page that asks for consent is good.
QUESTION_LIFETIME = 600


class AuthorizationPages:
    """``/authorize``: the request is its query, on every page that a sign-in passes through.

    :rfc:`6749#section-4.1.1`
    """

    def __init__(self, provider: Provider, server: TenantServer) -> None:
        self._provider = provider
        self._server = server

    def authorize(self) -> Response:
        """Answer an authorization request, or ask the person first."""
        if not take_up(self._provider):
            return error_page(
                400, "Unknown request", "The request was not pushed, or it expired or was used."
            )
        refusal = self._refusal()
        if refusal:
            return refusal
        if asked().get("response_type") != "code":
            return self._fail("unsupported_response_type", "The only response type is code")
        session = current_session(self._provider)
        has_consented = session is not None and self._has_consented(session)
        if session and self._is_too_old(session) and not has_consented:
            session = None
        try:
            grant = self._server.consent_grant(session)
        except OAuth2Error as error:
            return self._fail(str(error.error), error.get_error_description())
        action = request.form.get("action")
        if action == "cancel":
            return self._fail("access_denied", "User did not authorize the request")
        if action in ("login", "signup"):
            return self._identify(grant, signing_up=action == "signup")
        if session and has_consented:
            return self._issue(grant, session)
        if session is None or grant.prompt in ("login", "select_account"):
            return self._sign_in_page()
        if grant.prompt == "consent":
            return self._consent_page(session)
        return self._issue(grant, session)

    # -- refusing ------------------------------------------------------------

    def _refusal(self) -> Response | None:
        """The page for a request whose answer could go to anybody.

        :rfc:`6749#section-4.1.2.1`
        """
        client = self._provider.clients.get(asked().get("client_id", ""))
        for name in ("client_id", "redirect_uri"):
            if len(asked().getlist(name)) > 1:
                return error_page(400, "Malformed request", f"The parameter {name} is repeated.")
        if client is None:
            return error_page(400, "Unknown client", "No application has this client_id.")
        if not client.may_redirect_to(asked().get("redirect_uri", "")):
            return error_page(
                403,
                "Callback URL mismatch",
                "The redirect_uri is not among those registered for this application.",
                asked=request.args.get("redirect_uri", ""),
                registered=client.redirect_uris,
            )
        # A form of another site must not sign this browser in as somebody else.
        if request.headers.get("Origin", self._provider.origin) != self._provider.origin:
            return error_page(403, "Foreign form", "This form does not come from the tenant.")
        return None

    def _fail(self, error: str, description: str | None) -> Response:
        params = {"error": error}
        if description:
            params["error_description"] = description
        return self._answer(params)

    # -- asking --------------------------------------------------------------

    def _identify(self, grant: CodeGrant, signing_up: bool) -> Response:
        email = request.form.get("email", "").strip()
        password = request.form.get("password", "")
        user: TenantUser | None
        if signing_up:
            if "@" not in email or len(password) < 8:
                return self._sign_in_page("Give an e-mail address, and 8 characters or more.")
            name = request.form.get("name", "").strip()
            user = self._provider.sign_up(email, password, name)
            if user is None:
                return self._sign_in_page("There is an account with this address already.")
        else:
            user = self._provider.find_user(email)
            if user is None or not secrets.compare_digest(
                user.password.encode(), password.encode()
            ):
                return self._sign_in_page("Wrong e-mail address or password.")
        session = new_session(self._provider, user)
        if "consent" in asked().get("prompt", "").split():
            return remember(self._provider, session, self._consent_page(session))
        return remember(self._provider, session, self._issue(grant, session))

    def _sign_in_page(self, problem: str = "") -> Response:
        # In the address of a request that was pushed, it is from the link below.
        hint = request.args.get("screen_hint") or asked().get("screen_hint")
        signing_up = hint == "signup"
        other = {**request.args, "screen_hint": "login" if signing_up else "signup"}
        page = render_template(
            "sign_up.html" if signing_up else "sign_in.html",
            problem=problem,
            email=request.form.get("email") or asked().get("login_hint", ""),
            name=request.form.get("name", ""),
            organization=asked().get("organization"),
            invitation=asked().get("invitation"),
            client_id=asked()["client_id"],
            demo_users=self._provider.demo_users,
            other_url=f"?{urlencode(other)}",
        )
        return make_response(page, 400 if problem else 200)

    def _consent_page(self, session: TenantSession) -> Response:
        question = secrets.token_urlsafe(24)
        self._provider.memory.questions.put(question, session.sid, QUESTION_LIFETIME)
        page = render_template(
            "consent.html",
            question=question,
            user=session.user,
            client_id=asked()["client_id"],
            scopes=asked().get("scope", "").split(),
            audience=asked().get("audience"),
        )
        return make_response(page)

    def _has_consented(self, session: TenantSession) -> bool:
        """Tell whether this is the answer to a question that we asked this browser."""
        if request.form.get("action") != "allow":
            return False
        question = request.form.get("question", "")
        return self._provider.memory.questions.take(question) == session.sid

    def _is_too_old(self, session: TenantSession) -> bool:
        """Tell whether ``max_age`` asks for the password again."""
        max_age = asked().get("max_age", "")
        # 0 always asks, also in the second of the sign-in; what is no number is refused later.
        return max_age.isdecimal() and self._provider.now - session.auth_time >= int(max_age)

    # -- answering -----------------------------------------------------------

    def _issue(self, grant: CodeGrant, session: TenantSession) -> Response:
        """Send the browser back with a code.

        :rfc:`6749#section-4.1.2`
        """
        grant.request.user = Grant(
            id=secrets.token_urlsafe(16),
            client_id=asked()["client_id"],
            user=session.user,
            scope=grant.request.scope,
            audience=asked().get("audience"),
            organization=asked().get("organization"),
            sid=session.sid,
            auth_time=session.auth_time,
        )
        code = grant.generate_authorization_code()
        grant.save_authorization_code(code, grant.request)
        return self._answer({"code": code})

    def _answer(self, params: Mapping[str, str]) -> Response:
        """Send an authorization response in the way that was asked for.

        OAuth 2.0 Form Post Response Mode 2; :rfc:`9207#section-2`
        """
        spend(self._provider)
        response = dict(params)
        if "state" in asked():
            response["state"] = asked()["state"]
        if self._provider.sends_iss:
            response["iss"] = self._provider.issuer
        response = self._provider.spoil("authorization_response", response)
        redirect_uri = asked()["redirect_uri"]
        if asked().get("response_mode") == "form_post":
            page = render_template("form_post.html", action=redirect_uri, params=response)
            return make_response(page)
        return make_response(redirect(add_params_to_uri(redirect_uri, list(response.items()))))


def error_page(status: int, title: str, explanation: str, **addresses: object) -> Response:
    """A page for an error that must not be sent on to anybody.

    :param addresses: the redirect URI that was ``asked`` for, and those that are ``registered``.
    """
    page = render_template("error.html", title=title, explanation=explanation, **addresses)
    return make_response(page, status)
