"""What lets the examples run with no account, no network and no settings."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import requests
from flask import Flask

from flask_pkce.testing import LocalTenant, TenantClient

#: A native client may run on any port, so none is registered (RFC 8252 7.3).
HERE = ("http://localhost", "http://127.0.0.1", "http://[::1]")
CLIENT = TenantClient(
    "demo",
    redirect_uris=tuple(f"{here}/pkce/response/code" for here in HERE),
    post_logout_redirect_uris=tuple(f"{here}/" for here in HERE),
    is_native=True,
)
#: Another application at the same tenant, with a callback of its own.
STAFF = TenantClient(
    "staff",
    redirect_uris=tuple(f"{uri}/staff" for uri in CLIENT.redirect_uris),
    post_logout_redirect_uris=CLIENT.post_logout_redirect_uris,
    is_native=True,
)


def use_local_tenant(app: Flask) -> LocalTenant | None:
    """Let an application sign in at a tenant on this machine, where no ``PKCE_DOMAIN`` is set.

    The first process that gets its port (``TENANT_PORT``, by default 3001) serves the tenant from
    a thread; every other process uses that.  What has to survive a restart, the tenant's keys and
    a ``SECRET_KEY`` where none is set, lies in the instance folder.

    :return: the tenant, where there is one.
    :raises RuntimeError: if something else has its port.
    """
    if app.config.get("PKCE_DOMAIN"):
        return None
    folder = Path(app.instance_path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = app.config.get("TENANT_PORT", 3001)
    tenant = LocalTenant(port=port, clients=[CLIENT, STAFF], keys_folder=folder)
    try:
        tenant.start()
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        if not _is_served(tenant.issuer):
            raise RuntimeError(f"Port {port} is taken: set FLASK_TENANT_PORT to another") from exc
    app.config["PKCE_DOMAIN"] = tenant.issuer
    app.config["PKCE_CLIENT_ID"] = tenant.client.client_id
    app.config["SECRET_KEY"] = app.config["SECRET_KEY"] or _secret_key(folder / "secret-key")
    app.logger.warning("No PKCE_DOMAIN: users sign in at the local tenant %s", tenant.issuer)
    return tenant


def _is_served(issuer: str) -> bool:
    """Whether another process serves the tenant already."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            metadata = session.get(f"{issuer}.well-known/openid-configuration", timeout=5).json()
        except requests.RequestException:
            return False
    return isinstance(metadata, dict) and metadata.get("issuer") == issuer


def _secret_key(file: Path) -> str:
    """The key in a file that only its owner can read, made by the first process that asks."""
    with NamedTemporaryFile("w", dir=file.parent) as draft:
        draft.write(secrets.token_urlsafe(32))
        draft.flush()
        # Whole or not at all, and never over the key of another worker.
        with suppress(FileExistsError):
            os.link(draft.name, file)
    return file.read_text()
