"""Members of the published models that are not what they must be."""

from __future__ import annotations

from typing import Any

from tests.web.test_code import CHALLENGE, VERIFIER

FORGED = f"pkce1.{'A' * 39}.{'A' * 43}"

ODD_TEXTS = {
    "a newline": "a\nb",
    "a carriage return": "a\r\nSet-Cookie: x=y",
    "NUL": "a\0b",
    "DEL": "a\x7fb",
    "a C1 control": "a\x85b",
    "a line separator": "a\u2028b",
}

#: A body, the code of its error, and the field that is named.
SEEDS: dict[str, tuple[dict[str, Any], str, str]] = {
    **{
        f"response_type {value}": (
            {"response_type": value},
            "response-type-unsupported",
            "$.response_type",
        )
        for value in ("token", "id_token", "code token", "none", "CODE")
    },
    **{
        f"{name} {value!r}": ({name: value}, "parameter-invalid", f"$.{name}")
        for name, values in {
            "code_challenge_method": ("plain", "s256", "S512", 1),
            "response_mode": ("fragment", "web_message", "form_post.jwt", "FORM_POST", ["query"]),
            "screen_hint": ("sign-up", "SIGNUP", 0),
            "prompt": ("maybe", "none login", "login login", "LOGIN", " login", True),
            "state": ("with space", "é", "x" * 513, 1, ["a"], {"a": "b"}, "a\tb"),
            "nonce": ("with space", "é", "x" * 513, 1.5),
            "scope": (5, {"openid": True}, ["openid"] * 65),
            "client_id": (5, ["a"], "x" * 2049),
            "redirect_uri": (5, False),
            "domain": (5, ["tenant.example"]),
            "audience": (5, {}),
            "organization": (5, "x" * 129),
            "invitation": ("without-organization", 5),
            "ADDITIONAL_PARAMETERS": ("access_type=offline", ["a"], 1),
            "schema": (1, "x", ["a"]),
        }.items()
        for value in values
    },
    **{
        f"code_challenge {value!r}": (
            {"code_challenge": value, "code_challenge_method": "S256"},
            "parameter-invalid",
            "$.code_challenge",
        )
        for value in (
            CHALLENGE[:-1],
            CHALLENGE + "A",
            CHALLENGE + "=",
            "+" + CHALLENGE[1:],
            "/" + CHALLENGE[1:],
            # Bits that no encoder would set.
            CHALLENGE[:-1] + "N",
            CHALLENGE + "\n",
        )
    },
    "invitation too long": (
        {"organization": "org_1", "invitation": "x" * 129},
        "parameter-invalid",
        "$.invitation",
    ),
    "code_challenge without its method": (
        {"code_challenge": CHALLENGE},
        "parameter-invalid",
        "$.code_challenge_method",
    ),
    "code_challenge with method UNKNOWN": (
        {"code_challenge": CHALLENGE, "code_challenge_method": "UNKNOWN"},
        "parameter-invalid",
        "$.code_challenge_method",
    ),
    **{
        f"scope {value!r}": ({"scope": value}, code, field)
        for value, code, field in (
            (["openid", "profile email"], "parameter-invalid", "$.scope[1]"),
            (["openid", 'a"b'], "parameter-invalid", "$.scope[1]"),
            (["openid\\admin"], "parameter-invalid", "$.scope[0]"),
            (["openid", 5], "parameter-invalid", "$.scope[1]"),
            (["openid\tadmin"], "parameter-invalid", "$.scope"),
            (["openid", "admin"], "parameter-foreign", "$.scope"),
            ("openid admin", "parameter-foreign", "$.scope"),
            (["profile"], "scope-invalid", "$.scope"),
        )
    },
    **{
        f"{name} {value}": ({name: value}, "parameter-foreign", f"$.{name}")
        for name, values in {
            "client_id": ("another-client", "LOCAL-CLIENT", "local-client "),
            "audience": ("https://api.example/", "https://tenant.example/userinfo/"),
            "redirect_uri": (
                "http://localhost/pkce/response/code/",
                "http://localhost:80/pkce/response/code",
                "http://LOCALHOST/pkce/response/code",
                "https://localhost/pkce/response/code",
                "http://localhost/pkce/response/code?a=b",
                "http://localhost/pkce/response/code#a",
                "http://127.0.0.1/pkce/response/code",
                "https://attacker.example/",
                "javascript:alert(1)",
            ),
            "domain": (
                "attacker.example",
                "tenant.example@attacker.example",
                "tenant.example\\.attacker.example",
                "tenant.example.",
                "http://tenant.example",
                "tenant.example:8443",
                "https://tenant.example/authorize/x",
                "https://tenant.example/?a",
                "//tenant.example",
                "169.254.169.254",
            ),
        }.items()
        for value in values
    },
    **{
        f"ADDITIONAL_PARAMETERS {name}={value!r}": (
            {"ADDITIONAL_PARAMETERS": {name: value}},
            code,
            f"$.ADDITIONAL_PARAMETERS.{name}",
        )
        for name, value, code in (
            ("access_type", "sometimes", "parameter-invalid"),
            ("display", "hologram", "parameter-invalid"),
            ("connection", "x" * 129, "parameter-invalid"),
            ("ui_locales", "en;fr", "parameter-invalid"),
            ("max_age", "-1", "parameter-invalid"),
            ("max_age", -1, "parameter-invalid"),
            ("max_age", "1.5", "parameter-invalid"),
            ("max_age", "9" * 10, "parameter-invalid"),
            ("acr_values", "é", "parameter-invalid"),
            ("state", "x", "parameter-foreign"),
            ("client_id", "x", "parameter-foreign"),
            ("redirect_uri", "x", "parameter-foreign"),
            ("response_type", "x", "parameter-foreign"),
            ("code_challenge", "x", "parameter-foreign"),
            ("nonce", "x", "parameter-foreign"),
            ("request_uri", "https://attacker.example/", "parameter-foreign"),
            ("request", "eyJ", "parameter-foreign"),
            ("resource", "https://api.example/", "parameter-foreign"),
            ("dpop_jkt", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "parameter-foreign"),
            ("correlation_id", "x", "parameter-foreign"),
            ("session_transfer_token", "x", "parameter-foreign"),
            ("authorization_details", "[]", "parameter-foreign"),
            ("id_token_hint", "e.y.J", "parameter-foreign"),
            ("organization", "org_1", "parameter-foreign"),
            ("invitation", "x", "parameter-foreign"),
            ("ext-", "x", "parameter-foreign"),
            ("ext-a.b", "x", "parameter-foreign"),
            ("Access_Type", "offline", "parameter-foreign"),
        )
    },
    **{
        f"ADDITIONAL_PARAMETERS of {value!r}": (
            {"ADDITIONAL_PARAMETERS": {"max_age": value}},
            "parameter-invalid",
            "$.ADDITIONAL_PARAMETERS",
        )
        for value in (True, 1.5, ["1"], {"a": 1})
    },
    "login_hint of 10 kB": (
        {"ADDITIONAL_PARAMETERS": {"login_hint": "x" * 10_000}},
        "parameter-invalid",
        "$.ADDITIONAL_PARAMETERS",
    ),
    "eleven ext- parameters": (
        {"ADDITIONAL_PARAMETERS": {f"ext-{number}": "x" for number in range(11)}},
        "parameter-invalid",
        "$.ADDITIONAL_PARAMETERS",
    ),
    **{
        f"schema {value!r}": ({"schema": value}, "parameter-invalid", field)
        for value, field in (
            ({"migration": "0"}, "$.schema.migration"),
            ({"migration": 1.5}, "$.schema.migration"),
            ({"migration": 0, "semantic": 1}, "$.schema.semantic"),
        )
    },
    **{
        f"{name} with {what}": ({name: text}, code, f"$.{name}")
        for what, text in ODD_TEXTS.items()
        for name, code in (
            ("client_id", "parameter-invalid"),
            ("redirect_uri", "parameter-invalid"),
            ("domain", "parameter-invalid"),
            ("audience", "parameter-invalid"),
            ("organization", "parameter-invalid"),
            ("state", "parameter-invalid"),
            ("nonce", "parameter-invalid"),
            ("prompt", "parameter-invalid"),
        )
    },
    **{
        f"login_hint with {what}": (
            {"ADDITIONAL_PARAMETERS": {"login_hint": text}},
            "parameter-invalid",
            "$.ADDITIONAL_PARAMETERS",
        )
        for what, text in ODD_TEXTS.items()
    },
    **{
        f"schema with {what}": (
            {"schema": {"migration": 0, "semantic": text}},
            "parameter-invalid",
            "$.schema.semantic",
        )
        for what, text in ODD_TEXTS.items()
    },
    "state forged": ({"state": FORGED}, "state-forged", ""),
}

TOKENS: dict[str, tuple[dict[str, Any], str, str]] = {
    **{
        f"grant_type {value!r}": (
            {"grant_type": value},
            "grant-type-unsupported",
            "$.grant_type",
        )
        for value in (
            "password",
            "client_credentials",
            "implicit",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "AUTHORIZATION_CODE",
            "refresh-token",
        )
    },
    **{
        f"{name} {value!r}": ({name: value}, "parameter-invalid", f"$.{name}")
        for name, values in {
            "grant_type": (1, ["refresh_token"]),
            "client_id": (1, {}),
            "redirect_uri": (1, "a\nb", "x" * 2049),
            "audience": (1, "a\0b"),
            "code": (1, "a\x7f", "é", "a\nb", "x" * 4097),
            "code_verifier": (
                1,
                VERIFIER[:-1],
                "x" * 129,
                VERIFIER[:-1] + "\n",
                VERIFIER[:-1] + "+",
                VERIFIER[:-1] + "é",
            ),
            "refresh_token": (1, "goes-with-another-grant"),
            "schema": ("x", 1),
        }.items()
        for value in values
    },
    **{
        f"{name} {value}": ({name: value}, "parameter-foreign", f"$.{name}")
        for name, value in (
            ("client_id", "another-client"),
            ("audience", "https://api.example/"),
            ("redirect_uri", "https://attacker.example/"),
            ("redirect_uri", "http://localhost/pkce/response/code/"),
        )
    },
    "code of nobody": ({"code": "a-code"}, "grant-unknown", "$.code"),
    "verifier of nobody": ({"code_verifier": VERIFIER}, "grant-unknown", "$.code_verifier"),
    "refresh token of nobody": (
        {"grant_type": "refresh_token", "refresh_token": "a-token"},
        "refresh-token-unknown",
        "$.refresh_token",
    ),
    **{
        f"schema with {what}": (
            {"schema": {"semantic": text}},
            "parameter-invalid",
            "$.schema.semantic",
        )
        for what, text in ODD_TEXTS.items()
    },
    "refresh token too long": (
        {"grant_type": "refresh_token", "refresh_token": "é" * 8000},
        "body-too-large",
        "",
    ),
}
