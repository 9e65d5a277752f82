"""countermark doctor: what is there on this machine, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from countermark.cli.session import Command, Session, pass_session

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from countermark.diagnosis import Item

_STYLES = {"good": "green", "note": "yellow", "bad": "bold red"}
_TABLE_COLUMNS = 72
"""On a narrower terminal what was found stands below its name."""


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line on standard output.")
@pass_session
def doctor(session: Session, as_json: bool) -> None:
    """Say what Countermark finds on this machine, what is missing and costs what, and the line that installs it.

    Leaves with 3 where something that is needed does not work; what is merely missing is a note.
    """
    import json

    from countermark.diagnosis import diagnose
    from provenance.errors import CountermarkError

    findings = diagnose(session.settings)
    if as_json:
        for item in findings:
            session.line(json.dumps(item.to_json()))
    else:
        _show(session.findings(), findings)
    bad = [item for item in findings if item.state == "bad"]
    if bad:
        raise CountermarkError(f"{bad[0].what}: {bad[0].found}", hint=bad[0].advice)


def _show(console: Console, findings: list[Item]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(width=4)
    is_narrow = console.width < _TABLE_COLUMNS
    if not is_narrow:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for item in findings:
        mark, what, said = Text(item.state, _STYLES[item.state]), Text(item.what, "bold"), _said(item)
        table.add_row(*((mark, Text("\n").join((what, said))) if is_narrow else (mark, what, said)))
    console.print(table)


def _said(item: Item) -> Text:
    from rich.text import Text

    from countermark.report import printable

    said = Text(printable(item.found))
    if item.cost:
        said.append("\nwithout it: ", "dim").append(item.cost)
    if item.advice:
        said.append("\nto do: ", "dim").append(printable(item.advice))
    return said
