"""What HDR films state beside their colour tags: the display that they were mastered on, and how bright they get."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Mastering:
    """SMPTE ST 2086 and CTA-861.3, as FFmpeg reads them of a frame.

    primaries: x and y of red, green, blue and white. luminance: least and greatest, in candela per square metre.
    light_level: greatest of a pixel and of a frame's mean, in the same unit. None, or empty, where nothing is stated.
    """

    primaries: tuple[Fraction, ...] = ()
    luminance: tuple[Fraction, ...] = ()
    light_level: tuple[int, int] | None = None

    @classmethod
    def of(cls, pieces: Mapping[str, bytes] | None) -> Mastering | None:
        """What a decoded frame's side data (`side_data_of`) state; None where they state nothing."""
        known = pieces or {}
        display, light = known.get("MASTERING_DISPLAY_METADATA"), known.get("CONTENT_LIGHT_LEVEL")
        if display is None and light is None:
            return None
        primaries: tuple[Fraction, ...] = ()
        luminance: tuple[Fraction, ...] = ()
        if display is not None and len(display) >= 88:
            values = struct.unpack("=22i", display[:88])
            ratios = [Fraction(values[2 * k], values[2 * k + 1] or 1) for k in range(10)]
            primaries = tuple(ratios[:8]) if values[20] else ()
            luminance = tuple(ratios[8:]) if values[21] else ()
        levels = struct.unpack("=2I", light[:8]) if light is not None and len(light) >= 8 else None
        return cls(primaries, luminance, levels)

    def options(self, encoder: str) -> str:
        """Return parameters in an encoder's own language, joined by colons; empty for one that cannot say it."""
        if encoder == "libsvtav1":
            return self._joined("mastering-display", "content-light", Fraction(1), Fraction(1))
        if encoder == "libx265":
            return self._joined("master-display", "max-cll", Fraction(1, 50_000), Fraction(1, 10_000))
        if encoder == "libx264":
            return self._joined("mastering-display", "cll", Fraction(1, 50_000), Fraction(1, 10_000))
        return ""

    def _joined(self, display: str, light: str, place: Fraction, brightness: Fraction) -> str:
        parts = []
        if self.primaries and self.luminance:
            red, green, blue, white = (
                ",".join(_number(value / place) for value in self.primaries[2 * k : 2 * k + 2]) for k in range(4)
            )
            least, greatest = (_number(value / brightness) for value in self.luminance)
            parts.append(f"{display}=G({green})B({blue})R({red})WP({white})L({greatest},{least})")
        if self.light_level is not None:
            parts.append(f"{light}={self.light_level[0]},{self.light_level[1]}")
        return ":".join(parts)


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.4f}"
