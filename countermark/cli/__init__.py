"""The command line. Each command is a file of its own; what is heavy is imported when a command needs it."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from countermark.cli.session import Group, Session, everywhere, say_error
from provenance.errors import CountermarkError

INTERRUPTED = 130  # 128 + SIGINT, as shells count

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
    from countermark.cli import attack, bench, certs, demo, doctor, generate, keys, sign, train, trust, verify

    for command in (
        attack.attack,
        bench.bench,
        certs.certs,
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0 done, 1 expectation failed, 2 usage, 3 unreadable."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported; see provenance.sandbox.worker
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; no error of any kind leaves as a traceback."""
    session = Session()
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
        _say_usage(error)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("error: stopped before it was done\nhint: nothing half-written was left behind", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return session.exit_status
    except CountermarkError as error:
        say_error(error, debug=session.debug)
        return max(error.exit_status, session.exit_status)
    except Exception as error:  # the last resort: one line for the user, the rest with --debug
        _say_defect(error, session)
        return 3


def _say_usage(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    where = f"{context.command_path} --help" if context is not None else "countermark --help"
    message = " ".join(error.format_message().split()).rstrip(".")
    click.echo(f"error: {message}\nhint: see `{where}`", err=True)


def _say_defect(error: Exception, session: Session) -> None:
    if session.debug:
        traceback.print_exception(error)
    message = " ".join(str(error).split())[:300]
    click.echo(f"error: a defect of Countermark: {type(error).__name__}: {message}", err=True)
    click.echo("hint: run it again with --debug and report what it prints", err=True)


def _silence_stdout() -> None:
    """Let nothing be written to the closed pipe while the interpreter shuts down."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
