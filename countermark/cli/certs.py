"""countermark certs: the certificate that signs in your name."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli import options
from countermark.cli.session import Group, Session, pass_session


@click.group(cls=Group)
def certs() -> None:
    """Signing certificates: make your own, ask an authority for one, renew."""


@certs.command("new")
@pass_session
def new(session: Session) -> None:
    """Make your own certificate authority and a signing certificate under it, unless they are there."""
    from countermark.wiring import certificate_summary, open_signer

    opened = open_signer(session.settings, None)
    if opened.note:
        session.say(opened.note)
    session.findings().print(certificate_summary(session.settings), markup=False)


@certs.command("request")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Request to write (PEM).")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Private key to write (PEM, mode 0600).")
@click.option("--name", required=True, help="Your name as it should stand in the certificate.")
@click.option("--organization", default="", help="Your organization, likewise.")
@click.option("--force", is_flag=True, help="Overwrite the two files.")
@pass_session
def request(session: Session, output: Path, key: Path, name: str, organization: str, force: bool) -> None:
    """Make a key and a request that a certificate authority can turn into a C2PA signing certificate."""
    from countermark.wiring import write_certificate_request
    from provenance.files import refuse_clashes

    refuse_clashes([], [output, key])
    for path in (output, key):
        options.make_parent(path)
    write_certificate_request(output, key, name, organization, force=force)
    session.wrote(output, "the request")
    session.wrote(key, "its private key")
    session.say("Send the request to an authority; keep the key. Then sign with --signer file:CERTIFICATES.pem,KEY.pem")


@certs.command("renew")
@pass_session
def renew(session: Session) -> None:
    """Replace your own signing certificate now; what was signed before stays valid."""
    from countermark.wiring import certificate_summary, renew_own_signer

    renew_own_signer(session.settings)
    session.findings().print(certificate_summary(session.settings), markup=False)
