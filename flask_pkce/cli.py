"""The commands below ``flask pkce``.

They are an entry point of the group ``flask.commands``, not the blueprint's ``cli``: that one is
there only once an application has started, and the doctor is for those that do not.
Whatever a command needs is imported when it runs, for every ``flask`` command loads this module.
"""

from __future__ import annotations

import os
import shutil

import click
from flask.cli import ScriptInfo

from .errors import ConfigurationError


@click.group("pkce")
def pkce() -> None:
    """Look after sign-ins through flask_pkce."""


@pkce.command("doctor")
@click.option("--blueprint", metavar="NAME", help="Look at this blueprint alone.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit with 1 if anything is doubtful, too.")
@click.option(
    "--url",
    metavar="URL",
    help="Where users reach the application, if no setting says so.",
)
@click.pass_context
def doctor(
    context: click.Context, blueprint: str | None, is_json: bool, strict: bool, url: str | None
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
                app, blueprint=blueprint, address=address.rstrip("/"), environ=os.environ
            )
        except examiner.UnknownBlueprint as exc:
            raise click.BadParameter(str(exc), param_hint="--blueprint") from None
    width = shutil.get_terminal_size().columns
    click.echo(examiner.as_json(findings) if is_json else examiner.as_table(findings, width=width))
    bad = {examiner.Verdict.WRONG, *([examiner.Verdict.DOUBTFUL] if strict else [])}
    context.exit(1 if any(finding.verdict in bad for finding in findings) else 0)


def _find_refusal(exc: BaseException | None) -> ConfigurationError | None:
    """The fault of the settings that an application did not start for, if it was that."""
    seen: list[BaseException] = []
    while exc is not None and exc not in seen:
        if isinstance(exc, ConfigurationError):
            return exc
        seen.append(exc)
        exc = exc.__cause__ or exc.__context__
    return None
