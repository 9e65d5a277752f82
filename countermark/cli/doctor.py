"""countermark doctor: what is there on this machine, and what is missing."""

from __future__ import annotations

import click

from countermark.cli.session import Command, Session, pass_session

_MARKS = {"good": "[green]good[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}


@click.command(cls=Command)
@pass_session
def doctor(session: Session) -> None:
    """Say what Countermark finds on this machine, and what to do about what is missing."""
    from rich.markup import escape
    from rich.table import Table

    from countermark.diagnosis import diagnose
    from provenance.errors import CountermarkError

    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    findings = diagnose(session.settings)
    for item in findings:
        table.add_row(_MARKS[item.state], escape(item.what), escape(item.found), escape(item.advice))
    session.findings().print(table)
    bad = [item for item in findings if item.state == "bad"]
    if bad:
        raise CountermarkError(f"{bad[0].what}: {bad[0].found}", hint=bad[0].advice)
