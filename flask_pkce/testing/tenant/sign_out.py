"""Signing out at the tenant, in OpenID Connect's way and in Auth0's older one."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response, make_response, redirect, render_template, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .pages import error_page
from .provider import Provider
from .tenant_session import end_session


class SignOutPages:
    """``/oidc/logout`` and ``/v2/logout``."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def oidc_logout(self) -> Response:
        """End the session, and send the browser to ``post_logout_redirect_uri``.

        OpenID Connect RP-Initiated Logout 2 and 3
        """
        client_id = request.values.get("client_id")
        hint = request.values.get("id_token_hint")
        if hint:
            audience = self._audience(hint)
            if audience is None or client_id not in (None, audience):
                return error_page(400, "Unknown ID token", "The id_token_hint is not ours.")
            client_id = audience
        target = request.values.get("post_logout_redirect_uri")
        state = request.values.get("state")
        return self._leave(client_id, target, state)

    def v2_logout(self) -> Response:
        """End the session, and send the browser to ``returnTo``."""
        return self._leave(request.args.get("client_id"), request.args.get("returnTo"), None)

    def _leave(self, client_id: str | None, target: str | None, state: str | None) -> Response:
        if target is None:
            return end_session(self._provider, make_response(render_template("signed_out.html")))
        client = self._provider.clients.get(client_id or "")
        # Without a client, Auth0 asks the list of the tenant, which here is everybody's.
        clients = [client] if client else list(self._provider.clients.values())
        if not any(each.may_leave_to(target) for each in clients):
            return error_page(
                400,
                "Logout URL mismatch",
                "The address is not among the post_logout_redirect_uris of this application.",
                asked=target,
                registered=[uri for each in clients for uri in each.post_logout_redirect_uris],
            )
        if state is not None:
            target += ("&" if "?" in target else "?") + urlencode({"state": state})
        return end_session(self._provider, make_response(redirect(target)))

    def _audience(self, id_token: str) -> str | None:
        """Whom one of our ID tokens was for; it may have expired."""
        try:
            token = jwt.decode(id_token, KeySet(list(self._provider.keys.published)), ["RS256"])
        except (JoseError, ValueError):
            return None
        audience = token.claims.get("aud")
        return audience if isinstance(audience, str) else None
