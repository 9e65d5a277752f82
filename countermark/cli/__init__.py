"""The command line. Each command is a file of its own; what is heavy is imported when a command needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

import click

from countermark.cli.session import Group, Session, everywhere, say_error
from countermark.cli.streams import OutputLost, guarded, silence_stdout
from provenance.errors import CannotWrite, CountermarkError

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_READER_GONE = 128 + signal.SIGPIPE  # as shells count

__all__ = ["countermark", "main"]


@click.group(
    cls=Group,
    params=everywhere(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=False,
)
@click.version_option(package_name="countermark", message="%(prog)s %(version)s")
def countermark() -> None:
    """Where does a video come from, and how do we know?

    Watermark and sign clips as they are made or afterwards; examine any clip that arrives.
    """


def _register() -> None:
    from countermark.cli import (
        attack,
        bench,
        certs,
        completion,
        demo,
        doctor,
        generate,
        keys,
        sign,
        train,
        trust,
        verify,
    )

    for command in (
        attack.attack,
        bench.bench,
        certs.certs,
        completion.completion,
        demo.demo,
        doctor.doctor,
        generate.generate,
        keys.keys,
        sign.sign,
        train.train,
        trust.trust,
        verify.verify,
    ):
        countermark.add_command(command)


_register()


class Ended(KeyboardInterrupt):
    """The system asked this process to end; everything is left as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0 done, 1 expectation failed, 2 usage, 3 unreadable."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported; see provenance.sandbox.worker
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored, and means it
            signal.signal(number, _end)
    sys.stdout = guarded(sys.stdout)
    sys.exit(run(arguments))


def _end(number: int, _: object) -> None:
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)  # what is half-written is being removed
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():  # a terminal's Ctrl-C would have reached them, this does not
            child.terminate()
    raise Ended(number)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; no error of any kind leaves as a traceback."""
    session = Session()
    try:
        status = _status(session, arguments)
    except SystemExit as leaving:  # click leaves so after completing a line, and when a reader is gone
        status = _READER_GONE if leaving.code else 0
    except BrokenPipeError:
        status = _READER_GONE
    try:
        sys.stdout.flush()
    except OutputLost as lost:
        silence_stdout()
        return status or _say_lost(lost, session)
    return status


def _status(session: Session, arguments: Sequence[str] | None) -> int:
    try:
        countermark.main(
            args=None if arguments is None else list(arguments),
            prog_name="countermark",
            standalone_mode=False,
            obj=session,
        )
        return session.exit_status
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        _say_usage(error, sys.argv[1:] if arguments is None else arguments)
        return 2
    except (KeyboardInterrupt, click.Abort) as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            click.echo("error: stopped before it was done\nhint: nothing half-written was left behind", err=True)
        cause = stopped.__cause__ if isinstance(stopped, click.Abort) else stopped
        return 128 + (cause.number if isinstance(cause, Ended) else signal.SIGINT)  # as shells count
    except OutputLost as lost:
        return _say_lost(lost, session)
    except CountermarkError as error:
        say_error(error, debug=session.debug)
        return max(error.exit_status, session.exit_status)
    except Exception as error:  # the last resort: one line for the user, the rest with --debug
        if isinstance(error, OSError) and error.filename is not None:
            _say_refused(error, session)
        else:
            _say_defect(error, session)
        return 3


def _say_lost(lost: OutputLost, session: Session) -> int:
    """Say that standard output is lost, unless its reader has merely seen enough; return the exit status."""
    silence_stdout()
    if lost.reader_is_gone:
        return _READER_GONE
    error = CannotWrite(f"standard output: cannot be written ({lost.reason})", hint="is the disk full?")
    with contextlib.suppress(OSError):
        say_error(error, debug=session.debug)
    return error.exit_status


def _say_refused(error: OSError, session: Session) -> None:
    """A file or folder that the system refuses and for which no closer words were found."""
    if session.debug:
        import traceback

        traceback.print_exception(error)
    hint = "is it there, and yours to read and write? COUNTERMARK_HOME says where keys and certificates stand"
    say_error(CannotWrite(f"{os.fsdecode(error.filename)}: {error.strerror}", hint=hint))


def _say_usage(error: click.ClickException, arguments: Sequence[str]) -> None:
    context = getattr(error, "ctx", None)
    hint = f"see `{context.command_path} --help`" if context is not None else "see `countermark --help`"
    if isinstance(error, click.NoSuchOption):
        file = next((one for one in arguments if one.startswith("-") and _looks_like_a_file(one)), None)
        hint = hint if file is None else f"for a file of that name write ./{file}, or -- before the names"
    message = " ".join(error.format_message().split()).rstrip(".")
    click.echo(f"error: {message}\nhint: {hint}", err=True)


def _looks_like_a_file(argument: str) -> bool:
    return os.path.exists(argument) or ("=" not in argument and bool(os.path.splitext(argument)[1]))


def _say_defect(error: Exception, session: Session) -> None:
    if session.debug:
        import traceback

        traceback.print_exception(error)
    message = " ".join(str(error).split())[:300]
    click.echo(f"error: a defect of Countermark: {type(error).__name__}: {message}", err=True)
    click.echo("hint: run it again with --debug and report what it prints", err=True)
