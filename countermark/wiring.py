"""The one composition root: every object is built here, from `Settings`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from countermark.settings import Settings
from provenance.errors import CannotRead
from provenance.files import refuse_existing, write_private, written_beside
from provenance.keys import KeyRing

if TYPE_CHECKING:
    from provenance.credentials.authority import OpenedSigner
    from provenance.credentials.trust import Trust
    from provenance.repository.repository import ManifestRepository


# -- keys --------------------------------------------------------------------------------------------------------------


def key_ring(settings: Settings) -> KeyRing:
    """The watermark keys of this machine."""
    return KeyRing(settings.keys)


def rotate_key(settings: Settings, name: str) -> str:
    """Retire a key, put a new one in its place, return the name under which the old one goes on."""
    return key_ring(settings).rotate(name)


# -- credentials -------------------------------------------------------------------------------------------------------


def open_signer(settings: Settings, uri: str | None) -> OpenedSigner:
    """The signer that a URI names, or this machine's own, made on first use (then it carries a note to show once)."""
    from provenance.credentials.signing import open_signer as opened

    return opened(uri, settings.authority)


def renew_own_signer(settings: Settings) -> None:
    """Replace this machine's own signing certificate."""
    from provenance.credentials.authority import renew_signer

    renew_signer(settings.authority)


def certificate_summary(settings: Settings) -> str | None:
    """Name, algorithm and last day of this machine's own signing certificate; None before first use."""
    from provenance.credentials.signers import certificates_in, signer_of

    path = settings.authority / "signer.pem"
    if not path.is_file():
        return None
    data = path.read_bytes()
    signer = signer_of(data, data, str(path))
    last = certificates_in(data, str(path))[0].not_valid_after_utc
    days = (last - dt.datetime.now(dt.UTC)).days
    return f"{signer.name}, {signer.algorithm}, until {last:%Y-%m-%d} ({days} days), in {settings.authority}"


def write_certificate_request(output: Path, key: Path, name: str, organization: str, *, force: bool) -> None:
    """Write a certificate request and, mode 0600, the private key that belongs to it."""
    from provenance.credentials.request import certificate_request

    refuse_existing(key, force=force)
    private, request = certificate_request(name, organization)
    with written_beside(output, force=force) as part:
        part.write_bytes(request)
        write_private(key, private)


def trust(settings: Settings) -> Trust:
    """The public lists, and one's own: this machine's authority and the anchors that were added."""
    from provenance.credentials.authority import own_authority_pem
    from provenance.credentials.trust import load_trust, own_anchors

    own = own_authority_pem(settings.authority) + own_anchors(settings.own_trust)
    return load_trust(settings.trust, own)


def trust_summary(settings: Settings) -> list[str]:
    """Public lists that are installed, each with its edition."""
    return [f"{one.name}: {one.edition}" for one in trust(settings).lists if one.name != "own"]


def lists_in(folder: Path) -> dict[str, bytes]:
    """The trust lists in a folder, by their names. Raises CannotRead where there is none."""
    from provenance.credentials.trust import LIST_FILES

    found = {name: (folder / name).read_bytes() for name in LIST_FILES if (folder / name).is_file()}
    if not found:
        raise CannotRead(f"{folder}: holds no trust list", hint=f"a folder with {', '.join(LIST_FILES)}")
    return found


# -- repository --------------------------------------------------------------------------------------------------------


def repository(settings: Settings) -> ManifestRepository:
    """The manifest repository, made when missing."""
    from provenance.repository.repository import ManifestRepository

    if "://" not in settings.repository:
        Path(settings.repository).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ManifestRepository(settings.repository)


def weights_digests() -> dict[str, str | None]:
    """Package -> digest over its shipped weights, None where there are none."""
    return {name: _digest_of(name) for name in ("generator", "detectors")}


def _digest_of(package: str) -> str | None:
    import hashlib
    from importlib import resources

    folder = resources.files(package).joinpath("weights")
    if not folder.is_dir():
        return None
    files = sorted((one.name, one) for one in folder.iterdir() if one.name.endswith((".safetensors", ".json")))
    if not files:
        return None
    digest = hashlib.sha256()
    for name, one in files:
        digest.update(name.encode() + b"\0" + one.read_bytes())
    return digest.hexdigest()[:16]
