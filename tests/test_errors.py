"""The catalogue of errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask_pkce import errors
from flask_pkce.errors import (
    AccessDenied,
    ClientRefused,
    ConfigurationError,
    MethodNotAllowed,
    PKCEError,
    RequestError,
    TenantError,
    TenantRefused,
    TenantSilent,
    TenantUnreachable,
    catalogue,
)
from flask_pkce.sessions.flow import Failure, FlowFailed

ERRORS = list(catalogue())


def test_the_catalogue_is_whole() -> None:
    """Every error of the module is in the catalogue, in the order of the module."""
    defined = re.findall(r"^class (\w+)\(", Path(errors.__file__).read_text(), re.M)
    assert [cls.__name__ for cls in ERRORS] == defined


def test_codes_are_distinct() -> None:
    """A code stands for one cause: it ends the `type` of a problem document."""
    codes = [cls.code for cls in ERRORS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_what_every_error_carries(cls: type[PKCEError]) -> None:
    """Each says what happened, what to do, and how it is answered."""
    assert "code" in vars(cls), "a class without a code of its own is told from no other"
    assert "title" in vars(cls)
    assert cls.title.endswith(".")
    assert re.fullmatch(r"[a-z_]+", cls.error)
    assert 400 <= cls.status < 600
    assert (
        cls.hint
        or cls in {PKCEError, errors.BodyTooLarge, errors.BodyMalformed}
        or any(base.hint for base in cls.__mro__[1:-3] if issubclass(base, PKCEError))
    )
    if cls.retry_after is not None:
        assert 1 <= cls.retry_after <= 300


@pytest.mark.requirement("WC-10")
@pytest.mark.parametrize(
    ("status", "names"),
    [
        (500, {"PKCEError", "ConfigurationError", "TenantMisconfigured"}),
        (
            503,
            {
                "StoreError",
                "RecordUnreadable",
                "RecordOfOtherKey",
                "RecordOfOtherRelease",
                "TenantBusy",
                "FileDescriptorsExhausted",
            },
        ),
        (504, {"TenantSilent"}),
        (429, {"TooManyFlows", "TenantLimit"}),
        (
            409,
            {
                "AuthorizationPending",
                "FlowConflict",
                "AnswerConflict",
                "RedemptionUnderWay",
                "RefreshUnderWay",
                "SessionRenewed",
            },
        ),
    ],
)
def test_statuses(status: int, names: set[str]) -> None:
    """The statuses of STATES.md have the classes that belong to them."""
    assert {cls.__name__ for cls in ERRORS if cls.status == status} == names


def test_message() -> None:
    """A message is the title, or what was said, and names the field at fault."""
    assert str(RequestError()) == "The request is malformed."
    assert str(RequestError("is odd", field="$.scope")) == "$.scope: is odd"
    assert RequestError("is odd", field="$.scope").detail == "is odd"


def test_what_one_error_says_of_its_own() -> None:
    """Hint and waiting time may be those of the case."""
    exc = PKCEError("x", hint="Do this.", retry_after=7)
    assert (exc.hint, exc.retry_after) == ("Do this.", 7)
    assert (PKCEError.hint, PKCEError.retry_after) == ("", None)


def test_what_the_log_says_of_one_error() -> None:
    """Host and setting may be those of the case."""
    exc = PKCEError("x", host="a.example", setting="PKCE_PROXIES")
    assert (exc.host, exc.setting) == ("a.example", "PKCE_PROXIES")
    assert (PKCEError.host, PKCEError.setting) == (None, None)


def test_text_without_docstrings() -> None:
    """``python -OO``, which strips docstrings, changes no text of an error."""
    code = "from flask_pkce.errors import catalogue; print([cls.title for cls in catalogue()])"
    printed = [
        subprocess.run([sys.executable, *options, "-c", code], capture_output=True, check=True)
        for options in ((), ("-OO",))
    ]
    assert printed[0].stdout == printed[1].stdout
    assert b"The request is malformed." in printed[1].stdout


def test_configuration_error_names_every_fault() -> None:
    """All faults are told at once."""
    exc = ConfigurationError(["A is missing", "B is odd"])
    assert exc.faults == ("A is missing", "B is odd")
    assert str(exc) == "A is missing\nB is odd"
    assert ConfigurationError("A is missing").faults == ("A is missing",)


def test_errors_of_the_tenant_keep_their_word() -> None:
    """The tenant's own `error` goes on to the caller."""
    assert ClientRefused(error="unauthorized_client").error == "unauthorized_client"
    assert ClientRefused().error == "invalid_client"
    assert TenantRefused(error="weird").error == "weird"
    assert AccessDenied().error == "access_denied"


def test_allowed_methods() -> None:
    """A wrong method is told with those that are right."""
    assert MethodNotAllowed(["GET", "HEAD"]).allowed == ("GET", "HEAD")


def test_sent_and_not_sent_are_told_apart() -> None:
    """Neither of the two errors is the other, since callers act differently."""
    assert not issubclass(TenantSilent, TenantUnreachable)
    assert not issubclass(TenantUnreachable, TenantSilent)
    assert issubclass(TenantSilent, TenantError)


def test_failure_is_told_again() -> None:
    """What a flow keeps of its failure is told again as it was."""
    failed = FlowFailed(Failure.of(AccessDenied("No.")))
    assert (failed.code, failed.error, failed.detail, failed.status, failed.hint) == (
        "access-denied",
        "access_denied",
        "No.",
        400,
        AccessDenied.hint,
    )
