"""The page on pages: it tells every template, and its templates work."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import DictLoader, meta, nodes

from flask_pkce import PKCEBlueprint, errors, web
from flask_pkce.testing import LocalTenant

TEMPLATES = sorted((Path(web.__file__).parent / "templates" / "pkce").iterdir())
_BLOCK = re.compile(
    r"^\.\. code-block:: html\n   :caption: templates/(.+)\n\n((?:   .*\n|\n)+)", re.MULTILINE
)

#: What a template can know of an error.
_ATTRIBUTES = {"code", "detail", "hint", "restart"}


@pytest.fixture
def shown(sources: dict[str, str]) -> dict[str, str]:
    """The templates that the page shows, by their names."""
    return {name: textwrap.dedent(text) for name, text in _BLOCK.findall(sources["pages.rst"])}


@pytest.fixture
def app() -> Flask:
    """A host with the blueprint."""
    app = Flask("host")
    app.config.update(
        SECRET_KEY="a key of the tests, long enough for it",
        PKCE_DOMAIN="tenant.example",
        PKCE_CLIENT_ID="client",
        PKCE_STORE_URL="memory://",
    )
    pkce = PKCEBlueprint()
    pkce.init_app(app)
    LocalTenant().mount(pkce.relying_party(app).transport.session)
    return app


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_told(path: Path, app: Flask, sources: dict[str, str]) -> None:
    """Every template has a section with its blocks, its variables and what it uses of them."""
    _, *parts = re.split(r"^``pkce/(\w+\.html)``\n~+\n", sources["pages.rst"], flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    assert sections.keys() == {each.name for each in TEMPLATES}
    blocks, variables = sections[path.name].partition(":Blocks: ")[2].split(":Variables: ")
    tree = app.jinja_env.parse(path.read_text(encoding="utf-8"))
    assert {block.name for block in tree.find_all(nodes.Block)} == _names(blocks)
    used = meta.find_undeclared_variables(tree)
    # Every template has the nonce.
    assert _names(variables) - {"csp_nonce"} - _ATTRIBUTES == used - {"csp_nonce"}
    of_errors = {each.attr for each in tree.find_all(nodes.Getattr)} & _ATTRIBUTES
    assert of_errors <= _names(variables)


def _names(text: str) -> set[str]:
    return set(re.findall(r"``(\w+)``", text))


def test_layout(shown: dict[str, str], app: Flask) -> None:
    """With the templates of the page every page of ours has the shop's layout."""
    app.jinja_loader = DictLoader(shown)  # pyright: ignore[reportAttributeAccessIssue]
    for path in TEMPLATES:
        html = app.jinja_env.get_template(f"pkce/{path.name}").render(
            csp_nonce="n", user={}, error=errors.FlowExpired()
        )
        assert "<nav>The shop</nav>" in html
        assert 'nonce="n"' in html
        assert "<style" not in html
    page = app.test_client().get("/pkce/challenge", headers={"Accept": "text/html"})
    assert "<title>Sign in – Shop</title>" in page.text


def test_layout_with_other_blocks(shown: dict[str, str], app: Flask) -> None:
    """Blocks of other names can be filled with ours."""
    site = "<h1>{% block heading %}{% endblock %}</h1>{% block body %}{% endblock %}"
    base = shown["pkce/base.html, with other blocks"]
    app.jinja_loader = DictLoader({"site.html": site, "pkce/base.html": base})  # pyright: ignore[reportAttributeAccessIssue]
    html = app.jinja_env.get_template("pkce/done.html").render()
    assert html.startswith("<h1>Signed in</h1><main>")
    assert "You can close this page" in html


def test_language(shown: dict[str, str], app: Flask) -> None:
    """The German page tells errors by codes that there are, and any other in general."""
    app.jinja_loader = DictLoader(shown)  # pyright: ignore[reportAttributeAccessIssue]
    headers = {"Accept": "text/html", "Purpose": "prefetch"}
    page = app.test_client().get("/pkce/challenge", headers=headers)
    assert '<html lang="de">' in page.text
    assert "<h1>Die Anmeldung hat nicht geklappt</h1>" in page.text
    assert "Bitte versuchen Sie es später noch einmal." in page.text
    codes = set(re.findall(r'^  "([a-z-]+)": ', shown["pkce/error.html"], re.MULTILINE))
    assert len(codes) == 3
    assert codes <= {cls.code for cls in errors.catalogue()}
