"""Writes the command reference from the commands: ``python -m countermark.cli.reference docs/commands.md``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from countermark.cli import countermark
from countermark.cli.session import everywhere
from provenance.files import written_beside

_AS_IT_IS = "\b\n"  # click's mark for a paragraph that is not wrapped
_HEAD = """# Commands

Written by `make docs` from the command line itself; `countermark COMMAND --help` says the same.
Every command also takes {everywhere}.
"""


def commands(group: click.Group = countermark, prefix: str = "countermark") -> Iterator[tuple[str, click.Command]]:
    """Yield (how it is called, command) for every command that does something, in alphabetical order."""
    for name, command in sorted(group.commands.items()):
        path = f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, path)
        else:
            yield path, command


def options(command: click.Command) -> list[click.Option]:
    """The options of a command's own, without those that every command has."""
    shared = {name for option in everywhere() for name in option.opts}
    return [p for p in command.params if isinstance(p, click.Option) and not shared & set(p.opts) and not p.hidden]


def reference() -> str:
    """Return the command reference as Markdown."""
    shared = ", ".join("/".join(f"`{name}`" for name in option.opts) for option in everywhere())
    return "\n".join([_HEAD.format(everywhere=shared), *(_section(path, command) for path, command in commands())])


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    words = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {path}", "", f"`{path} {words}`".replace(" `", "`"), ""]
    lines += [_prose(command.help or ""), ""]
    rows = [option.get_help_record(context) for option in options(command)]
    if rows:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| `{_cell(names)}` | {_cell(said)} |" for names, said in filter(None, rows)]
        lines.append("")
    return "\n".join(lines)


def _prose(text: str) -> str:
    """The paragraphs of a help text; one that keeps its line breaks becomes a block of code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```\n{one.removeprefix(_AS_IT_IS)}\n```" if one.startswith(_AS_IT_IS) else one for one in paragraphs
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    with written_beside(Path(sys.argv[1]), force=True) as target:
        target.write_text(reference(), encoding="utf-8")
