"""countermark attack: what happens to clips on their way, by name."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli import completion, options
from countermark.cli.session import Command, Session, pass_session
from countermark.cli.streams import refuse_stdin


@click.command(cls=Command)
@click.argument("source", metavar="IN", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; its suffix names the container.")
@click.option(
    "--with",
    "chain",
    metavar="CHAIN",
    help="NAME[:PARAM][+NAME[:PARAM]…], as in crop:.71+x264:40.",
    shell_complete=completion.attacks,
)
@options.seed("For attacks that draw random numbers.")
@click.option("--list", "show", is_flag=True, help="List all attacks with their parameters.")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@pass_session
def attack(
    session: Session, source: Path | None, output: Path | None, chain: str | None, seed: int, show: bool, force: bool
) -> None:
    """Apply a CHAIN of attacks to the video IN, from left to right."""
    if show:
        _list(session)
        return
    if source is None or output is None or chain is None:
        raise click.UsageError("name a video, -o OUTPUT and --with CHAIN (or --list)")
    from benchmarks.attacks import attack_file, parse_chain
    from provenance.files import refuse_existing, refuse_same_file

    refuse_stdin([str(source)])
    parse_chain(chain)
    refuse_same_file(source, output)
    refuse_existing(output, force=force)
    options.make_parent(output)
    with session.progress(source.name) as advance:
        attack_file(source, output, chain, seed, force=force, progress=advance)
    session.wrote(output)


def _list(session: Session) -> None:
    from rich.table import Column, Table

    from benchmarks.attacks.chain import FAMILIES

    heads = ("attack", "parameter", "range", "default", "what it does")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False)
    for family, attacks in FAMILIES.items():
        table.add_row(f"[bold]{family}[/]")
        for name, one in attacks.items():
            known = one.parameter
            values = (known.meaning, f"{known.low:g} … {known.high:g}", f"{known.default:g}") if known else ("",) * 3
            table.add_row(name, *values, one.summary if one.steps is None else f"{one.summary}: {one.steps}")
    session.findings().print(table)
