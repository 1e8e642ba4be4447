"""How the documentation is built; a warning is an error."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# For the package as it is in this checkout, and for docs._ext.
sys.path.insert(0, str(ROOT))

project = "flask_pkce"
author = "the flask_pkce authors"
copyright = f"2026, {author}"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "docs._ext.catalogue"]
exclude_patterns = ["_build"]

# `name` in a docstring is a name of ours where there is one, and code everywhere else.
default_role = "py:obj"
# Every other reference must lead somewhere, save those into libraries: no network is asked.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    (r"py:.*", r"(?!flask_pkce\.)([a-zA-Z_]+\.)+\w+"),
    # Inside the library, where a docstring points.
    ("py:func", r"validate_answer"),
    (r"py:(class|mod)", r"flask_pkce\.testing\.tenant\.faults.*"),
    ("py:class", r"PathLike|BearerToken"),
]

# The order of a module is part of what it says.
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

# Every `testcode` runs, by `sphinx-build -b doctest`.
doctest_global_setup = "from docs._ext.examples import *; prepare(); __name__ = 'example'"

# Quotes are often part of what somebody types.
smartquotes = False

html_theme = "furo"
html_title = f"flask_pkce {release}"
html_copy_source = False
# Pages are readable without anything from the internet.
html_show_sphinx = False
