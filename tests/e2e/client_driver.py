"""Runs in the environment of a published client, and calls its methods.

    python client_driver.py http://localhost:3000

A line of standard input is a call, ``{"method": ..., "arguments": {...}}``; a line of standard
output is what came of it: ``decoded`` by the client's models and ``raw``, or the ``error``.
"""

import json
import sys
from importlib import import_module
from typing import Any


def part(module: str, name: str) -> Any:
    """Get a part of the client, which only this environment has."""
    return getattr(import_module(f"pieces_os_client.{module}"), name)


MODELS = {
    "seeded_pkce": part("models.seeded_pkce", "SeededPKCE"),
    "tokenized_pkce": part("models.tokenized_pkce", "TokenizedPKCE"),
    "var_schema": part("models.embedded_model_schema", "EmbeddedModelSchema"),
}
ApiException = part("exceptions", "ApiException")


def call(api: Any, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a method, with models made of the arguments where it takes models."""
    given = {
        name: MODELS[name](**value) if name in MODELS else value
        for name, value in arguments.items()
    }
    try:
        answer = getattr(api, f"{method}_with_http_info")(**given)
    except ApiException as error:
        return {"error": type(error).__name__, "status": error.status, "raw": error.body}
    raw = answer.raw_data or ""
    return {
        "status": answer.status_code,
        "decoded": json.loads(answer.data.to_json()) if answer.data else None,
        "raw": raw.decode() if isinstance(raw, bytes) else raw,
    }


def main() -> None:
    """Answer line by line, until there is no more."""
    configuration = part("configuration", "Configuration")(host=sys.argv[1])
    api = part("api.pkce_api", "PKCEApi")(part("api_client", "ApiClient")(configuration))
    for line in sys.stdin:
        print(json.dumps(call(api, **json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
