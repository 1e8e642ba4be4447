"""The tenant as a Flask application, with Auth0's paths."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request

from .endpoints import Endpoints
from .models import RecordedRequest
from .pages import AuthorizationPages, error_page
from .provider import Provider
from .server import TenantServer
from .sign_out import SignOutPages

#: No form-action: browsers apply it to the redirects that follow a form too, and these lead to
#: the application and on to wherever it likes.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data:;"
    " base-uri 'none'; frame-ancestors 'none'"
)


def build_app(provider: Provider) -> Flask:
    """Make the application of a tenant."""
    app = Flask(__name__, static_folder=None)
    server = TenantServer(app, provider)
    pages = AuthorizationPages(provider, server)
    sign_out = SignOutPages(provider)
    endpoints = Endpoints(provider, server)

    @app.before_request
    def record_and_check_host() -> Response | None:
        g.nonce = secrets.token_urlsafe(16)
        provider.requests.append(
            RecordedRequest(
                request.method,
                request.path,
                tuple(sorted(request.form)),
                tuple(sorted(request.args)),
            )
        )
        if request.host != provider.domain:
            # A name that somebody lets resolve to this machine must not reach the tenant.
            return error_page(400, "Unknown host", f"This tenant is {provider.issuer}.")
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        # The application may want to see the Origin of a form_post.
        response.headers["Referrer-Policy"] = "strict-origin"
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(g.nonce)
        return response

    rules = (
        ("/authorize", pages.authorize, ["GET", "POST"]),
        ("/oauth/token", endpoints.token, ["POST"]),
        ("/oauth/par", endpoints.push, ["POST"]),
        ("/oauth/revoke", endpoints.revoke, ["POST"]),
        ("/userinfo", endpoints.userinfo, ["GET", "POST"]),
        ("/oidc/logout", sign_out.oidc_logout, ["GET", "POST"]),
        ("/v2/logout", sign_out.v2_logout, ["GET"]),
        ("/.well-known/openid-configuration", endpoints.metadata, ["GET"]),
        ("/.well-known/oauth-authorization-server", endpoints.metadata, ["GET"]),
        ("/.well-known/jwks.json", endpoints.keys, ["GET"]),
    )
    for path, view, methods in rules:
        app.add_url_rule(path, path.strip("/").replace(".", "-"), view, methods=methods)
    return app
