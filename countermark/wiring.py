"""The one composition root: every object is built here, from `Settings`."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countermark.checks import CHECKS, CheckFactory, built_in_generator
from countermark.settings import HOME_VARIABLE, Settings
from provenance.errors import CannotRead, CannotWrite, UnknownName
from provenance.files import refuse_existing, write_private, written_beside
from provenance.keys import HOME_NAME, PUBLIC_NAME, KeyRing, KeyStream

if TYPE_CHECKING:
    import numpy as np

    from countermark.report.page import Picture
    from generator.marked import MarkedClip, Marks, Told, Wish
    from provenance.credentials.authority import OpenedSigner
    from provenance.credentials.sdk import ClaimSigner
    from provenance.credentials.trust import Trust
    from provenance.repository.repository import ManifestRepository
    from provenance.sign import SigningPlan, SignReport
    from provenance.verify import Report, Unread
    from provenance.video import Clip
    from provenance.watermarks.latent import Generator

MODELS = ("built-in",)
PIXEL_PURPOSE = "pixel/1"
LATENT_PURPOSE = "latent/1"

# -- keys --------------------------------------------------------------------------------------------------------------


def key_ring(settings: Settings) -> KeyRing:
    """The watermark keys of this machine."""
    return KeyRing(settings.keys)


def rotate_key(settings: Settings, name: str) -> str:
    """Retire a key, put a new one in its place, return the name under which the old one goes on."""
    return key_ring(settings).rotate(name)


def pixel_streams(settings: Settings, names: Sequence[str]) -> tuple[KeyStream, ...]:
    """What the pixel watermark may know of the keys of these names. Raises KeyError_."""
    ring = key_ring(settings)
    return tuple(ring.get(name).stream(PIXEL_PURPOSE) for name in names)


def latent_streams(settings: Settings, names: Sequence[str]) -> tuple[KeyStream, ...]:
    """What the latent watermark may know of one's own keys among these names; `public` never carries it."""
    ring = key_ring(settings)
    return tuple(ring.get(name).stream(LATENT_PURPOSE) for name in names if name != PUBLIC_NAME)


# -- credentials -------------------------------------------------------------------------------------------------------


def open_signer(settings: Settings, uri: str | None) -> OpenedSigner:
    """The signer that a URI names, or this machine's own, made on first use (then it carries a note to show once)."""
    from provenance.credentials.signing import open_signer as opened

    with _refused(settings.authority):
        return opened(uri, settings.authority)


def renew_own_signer(settings: Settings) -> None:
    """Replace this machine's own signing certificate."""
    from provenance.credentials.authority import renew_signer

    with _refused(settings.authority):
        renew_signer(settings.authority)


@contextlib.contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """Say which folder of ours the system refuses, and who names it."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"{folder}: cannot be used ({error.strerror})",
            hint=f"is it yours to read and write? {HOME_VARIABLE} names another place",
        ) from error


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
        folder = Path(settings.repository).parent
        with _refused(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ManifestRepository(settings.repository)


# -- examining ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Examiner:
    """Examines files with one set of checks, keys and lists; picklable."""

    make_checks: CheckFactory
    recover: ManifestRepository | None
    tool: Mapping[str, Any]

    def one(self, path: Path | str, *, keyframes: int = 0, progress: Callable[[float], None] | None = None) -> Report:
        """Examine one file. Raises CannotRead."""
        from provenance.verify import verify

        return verify(
            path, self.make_checks, recover=self.recover, tool=self.tool, keyframes=keyframes, progress=progress
        )

    def each(
        self, paths: Sequence[Path], *, keyframes: int = 0, workers: int = 1, ray_address: str | None = None
    ) -> Iterator[Report | Unread]:
        """Examine files in their order; those that cannot be read come as `Unread`."""
        from provenance.verify import verify_each

        return verify_each(
            paths,
            self.make_checks,
            recover=self.recover,
            tool=self.tool,
            keyframes=keyframes,
            workers=workers,
            ray_address=ray_address,
        )


def examiner(
    settings: Settings,
    *,
    checks: Sequence[str] = CHECKS,
    key_names: Sequence[str] = (),
    at_time: dt.datetime | None = None,
) -> Examiner:
    """Return what examines files: with all keys when none is named, with this machine's lists and repository."""
    names = tuple(dict.fromkeys(key_names or key_ring(settings).names()))
    lists = trust(settings)
    factory = CheckFactory(
        trust=lists,
        names=tuple(checks),
        pixel=pixel_streams(settings, names),
        latent=latent_streams(settings, names),
        at_time=at_time,
    )
    known = repository(settings) if _has_repository(settings) else None
    tool = {
        "version": importlib.metadata.version("countermark"),
        "weights": weights_digests(),
        "trust_lists": lists.editions(),
        "keys": list(names),
    }
    return Examiner(factory, known, tool)


def pictures_of(examine: Examiner, report: Report) -> tuple[Picture, ...]:
    """The pixel watermark of a report made visible, under the first key that reads it; none without keyframes."""
    from countermark.report.pictures import watermark_pictures
    from provenance.evidence import WatermarkEvidence

    streams = {stream.key_name: stream for stream in examine.make_checks.pixel}
    for item in report.evidence:
        if isinstance(item, WatermarkEvidence) and item.check == "pixel-watermark" and item.found:
            stream = streams.get(item.key or "")
            if stream is not None and item.watermark_id is not None and report.keyframes:
                middle = report.keyframes[len(report.keyframes) // 2][1]
                return watermark_pictures(stream, item.watermark_id, middle)
    return ()


def _has_repository(settings: Settings) -> bool:
    return "://" in settings.repository or Path(settings.repository).exists()


# -- signing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SigningDesk:
    """Signs files with one plan, signer and repository. `notes` are to be said once."""

    plan: SigningPlan
    signer: ClaimSigner
    repository: ManifestRepository
    notes: tuple[str, ...] = ()

    def __call__(
        self,
        source: Path,
        out: Path,
        *,
        progress: Callable[[float], None] | None = None,
        on_loss: Callable[[str], None] | None = None,
    ) -> SignReport:
        """Sign one file: see `provenance.sign.sign`."""
        from provenance.sign import sign

        return sign(
            source,
            out,
            signer=self.signer,
            repository=self.repository,
            plan=self.plan,
            progress=progress,
            on_loss=on_loss,
        )


def signing_desk(
    settings: Settings, *, key_names: Sequence[str] = (), watermark: bool = True, signer: str | None = None, **plan: Any
) -> SigningDesk:
    """Return what signs files.

    key_names: keys of the pixel watermark, `public` when none is named; `watermark` false embeds none.
    plan: the other fields of `provenance.sign.SigningPlan`.
    """
    from provenance.sign import SigningPlan

    streams = pixel_streams(settings, tuple(dict.fromkeys(key_names)) or (PUBLIC_NAME,)) if watermark else ()
    opened = open_signer(settings, signer)
    notes = (opened.note,) if opened.note else ()
    return SigningDesk(SigningPlan(streams=streams, **plan), opened.signer, repository(settings), notes)


# -- making clips ------------------------------------------------------------------------------------------------------


def generator(name: str = "built-in") -> Generator:
    """The model of this name; imports torch. Raises UnknownName, WeightsError."""
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    return built_in_generator()


def picture(path: Path) -> np.ndarray:
    """The first picture of a file, uint8 (height, width, 3). Raises CannotRead."""
    from provenance.video import Video

    return next(Video(path).windows(1)).rgb[0]


@dataclass(frozen=True)
class Maker:
    """Makes marked clips with one model, under one set of keys and one signer. `notes` are to be said once."""

    model: Generator
    marks: Marks
    notes: tuple[str, ...] = ()

    def __call__(
        self, wish: Wish, out: Path, *, twin: Path | None = None, force: bool = False, told: Told | None = None
    ) -> MarkedClip:
        """Make one clip: see `generator.marked.make_marked`."""
        from generator.marked import make_marked

        return make_marked(wish, out, self.model, self.marks, twin=twin, force=force, told=told)


def maker(
    settings: Settings,
    model: Generator,
    key_names: Sequence[str] = (),
    signer: str | None = None,
    tsa: str | None = None,
) -> Maker:
    """Return what makes marked clips.

    key_names: keys of the pixel watermark, `public` when none is named; the first of one's own also carries the latent
    one, else the key `home`, which is made on first use.
    """
    from generator.marked import Marks

    ring = key_ring(settings)
    own = next((name for name in key_names if name != PUBLIC_NAME), HOME_NAME)
    key, is_new = ring.get_or_new(own) if own == HOME_NAME else (ring.get(own), False)
    opened = open_signer(settings, signer)
    notes = [note for note in (_new_key_note(settings, own) if is_new else None, opened.note) if note]
    marks = Marks(
        latent=key.stream(LATENT_PURPOSE),
        pixel=pixel_streams(settings, tuple(dict.fromkeys(key_names)) or (PUBLIC_NAME,)),
        signer=opened.signer,
        repository=repository(settings),
        tsa_url=tsa,
    )
    return Maker(model, marks, tuple(notes))


def _new_key_note(settings: Settings, name: str) -> str:
    return (
        f"made the watermark key {name!r} in {settings.keys}: back it up, for without it nobody can tell that a clip "
        "was made here, and keep it private, for whoever has it can mark clips as yours"
    )


def detector_degradations() -> dict[str, Callable[[Clip], Clip]]:
    """What happens to training clips of the detectors: how clips are delivered."""
    from functools import partial

    from benchmarks.attacks import attack_clip
    from benchmarks.experiments.detectors import AFTER

    return {AFTER: partial(attack_clip, chain=AFTER)}


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
