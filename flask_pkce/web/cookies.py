"""The one cookie: a signed pointer to a session on the server.

:rfc:`6265`
"""

from __future__ import annotations

from flask import Request, Response

#: Cookies of our name, above which somebody plants them, and none is looked at.
_MAX_COOKIES = 4


def read_cookies(request: Request, name: str) -> list[str]:
    """Every value that came under our name: another subdomain may have planted some."""
    values = request.cookies.getlist(name)
    return values if len(values) <= _MAX_COOKIES else []


def set_cookie(response: Response, name: str, value: str, *, secure: bool) -> None:
    """Set the cookie, for as long as the browser runs."""
    response.set_cookie(name, value, path="/", secure=secure, httponly=True, samesite="Lax")


def delete_cookie(response: Response, name: str, *, secure: bool) -> None:
    """Delete the cookie, with the attributes that it was set with."""
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Lax")
