"""The latent watermark: it chooses the initial noise of a diffusion sampler, and is read by inverting the sampler.

It says *generated*: the id is in the noise that the clip was sampled from. It meets models only through `Generator`
and an array, the initial noise. Reading is blind: the prompt is not known, nothing but the key is needed.

Steps of a reading, for each stretch of the clip that is as long as one base clip:

1. invert the clip to an estimate of its noise, and see it as carriers (`noise.NoiseLayout`);
2. correlate the pilot carriers with all 2^16 pilots; keep the `NONCE_CANDIDATES` best nonces;
3. per nonce, learn from the pilot how reliable each (channel, band) is;
4. test the verification carriers, whose signs the key and the nonce give, on their own: the chance of their weighted
   sum under random signs, magnitudes given. Their signs chose nothing before, so this chance is honest;
5. behind the gate, decode the payload (weighted, summed over stretches) and let the tag decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import cv2
import numpy as np

from provenance.evidence import Evidence, Span, WatermarkEvidence
from provenance.keys import KeyStream
from provenance.video import Clip, VideoInfo, Window
from provenance.watermarks import payload, statistics
from provenance.watermarks.noise import Shape, layout_for
from provenance.watermarks.polar import CODE_LENGTH

PURPOSE = "latent/1"
ALGORITHM = "org.countermark.latent.1"
NONCE_CANDIDATES = 4
_LEAST_SHARE = 0.6
"""Of a stretch that broke off, so much must have been seen."""
KEPT_LINES = 256
"""Frames are scaled down to about this many lines while they wait to be inverted."""


class Generator(Protocol):
    """What a diffusion model must offer to carry the latent watermark.

    noise_shape: (channels, frames, height, width) of the initial noise of one base clip.
    clip_seconds: how long the clip made from one such noise plays.
    """

    name: str
    noise_shape: Shape
    frames_per_second: Fraction
    clip_seconds: float

    def sample(
        self,
        noise: np.ndarray,
        prompt: str,
        *,
        steps: int = 20,
        guidance: float = 2.0,
        first_frame: np.ndarray | None = None,
        start: float = 0.0,
    ) -> Clip:
        """Make a clip from noise float32 `noise_shape`."""

    def invert(self, clip: Clip, *, steps: int = 10) -> np.ndarray:
        """Estimate, without knowing the prompt, the noise float32 `noise_shape` that a clip was sampled from."""


@dataclass(frozen=True)
class Stretch:
    """The noise estimate of one stretch of a video."""

    span: Span
    noise: np.ndarray


@dataclass(frozen=True)
class _Nonce:
    """One candidate nonce of one stretch: what verification says, and the payload's soft bits, unmasked."""

    stretch: int
    log10_tail: float
    soft: np.ndarray


@dataclass(frozen=True)
class _Sighted:
    """Which stretches gave an id, and the least likely verification among them."""

    stretches: frozenset[int]
    log10_tail: float


class LatentWatermark:
    """The latent watermark of one key for one shape of noise."""

    name = "latent-watermark"

    def __init__(self, stream: KeyStream, noise_shape: Shape) -> None:
        self.stream = stream
        self.layout = layout_for(stream, noise_shape)

    def __repr__(self) -> str:
        return f"LatentWatermark(key={self.stream.key_name!r}, noise_shape={self.layout.shape})"

    def noise(self, watermark_id: int, rng: np.random.Generator, nonce: int | None = None) -> np.ndarray:
        """Return noise float32 of the layout's shape that carries an id; `rng` draws the nonce and the energies."""
        layout = self.layout
        nonce = int(rng.integers(1 << 16)) if nonce is None else nonce
        signs = np.empty(layout.size, dtype=np.int8)
        signs[layout.pilot] = layout.pilot_signs(nonce)
        signs[layout.verification] = layout.verification_signs(nonce)
        code = payload.encode(watermark_id, self.stream)
        signs[layout.payload] = np.resize(code, len(layout.payload)) * layout.payload_mask(nonce)
        return layout.to_noise(signs, rng)

    def read(self, stretches: Sequence[Stretch], *, keys: int = 1) -> list[WatermarkEvidence]:
        """Read noise estimates; `keys` is how many keys are tried on this file in all.

        Returns one evidence per id, or a single one without id that says how likely chance alone is.
        """
        nonces = [nonce for index, stretch in enumerate(stretches) for nonce in self._nonces(index, stretch.noise)]
        best = min((nonce.log10_tail for nonce in nonces), default=0.0)
        presence = statistics.presence_log10_p(best, len(nonces) * keys)
        behind_gate = [nonce for nonce in nonces if nonce.log10_tail <= math.log10(statistics.GATE)]
        found = self._ids(behind_gate)
        examined = tuple(stretch.span for stretch in stretches)
        if not found:
            spans = tuple(stretches[i].span for i in sorted({nonce.stretch for nonce in behind_gate}))
            return [self._evidence(None, presence, spans, examined)]
        chance = statistics.message_log10_p(NONCE_CANDIDATES, keys, len(stretches) + 1)
        return [
            self._evidence(
                watermark_id,
                min(chance, statistics.presence_log10_p(sighted.log10_tail, len(nonces) * keys)),
                tuple(stretches[i].span for i in sorted(sighted.stretches)),
                examined,
            )
            for watermark_id, sighted in found.items()
        ]

    def _nonces(self, index: int, noise: np.ndarray) -> list[_Nonce]:
        layout = self.layout
        carriers = layout.to_carriers(noise)
        best = np.argsort(layout.nonce_scores(carriers))[::-1][:NONCE_CANDIDATES]
        return [self._verified(index, carriers, int(nonce)) for nonce in best]

    def _verified(self, index: int, carriers: np.ndarray, nonce: int) -> _Nonce:
        layout = self.layout
        weighted = self.weighted(carriers, nonce)
        heard = weighted[layout.verification]
        tail = float(statistics.log10_sign_sum_tail(heard @ layout.verification_signs(nonce), np.abs(heard)))
        soft = 2 * weighted[layout.payload] * layout.payload_mask(nonce)
        folded = np.bincount(np.arange(len(soft)) % CODE_LENGTH, soft, CODE_LENGTH)
        return _Nonce(index, tail, folded)

    def weighted(self, carriers: np.ndarray, nonce: int) -> np.ndarray:
        """Return carriers (size,) times how reliable the pilot of this nonce says that their groups are."""
        return carriers * self._reliability(carriers, nonce)[self.layout.group_of]

    def _reliability(self, carriers: np.ndarray, nonce: int) -> np.ndarray:
        """Weights (channels * bands,): rho / (1 - rho^2), the slope of the log-likelihood ratio of a Gaussian channel.

        rho is the pilot's correlation in the group, drawn towards the mean of all groups by as much as 32 carriers.
        """
        layout = self.layout
        group = layout.group_of[layout.pilot]
        agreement = carriers[layout.pilot] * layout.pilot_signs(nonce)
        groups = int(layout.group_of.max()) + 1
        total = np.bincount(group, agreement, groups)
        count = np.bincount(group, minlength=groups)
        rho = np.clip((total + 32 * agreement.mean()) / (count + 32), 0.0, 0.95)
        return rho / (1 - rho**2)

    def _ids(self, nonces: Sequence[_Nonce]) -> dict[int, _Sighted]:
        """Decode every stretch's best nonces, and all stretches together; return id -> where it was read."""
        found: dict[int, _Sighted] = {}
        for nonce in nonces:
            for candidate in payload.decode(nonce.soft, self.stream):
                known = found.get(candidate.watermark_id, _Sighted(frozenset(), 0.0))
                found[candidate.watermark_id] = _Sighted(
                    known.stretches | {nonce.stretch}, min(known.log10_tail, nonce.log10_tail)
                )
        best = {nonce.stretch: nonce for nonce in sorted(nonces, key=lambda n: -n.log10_tail)}
        if not found and len(best) > 1:
            for candidate in payload.decode(np.sum([n.soft for n in best.values()], axis=0), self.stream):
                found[candidate.watermark_id] = _Sighted(frozenset(best), 0.0)  # none of them alone tells of this id
        return found

    def _evidence(
        self, watermark_id: int | None, log10_p: float, spans: tuple[Span, ...], examined: tuple[Span, ...]
    ) -> WatermarkEvidence:
        return WatermarkEvidence(
            check="latent-watermark",
            key=self.stream.key_name,
            is_public=self.stream.is_public,
            watermark_id=watermark_id,
            origin="generated" if watermark_id is not None else None,
            log10_p=log10_p,
            spans=spans,
            examined=examined,
        )


class LatentWatermarkCheck:
    """Looks for the latent watermark under some keys; a frame check.

    make_generator is called in the worker, and only when there is a key and a frame: torch is imported there.
    At most `max_stretches` stretches from the start of the video are examined.
    """

    name = "latent-watermark"

    def __init__(
        self, streams: Sequence[KeyStream], make_generator: Callable[[], Generator], max_stretches: int = 3
    ) -> None:
        self.streams = tuple(streams)
        self.make_generator = make_generator
        self.max_stretches = max_stretches
        self._generator: Generator | None = None
        self._frames: list[np.ndarray] = []
        self._times: list[float] = []
        self._stretches: list[Stretch] = []
        self._stretch = 0

    def start(self, info: VideoInfo) -> None:
        """Get ready for a video."""
        self._frames, self._times, self._stretches = [], [], []
        self._stretch = 0

    def see(self, window: Window) -> bool:
        """Keep frames, scaled down, until a stretch is whole; then invert it."""
        if not self.streams:
            return True
        if self._generator is None:
            self._generator = self.make_generator()
        for frame, seconds in zip(window.rgb, window.times, strict=True):
            stretch = math.floor((seconds + 1e-3) / self._generator.clip_seconds)
            if stretch != self._stretch:  # what is left of a stretch that a gap cut short is not worth an inversion
                if self._is_long_enough():
                    self._finish_stretch()
                self._frames, self._times, self._stretch = [], [], stretch
            if len(self._stretches) >= self.max_stretches:
                return True
            self._frames.append(_scaled_down(frame))
            self._times.append(float(seconds))
        return False

    def evidence(self) -> list[Evidence]:
        """Say what was read under each key."""
        if not self.streams:
            return [WatermarkEvidence(check="latent-watermark", reason="no key")]
        stretches = self.stretches()
        if not stretches or self._generator is None:
            return [WatermarkEvidence(check="latent-watermark", reason="no frames")]
        readings: list[Evidence] = []
        for stream in self.streams:
            watermark = LatentWatermark(stream, self._generator.noise_shape)
            readings += watermark.read(stretches, keys=len(self.streams))
        return readings

    def stretches(self) -> list[Stretch]:
        """Return the noise estimates of what was seen; no key had a part in them."""
        if self._times and (not self._stretches or self._is_long_enough()):
            self._finish_stretch()
        return self._stretches

    def _is_long_enough(self) -> bool:
        """Whether enough of a stretch was seen to tell something of its noise."""
        if self._generator is None or not self._times:
            return False
        return self._times[-1] - self._times[0] > _LEAST_SHARE * self._generator.clip_seconds

    def _finish_stretch(self) -> None:
        if self._generator is None or not self._frames:
            return
        begins = self._stretch * self._generator.clip_seconds
        clip = Clip(np.stack(self._frames), np.array(self._times) - begins)
        end = begins + clip.times[-1] + 1 / clip.frames_per_second
        span = (float(self._times[0]), float(end))
        self._stretches.append(Stretch(span, self._generator.invert(clip)))
        self._frames, self._times = [], []


def _scaled_down(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height < 2 * KEPT_LINES:
        return frame
    size = (max(1, round(width * KEPT_LINES / height)), KEPT_LINES)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
