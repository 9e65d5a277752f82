"""Checks, and what they measure.

A check measures; whether something is *found* is decided by `provenance.verdict.judge` alone. Evidence is frozen,
crosses the pipe from the worker to its parent, and turns into the JSON interface by `to_json`; fields that only the
parent needs (bindings, alignments, sketches) stay out of the JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from provenance.video import Video, VideoInfo, Window

CredentialStatus = Literal[
    "intact", "changed", "unsigned_regions_changed", "recovered", "absent", "unreadable", "remote"
]
SignerTrust = Literal["official", "older", "own", "unknown", "expired", "revoked", "wrong_purpose"]
AiStatement = Literal["whole", "part", "none", "unstated"]
Content = Literal["fits", "differs", "unknown"]
DetectorStatus = Literal["scored", "inconclusive", "not_applicable"]
OriginName = Literal["unstated", "generated", "generated_in_part", "edited", "captured"]
Span = tuple[float, float]
"""Start and end of a stretch of the video, in seconds."""


@dataclass(frozen=True)
class SignerEvidence:
    """Who signed, and who vouches: `trust` names the first list that does, `list_name` its edition."""

    name: str
    trust: SignerTrust
    list_name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object under `signer`."""
        return {"name": self.name, "trust": self.trust, "list": self.list_name}


@dataclass(frozen=True)
class CredentialsEvidence:
    """One C2PA manifest: embedded, beside the file, or recovered from a repository.

    origin: what the active manifest and its chain say of how the clip was made ("unstated" when they do not).
    chain: the ids of the manifest and of all its ingredients' manifests.
    soft_bindings: (algorithm, value) as the manifest declares them.
    content: for a recovered manifest only: its fingerprint against this file.
    """

    status: CredentialStatus
    signer: SignerEvidence | None = None
    ai: AiStatement = "unstated"
    origin: OriginName = "unstated"
    time: str | None = None
    time_trusted: bool = False
    history: tuple[str, ...] = ()
    manifest: str | None = None
    content: Content | None = None
    title: str | None = None
    generator: str | None = None
    reason: str | None = None
    chain: tuple[str, ...] = ()
    soft_bindings: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    check: Literal["credentials"] = "credentials"

    @property
    def is_authentic(self) -> bool:
        """Whether the signature over the manifest is valid, whoever signed; expired certificates included."""
        return self.status in ("intact", "unsigned_regions_changed", "recovered") and self.signer is not None

    def to_json(self) -> dict[str, Any]:
        """The evidence object of the JSON interface."""
        if self.status in ("absent", "unreadable", "remote"):
            return _without_none({"check": self.check, "status": self.status, "reason": self.reason})
        return _without_none(
            {
                "check": self.check,
                "status": self.status,
                "signer": self.signer.to_json() if self.signer else None,
                "ai": self.ai,
                "origin": self.origin,
                "time": {"value": self.time, "trusted": self.time_trusted} if self.time else None,
                "manifest": self.manifest,
                "content": self.content,
                "title": self.title,
                "generator": self.generator,
                "reason": self.reason,
                "history": list(self.history),
            }
        )


@dataclass(frozen=True)
class Alignment:
    """Where the watermark reader found the marked frame: a projective map and a stretch of time.

    matrix: three rows of three: pixel coordinates of the *examined* frame (x right, y down, origin at the top left
        corner of the frame) -> watermark tile coordinates in units of one tile period; whole tiles are not told apart.
        The last row is (0, 0, 1) unless the picture was tilted.
    tiles_across: the marked frame's sqrt(width * height) in tile periods, a constant of the format.
    mirrored: whether the matrix contains a reflection.
    start_seconds: time of the examined file's first frame in the marked clip, modulo the sign sequence; None unknown.
    speed: seconds of the marked clip that pass in one examined second.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    tiles_across: float
    mirrored: bool = False
    start_seconds: float | None = None
    speed: float = 1.0


@dataclass(frozen=True)
class WatermarkEvidence:
    """What a watermark reader measured for one id under one key, or for one key when no id was read.

    log10_p: the decimal logarithm of the chance that a clip without this watermark would look like this, after all
        search and all keys; 0 when nothing was tested.
    found: None until judged; afterwards whether it counts as detected (None again where there was no key to try).
    """

    check: Literal["pixel-watermark", "latent-watermark"]
    key: str | None = None
    is_public: bool = False
    watermark_id: int | None = None
    origin: OriginName | None = None
    log10_p: float = 0.0
    spans: tuple[Span, ...] = ()
    examined: tuple[Span, ...] = ()
    manifest: str | None = None
    content: Content | None = None
    found: bool | None = None
    reason: str | None = None
    alignment: Alignment | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The evidence object of the JSON interface."""
        if self.reason is not None and self.found is None:
            return {"check": self.check, "found": None, "reason": self.reason}
        if not self.found:
            return _without_none(
                {"check": self.check, "found": False, "key": self.key, "log10_p": round(self.log10_p, 1)}
            )
        return {
            "check": self.check,
            "found": True,
            "key": self.key,
            "watermark_id": f"{self.watermark_id:016x}" if self.watermark_id is not None else None,
            "origin": self.origin,
            "log10_p": round(self.log10_p, 1),
            "spans": [[round(start, 2), round(end, 2)] for start, end in self.spans],
            "manifest": self.manifest,
            "content": self.content,
        }


@dataclass(frozen=True)
class FingerprintMatch:
    """A manifest in the repository whose fingerprint is near; `distance` in differing bits per 256 compared."""

    manifest: str
    distance: int


@dataclass(frozen=True)
class FingerprintEvidence:
    """The clip's own fingerprint, and the manifests it resembles: candidates, never proof.

    sketch: what the parent needs to compare with manifests (see provenance.repository.fingerprint).
    """

    matches: tuple[FingerprintMatch, ...] = ()
    sketch: Any = field(default=None, repr=False, compare=False)
    check: Literal["fingerprint"] = "fingerprint"

    def to_json(self) -> dict[str, Any]:
        """The evidence object of the JSON interface."""
        rows = [{"manifest": match.manifest, "distance": match.distance} for match in self.matches]
        return {"check": self.check, "matches": rows}


@dataclass(frozen=True)
class ChannelScore:
    """One channel of the detector suite: its own calibrated log-likelihood ratio (natural logarithm)."""

    name: str
    log_likelihood_ratio: float | None
    note: str | None = None


@dataclass(frozen=True)
class DetectorEvidence:
    """What the classifiers measured: ln P(data | generated) / P(data | camera), calibrated, and why they abstain.

    timeline: (start seconds, end seconds, log-likelihood ratio) per examined stretch.
    """

    status: DetectorStatus
    log_likelihood_ratio: float | None = None
    probability_generated: float | None = None
    channels: tuple[ChannelScore, ...] = ()
    timeline: tuple[tuple[float, float, float], ...] = ()
    reasons: tuple[str, ...] = ()
    check: Literal["detectors"] = "detectors"

    def to_json(self) -> dict[str, Any]:
        """The evidence object of the JSON interface."""
        return {
            "check": self.check,
            "status": self.status,
            "log_likelihood_ratio": _rounded(self.log_likelihood_ratio, 2),
            "probability_generated": _rounded(self.probability_generated, 3),
            "channels": [
                _without_none(
                    {"name": c.name, "log_likelihood_ratio": _rounded(c.log_likelihood_ratio, 2), "note": c.note}
                )
                for c in self.channels
            ],
            "timeline": [[round(a, 2), round(b, 2), round(v, 2)] for a, b, v in self.timeline],
            "reasons": list(self.reasons),
        }


Evidence = CredentialsEvidence | WatermarkEvidence | FingerprintEvidence | DetectorEvidence


@runtime_checkable
class FileCheck(Protocol):
    """A check of the file as a whole."""

    @property
    def name(self) -> str:
        """The check's name in reports."""

    def examine(self, video: Video) -> Sequence[Evidence]:
        """Examine the file; what is wrong with it is evidence, not an error."""


@runtime_checkable
class FrameCheck(Protocol):
    """A check of the frames, which are decoded once and shown to all checks. One object examines one video."""

    @property
    def name(self) -> str:
        """The check's name in reports."""

    def start(self, info: VideoInfo) -> None:
        """Get ready for a video."""

    def see(self, window: Window) -> bool:
        """Take in the next frames; True means enough, nothing more is needed."""

    def evidence(self) -> Sequence[Evidence]:
        """Say what was measured; called once, after the last window."""


Check = FileCheck | FrameCheck

__all__ = [
    "Alignment",
    "ChannelScore",
    "Check",
    "CredentialsEvidence",
    "DetectorEvidence",
    "Evidence",
    "FileCheck",
    "FingerprintEvidence",
    "FingerprintMatch",
    "FrameCheck",
    "SignerEvidence",
    "Span",
    "WatermarkEvidence",
]


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
