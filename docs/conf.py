"""How the documentation is built; a warning is an error."""

from importlib.metadata import version as version_of

project = "flask_pkce"
author = "the flask_pkce authors"
copyright = f"2026, {author}"
release = version = version_of("flask-pkce")

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

# The order of a module is part of what it says.
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = f"flask_pkce {release}"
# Pages are readable without anything from the internet.
html_show_sphinx = False
