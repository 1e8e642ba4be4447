"""The commands below ``flask pkce``.

They are an entry point of the group ``flask.commands``, not the blueprint's ``cli``: that one is
there only once an application has started, and the doctor is for those that do not.
Whatever a command needs is imported when it runs, for every ``flask`` command loads this module.
"""

from __future__ import annotations

import os
import shutil

import click
from flask import current_app
from flask.cli import ScriptInfo, with_appcontext

from .errors import ConfigurationError, PKCEError


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
    try:
        app = context.ensure_object(ScriptInfo).load_app()
    except Exception as exc:
        refusal = _find_refusal(exc)
        if refusal is None:
            raise
        findings = examiner.explain_refusal(refusal)
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
@with_appcontext
def forget(subject: str, issuer: str | None) -> None:
    """Sign a user out of every browser.

    The sessions end, and their tokens are revoked, when they are used the next time.
    """
    engines = [each.engine for each in current_app.extensions.get("pkce", {}).values()]
    if not engines:
        raise click.ClickException("No PKCEBlueprint is registered in this application.")
    for engine in engines:
        if not engine.store.shared_by_processes:
            raise click.ClickException(
                "PKCE_STORE_URL is memory://, of which each process has its own:"
                " restart the application, and everybody is signed out."
            )
    try:
        # All of them before anything is done, for one may not be known now.
        issuers = [(issuer,) if issuer else engine.tenants.issuers() for engine in engines]
        if not all(issuers):
            raise click.ClickException(
                "No tenant is configured, for a tenant_loader makes them: name one with --issuer."
            )
        for engine, named in zip(engines, issuers, strict=True):
            for each in named:
                engine.sign_out.everywhere(each, subject)
    except PKCEError as exc:
        raise click.ClickException(f"{exc}  {exc.hint}") from exc
    click.echo("Done: at the next request every browser of that user is signed out.")


def _find_refusal(exc: BaseException | None) -> ConfigurationError | None:
    """The fault of the settings that an application did not start for, if it was that."""
    seen: list[BaseException] = []
    while exc is not None and exc not in seen:
        if isinstance(exc, ConfigurationError):
            return exc
        seen.append(exc)
        exc = exc.__cause__ or exc.__context__
    return None
