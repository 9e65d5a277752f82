"""Which checks examine a file: a picklable recipe that the worker process turns into checks.

It carries derived key streams only, never a master key, and no repository.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provenance.errors import UnknownName

if TYPE_CHECKING:
    from provenance.credentials.trust import Trust
    from provenance.evidence import Check
    from provenance.keys import KeyStream
    from provenance.watermarks.latent import Generator

CHECKS = ("credentials", "pixel-watermark", "latent-watermark", "fingerprint", "detectors")
"""All checks, in the order in which a report lists them."""
_MODULES = {
    "credentials": "provenance.credentials.check",
    "pixel-watermark": "provenance.watermarks.pixel",
    "latent-watermark": "provenance.watermarks.latent",
    "fingerprint": "provenance.repository.fingerprint",
    "detectors": "detectors.detector",
}


@dataclass(frozen=True)
class CheckFactory:
    """Makes fresh checks for one file; what is heavy is imported where it is called, in the worker."""

    trust: Trust
    names: tuple[str, ...] = CHECKS
    pixel: tuple[KeyStream, ...] = field(default=(), repr=False)
    latent: tuple[KeyStream, ...] = field(default=(), repr=False)
    at_time: dt.datetime | None = None

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in CHECKS:
                raise UnknownName("check", name, CHECKS)

    def __call__(self) -> list[Check]:
        """Return one check per name, in the order of CHECKS."""
        makers = {
            "credentials": self._credentials,
            "pixel-watermark": self._pixel,
            "latent-watermark": self._latent,
            "fingerprint": self._fingerprint,
            "detectors": self._detectors,
        }
        return [makers[name]() for name in CHECKS if name in self.names]

    def _credentials(self) -> Check:
        from provenance.credentials.check import CredentialsCheck

        return CredentialsCheck(self.trust, self.at_time)

    def _pixel(self) -> Check:
        from provenance.watermarks.pixel import PixelWatermarkCheck

        return PixelWatermarkCheck(self.pixel)

    def _latent(self) -> Check:
        from provenance.watermarks.latent import LatentWatermarkCheck

        return LatentWatermarkCheck(self.latent, built_in_generator)

    def _fingerprint(self) -> Check:
        from provenance.repository.fingerprint import FingerprintCheck

        return FingerprintCheck()

    def _detectors(self) -> Check:
        from detectors.detector import Detector

        return Detector()


def built_in_generator() -> Generator:
    """The built-in model with the weights that ship; imports torch."""
    from generator.model import BuiltInGenerator

    return BuiltInGenerator.load()


def modules_of(names: Sequence[str]) -> tuple[str, ...]:
    """The modules that a worker needs for these checks."""
    return ("provenance.examination", *(_MODULES[name] for name in names))


def parse_names(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list of checks; None means all. Raises UnknownName."""
    if text is None:
        return CHECKS
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in CHECKS:
            raise UnknownName("check", name, CHECKS)
    return names or CHECKS


def key_names(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The keys to try: those that were named, else all; each once."""
    return tuple(dict.fromkeys(names or known))
