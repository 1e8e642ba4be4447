"""Every answer is one that the document of the routes tells of."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from werkzeug.test import TestResponse

from flask_pkce.settings.model import Settings
from flask_pkce.web.openapi.document import build_document

if TYPE_CHECKING:
    from tests.web.host import Host


@functools.cache
def _document(settings: Settings) -> dict[str, Any]:
    return build_document(settings, address="http://localhost", cookie_name="pkce-80")


class Documented:
    """The document of a host's routes, against which answers are checked."""

    def __init__(self, host: Host) -> None:
        self.prefix = host.prefix
        # Without what cannot be hashed, and the document does not tell.
        settings = dataclasses.replace(host.relying_party.settings, store_url=None, proxies=None)
        self.document = _document(settings)

    def check(self, response: TestResponse) -> None:
        """Check status, media type, headers and body of an answer to what the document has."""
        path = response.request.path.removeprefix(self.prefix)
        operation = self.document["paths"].get(path, {}).get(response.request.method.lower())
        if operation is None:
            return
        told = operation["responses"].get(str(response.status_code))
        where = (path, response.request.method, response.status)
        assert told is not None, where
        for name, header in told.get("headers", {}).items():
            value = response.headers.get(name)
            assert value is not None or not header.get("required"), (where, name)
            if value is not None:
                typed = int(value) if header["schema"].get("type") == "integer" else value
                self._validator(header["schema"]).validate(typed)
        content = told.get("content")
        if content is None:
            assert not response.data, where
            return
        assert response.mimetype in content, (where, response.mimetype)
        if response.is_json:
            # The host may have replaced what reads JSON, too.
            answer = json.loads(response.data)
            self._validator(content[response.mimetype]["schema"]).validate(answer)

    def _validator(self, schema: dict[str, Any]) -> Validator:
        return Draft202012Validator({**schema, "components": self.document["components"]})
