"""countermark keys: the watermark keys of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli import completion, options
from countermark.cli.session import Group, Session, pass_session


@click.group(cls=Group)
def keys() -> None:
    """Watermark keys: make, list, back up, take over, replace."""


@keys.command("new")
@click.argument("name")
@pass_session
def new(session: Session, name: str) -> None:
    """Make a key of 32 random bytes called NAME."""
    from countermark.wiring import key_ring

    key_ring(session.settings).new(name)
    session.findings().print(f"made the key {name}")
    session.say(f"It stands in {session.settings.keys}. Back it up: without it nobody reads what was marked under it.")


@keys.command("list")
@pass_session
def list_keys(session: Session) -> None:
    """Name all keys; `public` is always there."""
    from countermark.wiring import key_ring

    ring = key_ring(session.settings)
    for name in ring.names():
        click.echo(name)
    session.detail("`public` is known to everybody; the others stand in " + str(session.settings.keys))


@keys.command("export")
@click.argument("name", shell_complete=completion.keys)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File to write, mode 0600.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@pass_session
def export(session: Session, name: str, output: Path, force: bool) -> None:
    """Write the key NAME to a file: whoever has it can read and write every watermark under it."""
    from countermark.wiring import key_ring
    from provenance.files import refuse_existing, write_private

    text = key_ring(session.settings).export(name)
    refuse_existing(output, force=force)
    options.make_parent(output)
    write_private(output, text.encode())
    session.wrote(output, f"the key {name}")


@keys.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@pass_session
def import_key(session: Session, name: str, file: Path) -> None:
    """Take over the key in FILE under NAME."""
    from countermark.wiring import key_ring

    key_ring(session.settings).import_file(name, file)
    session.findings().print(f"imported the key {name}")


@keys.command("rotate")
@click.argument("name", default="home", shell_complete=completion.own_keys)
@pass_session
def rotate(session: Session, name: str) -> None:
    """Retire the key NAME: it goes on reading under another name, and a new one takes its place."""
    from countermark.wiring import rotate_key

    retired = rotate_key(session.settings, name)
    session.findings().print(f"made a new key {name}; the one before is now called {retired}")
    session.say("Clips marked under the old key are still found, since verify tries every key.")
