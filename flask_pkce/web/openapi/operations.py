"""What each route takes and answers."""

from __future__ import annotations

import inspect
from typing import Any

from ...settings.model import Settings
from ..body import MAX_FIELDS
from ..confirmation import CONFIRMATION, DECLINE
from ..context import Route
from ..limits import MAX_WAIT
from ..login import FOREIGN
from .errors import markdown, problems
from .schemas import FIELD, answer_parameters, link_parameters, ref

_COOKIE = {
    "description": "The caller's cookie, where it is new or renewed.",
    "schema": {"type": "string"},
}


def _json(schema: dict[str, Any], *required: str) -> dict[str, Any]:
    narrowed = {**schema, "required": list(required)} if required else schema
    return {"application/json": {"schema": narrowed}}


_PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}


def _ok(
    description: str, *contents: dict[str, Any], headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    content = {kind: value for each in contents for kind, value in each.items()}
    response: dict[str, Any] = {"description": description, "headers": {"Set-Cookie": _COOKIE}}
    response["headers"].update(headers or {})
    return {**response, "content": content} if content else response


def _redirect(description: str) -> dict[str, Any]:
    location = {"required": True, "schema": {"type": "string", "format": "uri-reference"}}
    return _ok(description, headers={"Location": location})


class Operations:
    """The operations of the routes, under some settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._to_session = settings.delivers_to_session
        self._may_push = any(not each.is_public for each in settings.registrations)
        self._pkce = ref("PKCE")

    def of(self, route: Route, method: str) -> dict[str, Any]:
        """The operation of a route and one of its methods."""
        name = f"_{method.lower()}_{route.endpoint}"
        operation: dict[str, Any] = getattr(self, name)()
        responses = operation.pop("responses")
        errors = problems(route.endpoint, method, delivers_to_session=self._to_session)
        return {
            "operationId": operation.pop("operationId"),
            "tags": ["PKCE"],
            "summary": _summary(route),
            **operation,
            "responses": {**responses, **errors},
        }

    # -- security ----------------------------------------------------------------

    def _security(self, *, is_optional: bool) -> list[dict[str, list[str]]]:
        """The cookie; callers of the local session, and who has none yet, come without."""
        without: list[dict[str, list[str]]] = [{}]
        return [
            *(without if is_optional or self._settings.local_session else []),
            {"session": []},
        ]

    # -- the routes --------------------------------------------------------------

    def _get_challenge(self) -> dict[str, Any]:
        members = () if self._to_session else ("challenge",)
        return {
            "operationId": "get_challenge",
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok("A flow was started.", _json(self._pkce, *members), _PAGE),
            },
        }

    def _post_code(self) -> dict[str, Any]:
        members = ["auth0", *([] if self._to_session else ["seed"])]
        if not self._may_push:
            # One that was pushed is left out once it is of no use any more.
            members.append("authorization_url")
        applied = {
            "description": f"`wait=N`: the seconds, at most {MAX_WAIT}, that the wait might take.",
            "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
        }
        return {
            "operationId": "generate_code",
            "description": (
                "All of the body is optional: what is left out comes from the session's newest"
                " flow that was not sent yet, then from the settings. Null, an empty text, an"
                " empty list and `UNKNOWN` in an enumeration count as left out, and members that"
                " are not known are ignored. The same `state` again tells how far its flow is."
            ),
            "parameters": [
                {
                    "name": "Prefer",
                    "in": "header",
                    "description": (
                        "`wait=N` (RFC 7240), for callers of the local session: hold the answer"
                        f" until the tenant's came, for at most {MAX_WAIT} seconds. It is ignored"
                        " for all others."
                    ),
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {
                "required": False,
                "content": {
                    "application/json": {"schema": ref("SeededPKCE")},
                    "application/x-www-form-urlencoded": {"schema": _sign_in_form()},
                },
            },
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok(
                    "Where to send the browser; and once its answer is bound, that.",
                    _json(self._pkce, *members),
                    headers={"Preference-Applied": applied},
                ),
                "303": _redirect("A browser is sent to the tenant."),
            },
        }

    def _get_response_code(self) -> dict[str, Any]:
        parameters = {
            **answer_parameters(),
            "ticket": {"type": "string"},
            "again": {"type": "string"},
        }
        told = {
            "ticket": "The one-time ticket of an answer that was posted.",
            "again": "Set by a page of ours that sends the ticket once more.",
        }
        return {
            "operationId": "receive_code",
            "description": (
                "Where a browser brings the tenant's answer in the query, or the ticket of one"
                " that it posted. It gets pages, and is sent on."
            ),
            "parameters": [
                {
                    "name": name,
                    "in": "query",
                    **({"description": told[name]} if name in told else {}),
                    "schema": schema,
                }
                for name, schema in parameters.items()
            ],
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok("The sign-in is done, or a moment away.", _PAGE),
                "303": _redirect("To an address without the code, or where the sign-in ends."),
            },
        }

    def _post_response_code(self) -> dict[str, Any]:
        content, description = [_PAGE], "The browser is to go on."
        if not self._to_session:
            content = [_json(self._pkce), _PAGE]
            description = "The answer is bound; or, to a browser, a page that goes on."
        return {
            "operationId": "respond_with_code",
            "description": (
                "The redirect URI of `form_post`. For a navigation the answer is kept under a"
                " one-time ticket, which the browser then brings by GET."
                + (" Other callers are refused." if self._to_session else "")
            ),
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": ref("RespondedPKCE")}},
            },
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok(description, *content),
                "303": _redirect("To this path again, with a one-time ticket."),
            },
        }

    def _post_token(self) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": "generate_token",
            "requestBody": {
                "required": False,
                "content": {"application/json": {"schema": ref("TokenizedPKCE")}},
            },
            "security": self._security(is_optional=False),
        }
        answer = _json(self._pkce, "auth0")
        if self._to_session:
            return {
                **operation,
                "description": "Nothing is exchanged here: the answer tells who signed in.",
                "responses": {"200": _ok("Who signed in.", answer)},
            }
        return {
            **operation,
            "description": (
                "All of the body is optional: by default the newest bound answer of the session is"
                " exchanged. The published model has no member for a refresh token: it is taken"
                " from `refresh_token`, else from `code`, else it is the session's."
            ),
            "responses": {
                "200": _ok("The tokens; a browser that wants a page gets one.", answer, _PAGE),
                "303": _redirect("A browser is sent to where sign-ins end."),
            },
        }

    def _post_clear(self) -> dict[str, Any]:
        return {
            "operationId": "clear_pkce",
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok("The page of who is signed out.", _PAGE),
                "204": _ok("There is no session any more."),
                "303": _redirect("A browser is sent to where sign-outs end."),
            },
        }

    def _get_user(self) -> dict[str, Any]:
        return {
            "operationId": "get_user",
            "security": self._security(is_optional=False),
            "responses": {
                "200": {"description": "The claims.", "content": {**_json(ref("Claims")), **_PAGE}}
            },
        }

    def _get_login(self) -> dict[str, Any]:
        return {
            "operationId": "login",
            "description": (
                "For links: the browser signs in and comes back to `return_to`. A page asks the"
                " user first if the link is another site's and a user is signed in, or if it"
                " names a tenant other than the default one."
            ),
            "parameters": [
                *(
                    {"name": name, "in": "query", "schema": schema}
                    for name, schema in link_parameters().items()
                ),
                {
                    "name": FOREIGN,
                    "in": "query",
                    "description": "Set by a page of ours that follows such a link once more.",
                    "schema": {"type": "string"},
                },
            ],
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok(
                    "A page asks the user first, or another request of this browser is a moment"
                    " ahead.",
                    _PAGE,
                ),
                "303": _redirect("To the tenant."),
            },
        }

    def _post_login(self) -> dict[str, Any]:
        answers = {
            CONFIRMATION: {
                "type": "string",
                "description": (
                    "The one-time value of a sign-in that another site started, and that is to"
                    " take the place of the present one. The other fields but `decline` are"
                    " ignored then."
                ),
            },
            DECLINE: {"type": "string", "description": "Keeps the present sign-in."},
        }
        form = {
            "type": "object",
            "properties": {**link_parameters(), **answers},
            "additionalProperties": FIELD,
            "maxProperties": MAX_FIELDS,
        }
        return {
            "operationId": "confirm_login",
            "description": (
                "The user's answer to a page that asks: the parameters of the link, or the"
                " one-time value of a sign-in. Only pages of this application may post it."
            ),
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": form}},
            },
            "security": self._security(is_optional=True),
            "responses": {
                "200": _ok("Another request of this browser is a moment ahead.", _PAGE),
                "303": _redirect("To the tenant, to the callback, or where sign-ins end."),
            },
        }

    def _post_logout(self) -> dict[str, Any]:
        return {
            "operationId": "logout",
            "security": self._security(is_optional=True),
            "responses": {
                "303": _redirect("To the tenant, which sends the browser back when it is done.")
            },
        }

    def _post_back_channel_logout(self) -> dict[str, Any]:
        token = {"type": "string", "description": "A logout token (Back-Channel Logout 2.4)."}
        form = {"type": "object", "required": ["logout_token"], "additionalProperties": FIELD}
        schema = {**form, "properties": {"logout_token": token}, "maxProperties": MAX_FIELDS}
        return {
            "operationId": "back_channel_logout",
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": schema}},
            },
            "security": [],
            "responses": {
                "200": {"description": "The sign-ins that the token names are over."},
            },
        }


def _sign_in_form() -> dict[str, Any]:
    return {
        "description": "The form of a sign-in button; read only where the answer is to be HTML.",
        "type": "object",
        "properties": {
            "return_to": {
                "type": "string",
                "description": "Where the browser ends: a path of this application.",
            }
        },
        "additionalProperties": FIELD,
        "maxProperties": MAX_FIELDS,
    }


def _summary(route: Route) -> str:
    """The first line of the view's docstring, without the route that it begins with."""
    line = inspect.cleandoc(route.view.__doc__ or "").partition("\n")[0]
    said = line.partition("``: ")[2].removesuffix(".")
    return markdown(said[:1].upper() + said[1:])
