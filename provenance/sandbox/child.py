"""The worker's own side: a process without network that runs one function after another for its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import resource
import signal
import socket
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from provenance.errors import CannotRead, CountermarkError, TookTooLong
from provenance.parallel import end_with_parent
from provenance.sandbox import worker
from provenance.sandbox.limits import Limits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_TELL_EVERY_SECONDS = 0.1
_HEADROOM_BYTES = 2 << 30  # libraries reserve memory that they never touch


def serve() -> None:
    """Run functions until the parent hangs up. The number of the socket stands in the arguments of the program."""
    link = Connection(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[3:] != ["network"]:
        leave_network()
        _refuse_sockets()
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    link.send_bytes(b"ready")
    while True:
        try:
            function, arguments, limits, folder = pickle.loads(link.recv_bytes())
            os.chdir(folder)  # where the parent stands now: names of files may be relative to it
        except EOFError:
            return
        except Exception as error:  # what the parent sent cannot be found here: that is its mistake, and it is told
            link.send_bytes(pickle.dumps(("failed", f"{type(error).__name__}: {error}")))
            continue
        _limit_memory(limits)
        with worker._parent(_Remote(link)):
            link.send_bytes(_reply(function, arguments, limits))


def _reply(function: Any, arguments: tuple[Any, ...], limits: Limits) -> bytes:
    try:
        reply = pickle.dumps(("result", function(*arguments)))
        if len(reply) > limits.result_bytes:
            raise TookTooLong(
                f"{worker._subject(arguments)}: its examination gave {len(reply) >> 20} MiB", hint="examine less of it"
            )
        return reply
    except CountermarkError as error:
        return pickle.dumps(("error", error))
    except MemoryError:
        return pickle.dumps(("error", _out_of_memory(arguments)))
    except Exception as error:  # whatever a stranger's file provokes becomes one line for the person who gave it
        text = "".join(traceback.format_exception(error))
        return pickle.dumps(("failed", text))


def _out_of_memory(arguments: tuple[Any, ...]) -> CountermarkError:
    return TookTooLong(
        f"{worker._subject(arguments)}: stopped, it asks for more memory than allowed",
        hint="a smaller or shorter copy of it may work",
    )


class _Remote:
    """The parent, at the other end of the socket."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._told_at = 0.0

    def ask(self, name: str, question: bytes) -> bytes:
        self._link.send_bytes(pickle.dumps(("asked", (name, question))))
        kind, value = pickle.loads(self._link.recv_bytes())
        if kind == "error":
            raise value
        if not isinstance(value, bytes):
            raise CannotRead(f"the answer to {name!r} is of no use", hint="an answer is bytes")
        return value

    def tell(self, share: float) -> None:
        if time.monotonic() > self._told_at + _TELL_EVERY_SECONDS or share >= 1:
            self._told_at = time.monotonic()
            self._link.send_bytes(pickle.dumps(("told", float(share))))


def leave_network() -> bool:
    """Enter a network namespace of one's own, which has no way out; False where the system does not permit it."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if user == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)
    return True


def _refuse_sockets() -> None:
    """Where no namespace is to be had, at least Python opens no connection."""

    class NoSocket(socket.socket):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            raise PermissionError("the worker has no network")

    socket.socket = NoSocket  # type: ignore[misc]
    socket.create_connection = NoSocket  # type: ignore[assignment]


def _limit_memory(limits: Limits) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes + _HEADROOM_BYTES, hard))


__all__ = ["leave_network", "serve"]
