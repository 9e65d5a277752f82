"""countermark trust: whose signature counts."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli.session import Group, Session, pass_session


@click.group(cls=Group)
def trust() -> None:
    """Trust lists: whose signature counts."""


@trust.command("update")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    help="Take the lists from this folder instead of the network.",
)
@pass_session
def update(session: Session, folder: Path | None) -> None:
    """Fetch the public C2PA lists, or take them from a folder; nothing changes unless all of them are sound."""
    from countermark.trust_lists import fetch_lists
    from countermark.wiring import lists_in
    from provenance.credentials.trust import install_lists

    files = lists_in(folder) if folder is not None else fetch_lists(told=lambda where: session.say(f"fetching {where}"))
    for name in install_lists(files, session.settings.trust):
        session.findings().print(f"installed {name}")
    session.say(f"The lists stand in {session.settings.trust}.")


@trust.command("list")
@pass_session
def list_lists(session: Session) -> None:
    """Name the lists that verify uses, with their editions."""
    from rich.table import Table

    from countermark.wiring import trust as wired_trust

    lists = wired_trust(session.settings)
    table = Table("list", "edition", "certificates", box=None, pad_edge=False)
    for one in lists.lists:
        count = "".join({one.anchors_pem, one.signers_pem}).count("BEGIN CERTIFICATE")
        table.add_row(one.name, one.edition, str(count))
    table.add_row("tsa", lists.tsa_edition, str(lists.tsa_pem.count("BEGIN CERTIFICATE")))
    session.findings().print(table)
    if not lists.has_public_lists:
        session.say("No public list is installed: `countermark trust update` fetches them.")


@trust.command("add")
@click.argument("certificate", type=click.Path(path_type=Path))
@pass_session
def add(session: Session, certificate: Path) -> None:
    """Put the CERTIFICATE (PEM) of an authority or signer on your own list."""
    from provenance.credentials.trust import add_own_anchor

    name = add_own_anchor(certificate, session.settings.own_trust)
    session.findings().print(f"trusting {name} on this machine", markup=False)
