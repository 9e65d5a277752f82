"""What one call of the command line carries along: settings, how much to say, and where to say it.

Findings go to standard output, narration and progress to standard error.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from countermark.settings import Settings
from provenance.errors import CountermarkError

if TYPE_CHECKING:
    from rich.console import Console

PROGRESS_AFTER_SECONDS = 1.0
PIPE_COLUMNS = 110
_WHOLE = 1000  # characters of a sentence
PATH_LIMIT = 4096  # of systems, and of what is said of a path


class Advance(Protocol):
    """Tells a progress bar how far the work is."""

    def __call__(self, share: float, note: str = "") -> None:
        """`share` of the whole that is done, 0 to 1, and what is being done now."""


@dataclass
class Session:
    """The state of one call; commands receive it as click's context object."""

    verbosity: int = 0
    debug: bool = False
    failures: list[CountermarkError] = field(default_factory=list)
    _bar: _Bar | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """Where things stand. Raises UsageError for an environment that names no place."""
        return Settings.from_environment()

    def findings(self) -> Console:
        """Standard output, with colour where it is a terminal that wants it."""
        self._make_room()
        return _console(sys.stdout)

    def line(self, text: str) -> None:
        """Print a line on standard output as it is, for programs that read it."""
        self._make_room()
        click.echo(text)

    def say(self, text: str) -> None:
        """Narrate on standard error, unless --quiet."""
        if self.verbosity >= 0:
            self._make_room()
            click.echo(text, err=True)

    def wrote(self, path: Path, what: str = "") -> None:
        """Say on standard output which file was written."""
        self.findings().print(f"wrote {_shown(str(path))}  {what}".rstrip(), markup=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        """Narrate on standard error with --verbose."""
        if self.verbosity > 0:
            self._make_room()
            click.echo(text, err=True)

    def fail(self, error: CountermarkError) -> None:
        """Say what went wrong with one item and go on with the others; the exit status remembers."""
        self.failures.append(error)
        self._make_room()
        say_error(error, debug=self.debug)

    @property
    def exit_status(self) -> int:
        """0, or the largest status among what failed."""
        return max((error.exit_status for error in self.failures), default=0)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Advance]:
        """Show a bar on standard error once the work has taken a second; silent when it is no terminal."""
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield _silent
            return
        with _Bar(label) as bar:
            self._bar = bar
            try:
                yield bar
            finally:
                self._bar = None

    def _make_room(self) -> None:
        """Take the progress bar off the terminal before something else is printed there."""
        if self._bar is not None:
            self._bar.hide()


def _silent(share: float, note: str = "") -> None:
    """Take no notice."""


class _Bar:
    """A progress bar that appears after a second."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begin = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._is_hidden = False

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, share: float, note: str = "") -> None:
        if self._bar is None:
            if time.monotonic() - self._begin < PROGRESS_AFTER_SECONDS:
                return
            self._show()
        if self._is_hidden:
            self._bar.start()
            self._is_hidden = False
        self._bar.update(self._task, completed=share, description=_shown(f"{self._label} {note}".strip()))

    def hide(self) -> None:
        """Take the bar away until there is progress again."""
        if self._bar is not None and not self._is_hidden:
            self._bar.stop()
            self._is_hidden = True

    def _show(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=_console(sys.stderr), transient=True)
        self._task = self._bar.add_task(_shown(self._label), total=1.0)
        self._bar.start()


def _shown(text: str) -> str:
    """What may stand on a terminal of a text that quotes the name of a file."""
    from countermark.report import printable

    return printable(text, PATH_LIMIT)


def _console(stream: Any) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_COLUMNS)


def say_error(error: CountermarkError, *, debug: bool = False) -> None:
    """One line that names the thing, one with the way out; with --debug where it happened."""
    if debug:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"error: {error.message}", err=True)
    click.echo(f"hint: {error.hint}", err=True)


def _set_quiet(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj.verbosity = -1


def _set_verbose(context: click.Context, _: click.Parameter, value: int) -> None:
    if value:
        context.find_root().obj.verbosity = value


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj.debug = True


def everywhere() -> list[click.Option]:
    """The options that every command has."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set_quiet, help="Only findings and errors."
        ),
        click.Option(["-v", "--verbose"], count=True, expose_value=False, callback=_set_verbose, help="Say more."),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help="Show where an error happened."
        ),
    ]


class Command(click.Command):
    """A command with -q, -v and --debug, and with -h for help."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*arguments, **options)
        self.params += everywhere()


class Group(click.Group):
    """A group whose commands are `Command`s, and whose help says of each all of its first sentence."""

    command_class = Command
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, wrapped where the terminal is narrow instead of cut."""
        rows = [(name, command.get_short_help_str(_WHOLE)) for name, command in sorted(self.commands.items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


pass_session: Callable[..., Any] = click.make_pass_decorator(Session)
