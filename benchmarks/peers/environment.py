"""Which peers there are, where their environment lies, and which of them can run on this machine."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.peers.conversation import Conversation
from provenance.errors import NeedsExtra, UsageError

STATE = ("COUNTERMARK_VIDEOSEAL", "COUNTERMARK_TRUSTMARK")
"""Variables that say where somebody has the weights of peers which come without."""
_SERVE = Path(__file__).with_name("serve.py")
_OWN = Path(__file__).parents[2] / ".venv-peers"
_MAKE_HINT = "make peers, in a copy of the repository; or COUNTERMARK_PEERS names such an environment"


@dataclass(frozen=True)
class Peer:
    """A watermark of others: what rows call it, the engine that makes it, and the length of its message in bits."""

    name: str
    engine: str
    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"{self.name}: a message has 1 to 64 bits, not {self.bits}")


PEERS = MappingProxyType(
    {
        peer.name: peer
        for peer in (
            Peer("dwtDct", "dwtDct", 32),
            Peer("dwtDctSvd", "dwtDctSvd", 32),
            Peer("RivaGAN", "RivaGAN", 32),
            Peer("blind-watermark", "blind-watermark", 32),
            Peer("videoseal", "videoseal", 32),
            Peer("trustmark", "trustmark", 32),
            Peer("dwtDct-64", "dwtDct", 64),
            Peer("dwtDctSvd-64", "dwtDctSvd", 64),
            Peer("blind-watermark-64", "blind-watermark", 64),
            Peer("videoseal-64", "videoseal", 64),
            Peer("trustmark-64", "trustmark", 64),
        )
    }
)
"""32 bits is what RivaGAN carries, and no more; those that can carry ours, 64, stand there with both lengths."""


def python() -> Path | None:
    """Return the Python of the peers' environment; None where there is none. UsageError where a wrong one is named."""
    named = os.environ.get("COUNTERMARK_PEERS")
    path = (Path(named) if named else _OWN) / "bin/python"
    if named and not path.exists():
        raise UsageError(f"COUNTERMARK_PEERS: {named} is no environment of Python", hint="it should hold bin/python")
    return path if path.exists() else None


def available_peers() -> dict[str, str | None]:
    """Return, for every peer, None where it can run here, else the reason in one line."""
    interpreter = python()
    if interpreter is None:
        return dict.fromkeys(PEERS, f"not installed: {_MAKE_HINT.split(',')[0]}")
    reasons = _reasons(interpreter, _state())
    return {name: reasons[peer.engine] for name, peer in PEERS.items()}


def require(peer: Peer) -> None:
    """Raise NeedsExtra, with the reason, where a peer cannot run here."""
    reason = available_peers()[peer.name]
    if reason is not None:
        raise NeedsExtra(f"watermark {peer.name}: {reason}", hint=_MAKE_HINT)


def conversation(engine: str) -> Conversation:
    """Return the process that serves an engine: one for each in this process, started at its first request."""
    interpreter = python()
    if interpreter is None:
        raise NeedsExtra(f"watermark {engine}: not installed", hint=_MAKE_HINT)
    return _conversation(engine, interpreter, _state())


@functools.cache
def _conversation(engine: str, interpreter: Path, state: tuple[str | None, ...]) -> Conversation:
    return Conversation(engine, [str(interpreter), "-s", str(_SERVE), engine], _environment())


@functools.cache
def _reasons(interpreter: Path, state: tuple[str | None, ...]) -> dict[str, str | None]:
    command = [str(interpreter), "-s", str(_SERVE), "--reasons"]
    try:
        done = subprocess.run(command, capture_output=True, env=_environment(), timeout=120, check=True)
        return dict(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise NeedsExtra(f"the peers' environment does not work ({''.join(last)})", hint=_MAKE_HINT) from error


def _state() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in STATE)


def _environment() -> dict[str, str]:
    """This process's variables without those that would mix its packages with the peers', one thread each."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
