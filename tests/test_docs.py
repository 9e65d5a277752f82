"""The documentation is true of the code: every command and option that it names exists, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from countermark.cli import countermark
from countermark.cli.reference import reference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
CALL = re.compile(r"(?:^|[\s`/])countermark((?: +[^\s`|#]+)*)")


def code_of(text: str) -> list[str]:
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", text, flags=re.S)
    spans = re.findall(r"`(countermark [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + spans


def calls_in(path: Path) -> list[list[str]]:
    lines = code_of(path.read_text(encoding="utf-8"))
    return [found.split() for line in lines for found in CALL.findall(line.split(" # ")[0]) if found.split()]


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = countermark
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name.isupper():  # a placeholder, as in `countermark COMMAND --help`
            return command, words
        choices = name.split("|")
        assert all(choice in command.commands for choice in choices), f"no command {name!r} in {command.name}"
        command = command.commands[choices[0]]
    return command, words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_option_in_the_documentation_exists(path: Path) -> None:
    for words in calls_in(path):
        command, rest = resolved(words)
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.split("=")[0].strip("[],.") for word in rest if word.strip("[").startswith("-") and len(word) > 1}
        unknown = {option for option in used if option not in known | {"--help", "-h"}}
        assert not unknown, f"{' '.join(words)}: {unknown}"


def test_the_readme_names_calls_that_this_test_understands() -> None:
    assert len(calls_in(ROOT / "README.md")) >= 4


def test_the_command_reference_is_what_the_command_line_says() -> None:
    written = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert written == reference(), "run `make docs`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = {name for path in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), flags=re.M)}
    assert named <= targets
