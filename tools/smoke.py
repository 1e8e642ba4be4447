"""What somebody gets who installs the package and nothing else.

Run in an environment that holds the built package alone, with warnings as errors.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path

from flask import Flask

import flask_pkce

INSTALLED = Path(flask_pkce.__file__).parent
CHECKOUT = Path(__file__).resolve().parent.parent / "flask_pkce"
# What an extra brings the dependencies of.
NEEDS_EXTRA = ("flask_pkce.testing", "flask_pkce.stores.redis")


def main() -> None:
    """Try the installed package."""
    assert not INSTALLED.samefile(CHECKOUT), "this is the checkout, not what was installed"
    assert files(INSTALLED) == files(CHECKOUT), sorted(files(INSTALLED) ^ files(CHECKOUT))

    for module in pkgutil.walk_packages(flask_pkce.__path__, "flask_pkce.", onerror=None):
        if not module.name.startswith(NEEDS_EXTRA):
            importlib.import_module(module.name)

    # Pytest loads it by this name; it imports nothing that an extra brings.
    (plugin,) = entry_points(group="pytest11", name="flask_pkce")
    assert f"{plugin.value.removeprefix('flask_pkce.').replace('.', '/')}.py" in files(INSTALLED)
    importlib.import_module("flask_pkce.testing.login")

    app = Flask("host")
    app.config.update(
        SECRET_KEY="a secret of 32 characters or more",
        PKCE_DOMAIN="tenant.example",
        PKCE_CLIENT_ID="client",
        PKCE_PUBLIC_URL="http://localhost:5000",
        PKCE_STORE_URL="memory://",
        # No caller builds the authorization URL then, so that no tenant has to be there.
        PKCE_TOKEN_DELIVERY="session",
    )
    flask_pkce.PKCEBlueprint().init_app(app)

    templates = {path for path in files(INSTALLED) if path.startswith("web/templates/")}
    assert templates, "the package has no templates"
    for path in sorted(templates):
        app.jinja_env.get_template(path.removeprefix("web/templates/"))

    answer = app.test_client().get("/pkce/challenge", base_url="http://localhost:5000")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    print(f"{len(files(INSTALLED))} files, {len(templates)} templates: all there, and they work.")


def files(package: Path) -> set[str]:
    """The files of a package, as paths inside it."""
    return {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    main()
