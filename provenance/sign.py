"""Sign an existing video: reserve an id, embed it, read it back, seal the file, remember the manifest, rename.

The steps stand in this order so that a crash in between leaves a reserved id and nothing else. What touches the file
runs in the worker (`provenance.marking`); keys of signers and the repository stay here.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provenance.credentials.manifest import (
    FINGERPRINT_ALGORITHM,
    PIXEL_ALGORITHM,
    Change,
    Generation,
    Manifest,
    SoftBinding,
    Source,
    watermark_binding,
)
from provenance.credentials.sdk import ClaimSigner
from provenance.credentials.signing import SIDECAR_ONLY, SignedManifest, media_type_of, sidecar_of
from provenance.errors import CredentialError
from provenance.evidence import OriginName, WatermarkEvidence
from provenance.files import refuse_existing, refuse_same_file, unchanged, written_beside
from provenance.keys import PUBLIC, KeyStream
from provenance.marking import AskedSigner, MarkedFile, MarkingJob, look, mark, seal
from provenance.repository import ManifestRepository
from provenance.sandbox.limits import Limits
from provenance.sandbox.worker import Runner, Worker, warm_worker
from provenance.video.container import refuse_unreadable
from provenance.video.encoding import Encoding
from provenance.watermarks.capacity import ENOUGH_ENERGY, expected_energy
from provenance.watermarks.marking import Strength
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PURPOSE
from provenance.watermarks.strength import LEAST_SECONDS

THIN_LOG10_P = -20.0
"""A layer that reads back with a larger chance than this has little left for what the world does to a clip."""

Progress = Callable[[float], None]


@dataclass(frozen=True)
class SigningPlan:
    """What signing does to a file, beside signing it.

    origin: how the clip was made, as its owner says; "unstated" claims nothing.
    streams: the pixel watermark goes in under each (purpose ``pixel/1``); none means no watermark.
    watermark_id: a free id whose top bits say the origin; None takes a fresh one.
    strength_db: luma PSNR of the watermark; None chooses it by trying. encoding: None keeps the codec, at a quality
        near the input.
    sidecar: credentials beside the file and not inside. keep_location: keep tags that say where it was filmed.
    tsa_url: time-stamp authority (RFC 3161) to ask. force: overwrite the output.
    """

    origin: OriginName = "unstated"
    streams: tuple[KeyStream, ...] = field(default_factory=lambda: (PUBLIC.stream(PURPOSE),))
    watermark_id: int | None = None
    strength_db: float | None = None
    encoding: Encoding | None = None
    sidecar: bool = False
    keep_location: bool = False
    tsa_url: str | None = None
    force: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.strength_db is not None and not 30 <= self.strength_db <= 60:
            raise ValueError(f"a strength of {self.strength_db} dB is out of range: 30 to 60")
        if len({stream.key_name for stream in self.streams}) != len(self.streams):
            raise ValueError("one layer per key")
        if any(stream.purpose != PURPOSE for stream in self.streams):
            raise ValueError(f"the pixel watermark takes streams for {PURPOSE!r}")


@dataclass(frozen=True)
class SignReport:
    """What was done.

    watermark_id: None without watermark. readings: what the output's own reader said, one per layer.
    psnr_db: luma of the marked frames against the input's, before encoding. encoder: None when streams were copied.
    growth: bytes of the output against those of the input: a watermark is detail that must be encoded, too.
    warnings: plain phrases: what the container could not hold, a thin margin.
    """

    source: Path
    path: Path
    manifest_id: str
    origin: OriginName
    watermark_id: int | None
    keys: tuple[str, ...]
    readings: tuple[WatermarkEvidence, ...]
    psnr_db: float | None
    encoder: str | None
    sidecar: Path | None
    growth: float
    warnings: tuple[str, ...]
    seconds: float


def sign(
    source: Path,
    out: Path,
    *,
    signer: ClaimSigner,
    repository: ManifestRepository,
    plan: SigningPlan | None = None,
    runner: Runner | None = None,
    progress: Progress | None = None,
    on_loss: Callable[[str], None] | None = None,
) -> SignReport:
    """Mark and sign `source` into `out`, and remember the manifest in `repository`.

    runner: where the file is touched; None takes this process's warm worker. progress: told the share done, 0 .. 1.
    on_loss: told, before anything is written, each thing that the output will not keep; they stand in the report, too.
    Raises CannotRead, CannotWrite, OutputExists, CannotCarry, CredentialError, RepositoryError; then nothing is left
    behind but a reserved id.
    """
    plan, started = plan or SigningPlan(), time.monotonic()
    runner = runner or warm_worker(plan.limits)
    _refuse_early(source, out, plan)
    seen = runner.run(look, _job(source, out, 0, plan))
    if on_loss is not None:
        for loss in seen.losses:
            on_loss(loss)
    with _beside(out, plan) as (marked_path, sealed_path):
        with unchanged(source):
            watermark_id = (
                repository.reserve_id(int(Origin[plan.origin.upper()]), plan.watermark_id) if plan.streams else 0
            )
            job = _job(source, marked_path, watermark_id, plan)
            marked = runner.run(mark, job, progress=progress)
            bindings = _bindings(watermark_id if plan.streams else None, marked)
            manifest = _manifest(source, out, plan, marked, bindings)
            sealed = _sealed(marked_path, sealed_path, manifest, signer, plan, runner)
        _remember(repository, sealed, manifest, marked.fingerprint)
        sidecar = _move_sidecar(sealed, out, force=plan.force)
    if progress is not None:
        progress(1.0)
    return SignReport(
        source,
        out,
        sealed.manifest_id,
        plan.origin,
        watermark_id if plan.streams else None,
        tuple(stream.key_name for stream in plan.streams),
        marked.readings,
        marked.psnr_db,
        marked.rewritten.encoder,
        sidecar,
        round(out.stat().st_size / max(1, source.stat().st_size), 2),
        _warnings(marked, plan),
        time.monotonic() - started,
    )


def seal_generated(
    finished: Path,
    out: Path,
    *,
    signer: ClaimSigner,
    repository: ManifestRepository,
    generation: Generation,
    soft_bindings: tuple[SoftBinding, ...],
    fingerprint: bytes,
    origin: OriginName = "generated",
    components: tuple[Source, ...] = (),
    tsa_url: str | None = None,
    force: bool = False,
    runner: Runner | None = None,
) -> SignedManifest:
    """Seal a clip that a generator made and marked: sign, remember, rename. `finished` is left where it is.

    soft_bindings: of its watermarks; the fingerprint's is added. Raises as `sign` does.
    """
    plan = SigningPlan(origin, (), tsa_url=tsa_url, force=force)
    runner = runner or warm_worker(plan.limits)
    refuse_same_file(finished, out)
    if out.suffix.lower() in SIDECAR_ONLY:
        refuse_existing(sidecar_of(out), force=force)
    manifest = Manifest(
        title=out.name,
        media_type=media_type_of(out),
        origin=origin,
        generation=generation,
        components=components,
        soft_bindings=(*soft_bindings, SoftBinding(FINGERPRINT_ALGORITHM, fingerprint)),
    )
    with written_beside(out, force=force) as sealed_path:
        try:
            sealed = _sealed(finished, sealed_path, manifest, signer, plan, runner)
            _remember(repository, sealed, manifest, fingerprint)
            sidecar = _move_sidecar(sealed, out, force=force)
        finally:
            sidecar_of(sealed_path).unlink(missing_ok=True)
    return SignedManifest(sealed.manifest_id, sealed.manifest_bytes, out, sidecar)


def _job(source: Path, target: Path, watermark_id: int, plan: SigningPlan) -> MarkingJob:
    return MarkingJob(
        source,
        target,
        watermark_id,
        plan.streams,
        plan.strength_db,
        plan.encoding,
        plan.keep_location,
        plan.limits,
    )


def _refuse_early(source: Path, out: Path, plan: SigningPlan) -> None:
    """Say what can be said before any work is done."""
    refuse_unreadable(source)
    refuse_same_file(source, out)
    refuse_existing(out, force=plan.force)
    media_type_of(out)
    if plan.sidecar or out.suffix.lower() in SIDECAR_ONLY:
        refuse_existing(sidecar_of(out), force=plan.force)


@contextmanager
def _beside(out: Path, plan: SigningPlan) -> Iterator[tuple[Path, Path]]:
    """Yield two temporary paths beside the output: for the marked file, which never stays, and for the sealed one."""
    with written_beside(out, force=plan.force) as sealed:
        marked = sealed.with_name(f"{sealed.stem}.marked{sealed.suffix}")
        try:
            yield marked, sealed
        finally:
            marked.unlink(missing_ok=True)
            sidecar_of(sealed).unlink(missing_ok=True)


def _bindings(watermark_id: int | None, marked: MarkedFile) -> tuple[SoftBinding, ...]:
    prints = SoftBinding(FINGERPRINT_ALGORITHM, marked.fingerprint)
    return (prints,) if watermark_id is None else (watermark_binding(PIXEL_ALGORITHM, watermark_id), prints)


def _manifest(
    source: Path, out: Path, plan: SigningPlan, marked: MarkedFile, bindings: tuple[SoftBinding, ...]
) -> Manifest:
    change: Change = "transcoded" if marked.rewritten.encoder else "repackaged"
    return Manifest(
        title=out.name,
        media_type=media_type_of(out),
        origin=plan.origin,
        parent=_parent(source),
        changes=(change,),
        soft_bindings=bindings,
    )


def _parent(source: Path) -> Source:
    beside = sidecar_of(source)
    data = beside.read_bytes() if beside.is_file() and beside.stat().st_size < Limits().manifest_bytes else None
    try:
        media_type = media_type_of(source)
    except CredentialError:
        media_type = "application/octet-stream"  # a container that carries no credentials
    return Source(source, source.name, media_type, data)


def _sealed(
    finished: Path, target: Path, manifest: Manifest, signer: ClaimSigner, plan: SigningPlan, runner: Runner
) -> SignedManifest:
    """Seal in the worker, which asks for the signature; in one with a network where a time stamp is wanted."""
    asked = AskedSigner(getattr(signer, "name", "signer"), signer.algorithm, signer.certificates_pem)
    arguments = (finished, target, manifest, asked, plan.sidecar, plan.tsa_url)
    answers = {AskedSigner.QUESTION: signer.sign}
    if plan.tsa_url is None:
        return runner.run(seal, *arguments, answers=answers)
    with Worker(plan.limits, network=True) as connected:
        return connected.run(seal, *arguments, answers=answers)


def _remember(repository: ManifestRepository, sealed: SignedManifest, manifest: Manifest, fingerprint: bytes) -> None:
    pairs = [(binding.algorithm, binding.value) for binding in manifest.soft_bindings]
    repository.store(sealed.manifest_id, sealed.manifest_bytes, pairs, fingerprint, manifest.title)


def _move_sidecar(sealed: SignedManifest, out: Path, *, force: bool) -> Path | None:
    if sealed.sidecar is None:
        return None
    refuse_existing(sidecar_of(out), force=force)
    os.replace(sealed.sidecar, sidecar_of(out))
    return sidecar_of(out)


def _warnings(marked: MarkedFile, plan: SigningPlan) -> tuple[str, ...]:
    info, seconds = marked.info, marked.rewritten.seconds
    each_db = (marked.strength or Strength()).decibels + 10 * math.log10(max(1, len(plan.streams)))
    was_tried = plan.strength_db is None and not info.is_still and seconds >= LEAST_SECONDS
    little = not was_tried and expected_energy(info.width, info.height, seconds, each_db) < ENOUGH_ENERGY
    said = [
        f"the watermark under the key {row.key!r} has a thin margin: re-encoding or scaling may lose it"
        for row in marked.readings
        if little or row.log10_p > THIN_LOG10_P
    ]
    return (*marked.rewritten.dropped, *said)


__all__ = ["SignReport", "SigningPlan", "seal_generated", "sign"]
