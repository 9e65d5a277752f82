"""Every way in which Countermark fails, as one tree.

::

    CountermarkError                       exit 3   something that a person can act on
    ├── UsageError                         exit 2   the question itself was wrong
    │   ├── UnknownName                    exit 2   no such key, attack, check, suite (says the nearest names)
    │   └── OutputExists                   exit 2   output is there already, or is the input
    ├── CannotRead                         exit 3   the file is missing, empty, damaged, or no video
    │   ├── TooHostile                     exit 3   the file asks for more than the limits allow
    │   └── TookTooLong                    exit 3   examining the file was stopped by its time or memory limit
    ├── CannotWrite                        exit 3   the output cannot be written there
    ├── CannotCarry                        exit 3   too short, too small or too flat for a watermark id
    ├── CredentialError                    exit 3   signing failed, or a certificate or key is unusable
    │   ├── ManifestUnreadable             exit 3   credentials are there, but damaged
    │   └── ManifestIsRemote               exit 3   the file only says where its credentials lie
    ├── KeyError_                          exit 2   a watermark key is missing, malformed or unreadable
    ├── RepositoryError                    exit 3   the manifest repository cannot be used
    ├── WeightsError                       exit 3   weights are missing, damaged or of another form
    ├── NeedsExtra                         exit 3   an optional part is not installed (hint: the line that installs it)
    └── ExpectationFailed                  exit 1   a comparison or `--expect` did not hold

Each error carries a `message` that names the file or thing, a `hint` with the way out and an `exit_status`.
"""

from __future__ import annotations

from collections.abc import Iterable


class CountermarkError(Exception):
    """Something went wrong that the person in front of the program can act on.

    `message` is one line without a trailing full stop, `hint` one line with the way out. Both may quote a stranger's
    file, so that characters which steer a terminal are replaced.
    """

    exit_status: int = 3

    def __init__(self, message: str, *, hint: str) -> None:
        self.message = _shown(message)
        self.hint = _shown(hint)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross the pipe from the worker process, so they pickle with their hint."""
        return (_rebuild, (type(self), self.message, self.hint))


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))


def _rebuild(kind: type[CountermarkError], message: str, hint: str) -> CountermarkError:
    error = kind.__new__(kind)
    CountermarkError.__init__(error, message, hint=hint)
    return error


class UsageError(CountermarkError):
    """The question itself was wrong: options that contradict each other, a value out of range."""

    exit_status = 2


class UnknownName(UsageError):
    """A name that is not known; the hint lists the nearest ones that are."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib

        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3) or names[:8]
        super().__init__(
            f"there is no {kind} called {name!r}", hint=f"did you mean {', '.join(near) or 'nothing: none exist'}?"
        )


class OutputExists(UsageError):
    """The output is there already, or is the input itself."""


class CannotRead(CountermarkError):
    """A file that is missing, empty, damaged, or holds no pictures."""


class TooHostile(CannotRead):
    """A file that asks for more boxes, pixels, depth or bytes than the limits allow."""


class TookTooLong(CannotRead):
    """Examining a file was stopped by its time or memory limit."""


class CannotWrite(CountermarkError):
    """The output cannot be written where it was asked for."""


class CannotCarry(CountermarkError):
    """A clip too short, too small or too flat to carry a watermark id."""


class CredentialError(CountermarkError):
    """Signing failed, or a certificate, key or trust list is unusable."""


class ManifestUnreadable(CredentialError):
    """Credentials are there, but damaged beyond reading."""


class ManifestIsRemote(CredentialError):
    """The file only says at which address its credentials lie."""


class KeyError_(CountermarkError):  # noqa: N801, "KeyError" is Python's own
    """A watermark key is missing, malformed or unreadable."""

    exit_status = 2


class RepositoryError(CountermarkError):
    """The manifest repository cannot be opened, read or written."""


class WeightsError(CountermarkError):
    """Weights are missing, damaged or of another form."""


class NeedsExtra(CountermarkError):
    """An optional part is not installed."""


class ExpectationFailed(CountermarkError):
    """A comparison or an expectation did not hold."""

    exit_status = 1
