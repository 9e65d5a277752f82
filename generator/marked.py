"""Making a clip that says where it comes from: joins generator, watermarks, credentials and repository.

Order, so that a crash leaves a reserved id and nothing else: reserve the id, choose the noise, sample, mark the luma,
encode, take the fingerprint, sign, store the manifest, rename the file into place.
"""

from __future__ import annotations

import math
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from provenance.credentials.manifest import LATENT_ALGORITHM, PIXEL_ALGORITHM, Generation, watermark_binding
from provenance.credentials.sdk import ClaimSigner
from provenance.credentials.signing import SIDECAR_ONLY, SignedManifest, media_type_of, sidecar_of
from provenance.errors import CannotWrite, UsageError
from provenance.files import refuse_existing
from provenance.keys import KeyStream
from provenance.repository import ManifestRepository
from provenance.repository.fingerprint import Fingerprint, sketch_of
from provenance.sandbox.worker import Runner
from provenance.sign import seal_generated
from provenance.video import Clip, Video
from provenance.video.encoding import holds
from provenance.video.transform import resized
from provenance.video.write import write_clip
from provenance.watermarks.latent import Generator, LatentWatermark
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark
from provenance.watermarks.strength import chosen, samples_of

ENCODER, ENCODER_CRF = "libx264", 18
LONGEST_SECONDS = 60.0
LINES = range(256, 2161)
Told = Callable[[float, str], None]
"""Hears the share that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True)
class Wish:
    """What clip is wanted.

    seed: fixes everything random but the watermark id, which is never used twice; None draws one.
    first_frame: uint8 (height, width, 3), where the model is to begin, or None.
    watermark_id: an id of one's own whose top bits say *generated*; None takes a free one.
    lines: height of the clip that is delivered, in pixels; None keeps the model's own.
    """

    prompt: str
    seconds: float = 2.0
    seed: int | None = None
    steps: int = 20
    guidance: float = 2.0
    first_frame: np.ndarray | None = field(default=None, repr=False)
    watermark_id: int | None = None
    lines: int | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise UsageError("the prompt is empty", hint="say what the clip should show")
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise UsageError(
                f"a clip of {self.seconds:g} s cannot be made", hint=f"ask for at most {LONGEST_SECONDS:g} s"
            )
        if self.lines is not None and (self.lines not in LINES or self.lines % 2):
            raise UsageError(
                f"a size of {self.lines} lines cannot be made", hint=f"an even number from {LINES[0]} to {LINES[-1]}"
            )
        if not 1 <= self.steps <= 1000 or not math.isfinite(self.guidance):
            raise UsageError(f"{self.steps} steps, guidance {self.guidance:g}: out of range", hint="try 20 and 2")


@dataclass(frozen=True)
class Marks:
    """Under what the clip is marked and signed, and where it is remembered.

    latent: stream of a key of one's own. pixel: streams of the keys whose pixel watermarks the clip carries.
    runner: where the clip is sealed; None takes this process's warm worker.
    """

    latent: KeyStream
    pixel: tuple[KeyStream, ...]
    signer: ClaimSigner
    repository: ManifestRepository
    tsa_url: str | None = None
    runner: Runner | None = None


@dataclass(frozen=True)
class MarkedClip:
    """A clip that was made, signed and remembered. `twin` is the same wish without any mark, where it was asked for.

    sidecar: where the credentials stand, if not inside the clip.
    """

    path: Path
    watermark_id: int
    manifest_id: str
    seconds: float
    seed: int
    twin: Path | None = None
    sidecar: Path | None = None


def make_marked(
    wish: Wish,
    out: Path,
    generator: Generator,
    marks: Marks,
    *,
    twin: Path | None = None,
    force: bool = False,
    told: Told | None = None,
) -> MarkedClip:
    """Make the clip at `out`, whose suffix names the container, and its `twin` if asked for.

    Raises OutputExists, CannotWrite, CredentialError, RepositoryError, UsageError; then nothing is left at `out`.
    """
    told = told or _silent
    for path in filter(None, (out, twin)):
        _refuse(path, force=force)
    seed = secrets.randbits(63) if wish.seed is None else wish.seed
    watermark_id = marks.repository.reserve_id(int(Origin.GENERATED), wish.watermark_id)
    latent = LatentWatermark(marks.latent, generator.noise_shape)
    noises = [latent.noise(watermark_id, _random(seed, number)) for number in range(_stretches(wish, generator))]
    share = 0.45 if twin else 0.9
    clip = _sampled(wish, generator, noises, lambda done: told(share * done, "sampling"))
    clip = _marked(clip, marks.pixel, watermark_id)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".made-") as folder:
        finished = Path(folder) / f"clip{out.suffix}"
        write_clip(clip, finished, codec=ENCODER, crf=ENCODER_CRF, frame_rate=Fraction(generator.frames_per_second))
        told(share + 0.04, "signing")
        if twin is not None:
            _write_twin(wish, generator, twin, seed, len(noises), force=force, told=told)
        signed = _sealed(finished, out, wish, generator, marks, watermark_id, force=force)
    told(1.0, "done")
    return MarkedClip(out, watermark_id, signed.manifest_id, clip.seconds, seed, twin, signed.sidecar)


def _marked(clip: Clip, streams: tuple[KeyStream, ...], watermark_id: int) -> Clip:
    """Put one layer of the pixel watermark under each stream; together they are as strong as the clip needs."""
    if not streams:
        return clip
    each = chosen(samples_of(clip), streams[0], watermark_id, clip.seconds, len(streams))
    for stream in streams:
        clip = PixelWatermark(stream, each).embed(clip, watermark_id)
    return clip


def _sealed(
    finished: Path, out: Path, wish: Wish, generator: Generator, marks: Marks, watermark_id: int, *, force: bool
) -> SignedManifest:
    """Sign the encoded clip, remember its manifest, rename it to `out`."""
    bindings = [watermark_binding(LATENT_ALGORITHM, watermark_id)]
    if marks.pixel:
        bindings.append(watermark_binding(PIXEL_ALGORITHM, watermark_id))
    return seal_generated(
        finished,
        out,
        signer=marks.signer,
        repository=marks.repository,
        generation=Generation(generator.name, prompt=wish.prompt),
        soft_bindings=tuple(bindings),
        fingerprint=Fingerprint.of(sketch_of(list(Video(finished).windows()))).to_bytes(),
        tsa_url=marks.tsa_url,
        force=force,
        runner=marks.runner,
    )


def _write_twin(
    wish: Wish, generator: Generator, twin: Path, seed: int, stretches: int, *, force: bool, told: Told
) -> None:
    """Write the clip of the same seed from plain noise: no watermark of either kind, no credentials."""
    noises = [
        _random(seed, number).standard_normal(generator.noise_shape).astype(np.float32) for number in range(stretches)
    ]
    clip = _sampled(wish, generator, noises, lambda done: told(0.5 + 0.45 * done, "sampling the unmarked twin"))
    write_clip(
        clip, twin, codec=ENCODER, crf=ENCODER_CRF, frame_rate=Fraction(generator.frames_per_second), force=force
    )


def _sampled(wish: Wish, generator: Generator, noises: list[np.ndarray], told: Callable[[float], None]) -> Clip:
    """Sample one stretch per noise and join them."""
    parts = list(_stretches_of(wish, generator, noises, told))
    frames = np.concatenate([part.frames for part in parts])
    count = max(1, round(wish.seconds * float(generator.frames_per_second)))
    clip = Clip.at_rate(frames[:count], float(generator.frames_per_second))
    if wish.lines is None or wish.lines == clip.height:
        return clip
    return resized(clip, 2 * round(clip.width * wish.lines / clip.height / 2), wish.lines)


def _stretches_of(
    wish: Wish, generator: Generator, noises: list[np.ndarray], told: Callable[[float], None]
) -> Iterator[Clip]:
    first_frame = wish.first_frame
    for number, noise in enumerate(noises):
        yield generator.sample(noise, wish.prompt, steps=wish.steps, guidance=wish.guidance, first_frame=first_frame)
        first_frame = None
        told((number + 1) / len(noises))


def _stretches(wish: Wish, generator: Generator) -> int:
    return max(1, math.ceil(wish.seconds / float(generator.clip_seconds) - 1e-6))


def _random(seed: int, stretch: int) -> np.random.Generator:
    return np.random.default_rng([seed, stretch])


def _refuse(path: Path, *, force: bool) -> None:
    if not media_type_of(path).startswith("video/"):
        raise CannotWrite(f"{path}: a clip needs a container for video", hint="write .mp4 or .mov")
    refuse_existing(path, force=force)
    if path.suffix.lower() in SIDECAR_ONLY:
        refuse_existing(sidecar_of(path), force=force)
    if not holds(path, ENCODER):
        raise CannotWrite(f"{path}: this container does not hold {ENCODER} video", hint="write .mp4, .mov or .mkv")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise CannotWrite(
            f"{path}: its folder is missing, or not yours to write", hint="make it first, or name another"
        )


def _silent(share: float, doing: str) -> None:
    """Take no notice."""
