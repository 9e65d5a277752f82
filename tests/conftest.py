"""What holds for every test: no network beyond this machine, and a data folder of its own."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_CLOSED = "http://127.0.0.1:9"  # the discard port: what a child process would be told to use as its proxy


def pytest_configure(config: pytest.Config) -> None:
    """Point every child process's HTTP client at a closed port, and draw pictures without a display."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ[name] = _CLOSED
    os.environ["MPLBACKEND"] = "Agg"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with Ctrl-C ignored
    os.environ.pop("COUNTERMARK_HOME", None)
    os.environ.pop("COUNTERMARK_TRUST", None)


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):  # a path: a socket of this machine
        return True
    host = str(address[0])
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    plain_connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if not _is_loopback(address):
            raise OSError(f"tests run with the network off: {address!r}")
        return plain_connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep keys, certificates and manifests of a test in its own folder."""
    home = tmp_path / "countermark-home"
    monkeypatch.setenv("COUNTERMARK_HOME", str(home))
    return home
