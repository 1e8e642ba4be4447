"""Stands in for ``pieces_os_client`` where an example uses it.

It sends real requests; the end-to-end tests run the published clients themselves.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Self

import requests


class Configuration:
    """Where the server is."""

    def __init__(self, host: str) -> None:
        self.host = host


class ApiClient:
    """Holds the configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class PKCEApi:
    """The methods that the examples call."""

    def __init__(self, client: ApiClient) -> None:
        self._host = client.configuration.host

    def generate_code_with_http_info(self) -> Any:
        """``POST /pkce/code``, with the raw answer."""
        return SimpleNamespace(raw_data=self._post("/pkce/code").content)

    def generate_token(self) -> Any:
        """``POST /pkce/token``."""
        return self._post("/pkce/token").json(object_hook=lambda pairs: SimpleNamespace(**pairs))

    def _post(self, path: str) -> requests.Response:
        response = requests.post(self._host + path, timeout=10)
        response.raise_for_status()
        return response
