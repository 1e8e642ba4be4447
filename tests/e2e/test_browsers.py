"""The browsers of these tests know nothing but this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS

if TYPE_CHECKING:
    from .conftest import Launch


@pytest.mark.parametrize("name", BROWSERS)
def test_it_reaches_no_other_host(launch: Launch, name: str) -> None:
    """A page of a host on the internet cannot be opened."""
    from playwright.sync_api import Error

    browser = launch(name)
    assert browser.browser_type.name == name
    context = browser.new_context()
    with pytest.raises(Error, match=r"ERR_NAME_NOT_RESOLVED|NS_ERROR_PROXY"):
        context.new_page().goto("http://www.example.org/")
    context.close()
