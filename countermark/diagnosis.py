"""What is there on this machine, and what is missing: the findings of `countermark doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from countermark.settings import TRUST_VARIABLE, Settings
from provenance.errors import CountermarkError

State = Literal["good", "note", "bad"]
PACKAGES = (
    "countermark",
    "av",
    "torch",
    "opencv-python-headless",
    "numpy",
    "c2pa-python",
    "cryptography",
    "sqlalchemy",
)
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9")


@dataclass(frozen=True)
class Item:
    """One thing looked at. `advice` says what to do, and is empty where nothing is to be done."""

    state: State
    what: str
    found: str
    advice: str = ""


def diagnose(settings: Settings) -> list[Item]:
    """Look at the interpreter, the packages, the encoders, keys, certificate, trust lists and repository."""
    parts = (_python(), _packages(), _encoders(), _home(settings), _certificate(settings), _trust(settings))
    return [item for part in (*parts, _repository(settings), _weights()) for item in part]


def _python() -> Iterator[Item]:
    yield Item("good", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Item]:
    for name in PACKAGES:
        try:
            yield Item("good", name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Item("bad", name, "not installed", f"pip install -c constraints.txt {name}")


def _encoders() -> Iterator[Item]:
    import av

    missing = [name for name in ENCODERS if name not in av.codecs_available]
    if missing:
        yield Item("note", "encoders", f"without {', '.join(missing)}", "install PyAV from its wheels")
    else:
        yield Item("good", "encoders", ", ".join(ENCODERS))


def _home(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import key_ring

    there = settings.home.is_dir()
    yield Item("good" if there else "note", "data folder", str(settings.home), "" if there else "made at first use")
    try:
        keys = list(key_ring(settings))
        yield Item("good", "watermark keys", ", ".join(key.name for key in keys))
    except CountermarkError as error:
        yield Item("bad", "watermark keys", error.message, error.hint)


def _certificate(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import certificate_summary

    try:
        summary = certificate_summary(settings)
    except CountermarkError as error:
        yield Item("bad", "signing certificate", error.message, error.hint)
        return
    if summary is None:
        yield Item("note", "signing certificate", "none yet", "made at first use, or by `countermark certs new`")
    else:
        yield Item("good", "signing certificate", summary)


def _trust(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import trust_summary

    try:
        lists = trust_summary(settings)
    except CountermarkError as error:
        yield Item("bad", "trust lists", error.message, error.hint)
        return
    if lists:
        yield Item("good", "trust lists", ", ".join(lists))
    else:
        advice = f"`countermark trust update`, or point {TRUST_VARIABLE} at a folder of lists"
        yield Item("note", "trust lists", f"none in {settings.trust}: only your own authority is trusted", advice)


def _repository(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import repository

    if "://" not in settings.repository and not Path(settings.repository).exists():
        yield Item("note", "manifest repository", "none yet", "made at first use")
        return
    try:
        yield Item("good", "manifest repository", repr(repository(settings)))
    except CountermarkError as error:
        yield Item("bad", "manifest repository", error.message, error.hint)


def _weights() -> Iterator[Item]:
    from countermark.wiring import weights_digests

    for name, digest in weights_digests().items():
        if digest is None:
            yield Item("note", f"{name} weights", "not there", "install the package with its weights")
        else:
            yield Item("good", f"{name} weights", digest)
