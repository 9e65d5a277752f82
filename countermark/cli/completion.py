"""countermark completion: what a shell may offer after the Tab key. It has to be quick: torch is never imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from countermark.cli.session import Command, Session, pass_session

_BREAKS = ("=", ":")
SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_COUNTERMARK_COMPLETE"
"""The environment variable in which a shell asks."""

CODECS = ("h264", "hevc", "av1", "vp9", "prores", "ffv1", "libx264", "libx265", "libsvtav1", "libvpx-vp9")
MODELS = ("built-in",)
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
SUITES = ("quick", "standard", "full", "limits", "videomarkbench")

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_session
def completion(session: Session, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, names and files after the Tab key.

    One line in the shell's start-up file is enough:

    \b
    bash  ~/.bashrc                    eval "$(countermark completion bash)"
    zsh   ~/.zshrc, after compinit     eval "$(countermark completion zsh)"
    fish  ~/.config/fish/config.fish   countermark completion fish | source
    """
    from countermark.cli import countermark

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(countermark, {}, "countermark", VARIABLE).source())


@add_completion_class
class _Bash(BashComplete):
    """Takes together again what bash takes apart at = and :, and answers for the last part alone."""

    _apart = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and that one as far as it is written."""
        before, last = super().get_completion_args()
        words = _joined([*before, last])
        begun = words.pop()
        value = begun.partition("=")[2] if begun.startswith("-") else begun
        self._apart = max(0, len(value) - len("" if last in _BREAKS else last))
        return words, begun

    def format_completion(self, item: CompletionItem) -> str:
        """Return one line of the answer."""
        return f"{item.type},{item.value[self._apart :] if item.type == 'plain' else item.value}"


def _joined(words: Sequence[str]) -> list[str]:
    joined: list[str] = []
    is_open = False
    for word in words:
        if joined and (is_open or word in _BREAKS):
            joined[-1] += word
        else:
            joined.append(word)
        is_open = word in _BREAKS
    return joined


def one_of(names: Sequence[str]) -> Completer:
    """Offer these names."""
    return lambda _context, _parameter, begun: _beginning(names, begun)


def files(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows files best."""
    return [CompletionItem(begun, type="file")]


def folders(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The same, of folders."""
    return [CompletionItem(begun, type="dir")]


def checks(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the checks that a list with commas does not have yet."""
    from countermark.checks import CHECKS

    before, comma, last = begun.rpartition(",")
    taken = before.split(",")
    return _beginning([name for name in CHECKS if name not in taken], last, before + comma)


def attacks(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer attacks for the last link of a chain, NAME[:PARAM][+NAME[:PARAM]…]; in a list of chains, of the last."""
    from benchmarks.attacks import ATTACKS

    cut = max(begun.rfind("+"), begun.rfind(",")) + 1
    return _beginning(ATTACKS, begun[cut:], begun[:cut])


def keys(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the keys of this machine."""
    return _beginning(["public", *_own_keys()], begun)


def own_keys(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the keys of this machine that are not known to everybody."""
    return _beginning(_own_keys(), begun)


def benches(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer experiments, with what each measures."""
    from countermark.benches import BENCHES

    return [CompletionItem(name, help=one.summary) for name, one in BENCHES.items() if name.startswith(begun)]


def _own_keys() -> list[str]:
    """The names of the files in the folder of keys; they are not opened."""
    from countermark.settings import Settings
    from provenance.errors import UsageError

    try:
        folder = Settings.from_environment().keys
    except UsageError:  # the command itself will say so
        return []
    return sorted(path.stem for path in folder.glob("*.key") if not path.name.startswith("."))


def _beginning(names: Iterable[str], begun: str, before: str = "") -> list[CompletionItem]:
    return [CompletionItem(before + name) for name in names if name.startswith(begun)]
