"""The commands below ``flask pkce``.

They are an entry point of the group ``flask.commands``, not the blueprint's ``cli``: that one is
there only once an application has started, and the doctor is for those that do not.
Whatever a command needs is imported when it runs, for every ``flask`` command loads this module.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import ScriptInfo

from ..errors import ConfigurationError, PKCEError

if TYPE_CHECKING:
    from ..relying_party.relying_party import RelyingParty
    from ..web.context import Extension


@click.group("pkce")
def pkce() -> None:
    """Look after sign-ins through flask_pkce."""


@pkce.command("doctor")
@click.option("--blueprint", metavar="NAME", help="Look at this blueprint alone.")
@click.option("--tenant", "tenants", metavar="NAME", multiple=True, help="Look at this one alone.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with 1 if anything is doubtful, too.")
@click.option(
    "--url",
    metavar="URL",
    help="Where users reach the application, if no setting says so.",
)
@click.pass_context
def doctor(
    context: click.Context,
    blueprint: str | None,
    tenants: tuple[str, ...],
    is_json: bool,
    strict: bool,
    url: str | None,
) -> None:
    """Say what is right, doubtful and wrong, and what to do about it.

    Exits with 0 if nothing is wrong, with 1 if anything is, and with 2 if it could not look.
    """
    from . import doctor as examiner

    address = url or f"http://localhost:{os.environ.get('FLASK_RUN_PORT', '5000')}"
    if not address.startswith(("http://", "https://")):
        raise click.BadParameter("must begin with http:// or https://", param_hint="--url")
    app = _load(context)
    if isinstance(app, ConfigurationError):
        findings = examiner.explain_refusal(app)
    else:
        try:
            findings = examiner.examine(
                app,
                blueprint=blueprint,
                tenants=tenants,
                address=address.rstrip("/"),
                environ=os.environ,
            )
        except examiner.UnknownBlueprint as exc:
            raise click.BadParameter(str(exc), param_hint="--blueprint") from None
    width = shutil.get_terminal_size().columns
    click.echo(examiner.as_json(findings) if is_json else examiner.as_table(findings, width=width))
    bad = {examiner.Verdict.WRONG, *([examiner.Verdict.DOUBTFUL] if strict else [])}
    context.exit(1 if any(finding.verdict in bad for finding in findings) else 0)


@pkce.command("forget")
@click.option("--sub", "subject", required=True, metavar="SUB", help="The user: `sub`.")
@click.option("--issuer", metavar="ISS", help="The tenant; by default every one of the settings.")
@click.pass_context
def forget(context: click.Context, subject: str, issuer: str | None) -> None:
    """End all sessions of a user.

    They end, and their tokens are revoked, when they are used the next time.  A session of the
    application's own, such as Flask-Login's, ends with them only where it asks `pkce.user`.
    """
    app = _load(context)
    if isinstance(app, ConfigurationError):
        raise click.ClickException(
            f"{app}\nNo session was ended: correct this and try again."
        ) from app
    extension: dict[str, Extension] = app.extensions.get("pkce", {})
    relying_parties = [each.relying_party for each in extension.values()]
    if not relying_parties:
        raise click.ClickException("No PKCEBlueprint is registered in this application.")
    for relying_party in relying_parties:
        if not relying_party.store.shared_by_processes:
            raise click.ClickException(
                "PKCE_STORE_URL is memory://, of which each process has its own:"
                " restart the application, which ends every session."
            )
    try:
        # All of them before anything is done, for one may not be known now.
        issuers = [_issuers(relying_party, issuer) for relying_party in relying_parties]
        if issuer is not None and not any(issuers):
            known = (
                each
                for relying_party in relying_parties
                for each in relying_party.tenants.issuers()
            )
            raise click.BadParameter(
                f"no tenant has it; there are: {', '.join(dict.fromkeys(known))}",
                param_hint="--issuer",
            )
        if issuer is None and not all(issuers):
            raise click.ClickException(
                "No tenant is configured, for a tenant_loader makes them: name one with --issuer."
            )
        with app.app_context():
            for relying_party, named in zip(relying_parties, issuers, strict=True):
                for each in named:
                    relying_party.sign_out.everywhere(each, subject)
    except PKCEError as exc:
        raise click.ClickException(f"{exc}  {exc.hint}") from exc
    click.echo(
        "Done: every session of that user that this library keeps ends at its next request."
        "  A session of the application's own ends only where it asks `pkce.user`."
    )


def _load(context: click.Context) -> Flask | ConfigurationError:
    """The application, or the fault of the settings that it did not start for."""
    try:
        return context.ensure_object(ScriptInfo).load_app()
    except Exception as exc:
        refusal = _find_refusal(exc)
        if refusal is None:
            raise
        return refusal


def _issuers(relying_party: RelyingParty, named: str | None) -> tuple[str, ...]:
    """The issuers that are meant, at one blueprint's tenants."""
    known = relying_party.tenants.issuers()
    if named is None:
        return known
    # Auth0's ends with a slash, which is easily left out.
    alike = tuple(each for each in known if each.rstrip("/") == named.rstrip("/"))
    is_open = relying_party.hooks.tenant_loader is not None
    return alike or ((named,) if is_open else ())


def _find_refusal(exc: BaseException | None) -> ConfigurationError | None:
    """The fault of the settings that an application did not start for, if it was that."""
    seen: list[BaseException] = []
    while exc is not None and exc not in seen:
        if isinstance(exc, ConfigurationError):
            return exc
        seen.append(exc)
        exc = exc.__cause__ or exc.__context__
    return None
