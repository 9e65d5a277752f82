"""When frames are shown: their own timestamps, mended where a file leaves them out or begins anew."""

from __future__ import annotations

from fractions import Fraction

import av

RESTART = Fraction(1, 2)
"""Seconds by which a timestamp must fall back to mean that another recording begins."""


class FrameClock:
    """Turns decoded frames, in the order of showing, into moments that grow.

    A frame without timestamp follows the one before it at the stream's rate, as does the first frame of a recording
    that was appended and counts from its own start.
    """

    def __init__(self, rate: Fraction) -> None:
        self._step = 1 / rate
        self._origin: Fraction | None = None
        self._shift = Fraction(0)
        self._last: Fraction | None = None
        self._last_shown: int | None = None
        self._last_decoded: int | None = None
        self._faulty_shown = self._faulty_decoded = 0

    def moment(self, frame: av.VideoFrame) -> Fraction:
        """Return when a frame is shown, in seconds of the file's own clock; never before the frame before it."""
        stamp = self._believed(frame.pts, frame.dts)
        due = Fraction(0) if self._last is None else self._last + self._step
        if stamp is None or not frame.time_base:
            moment = due
        else:
            moment = stamp * Fraction(frame.time_base) + self._shift
            if self._last is not None and moment < self._last - RESTART:
                self._shift += due - moment
                moment = due
        if self._last is not None:
            moment = max(moment, self._last)
        self._origin = moment if self._origin is None else self._origin
        self._last = moment
        return moment

    def _believed(self, shown: int | None, decoded: int | None) -> int | None:
        """The timestamp that failed to grow less often, that of showing in doubt, as FFmpeg chooses for its players.

        Old encoders wrote the order of decoding as that of showing.
        """
        if decoded is not None:
            self._faulty_decoded += self._last_decoded is not None and decoded <= self._last_decoded
        if shown is not None:
            self._faulty_shown += self._last_shown is not None and shown <= self._last_shown
        self._last_decoded = decoded if decoded is not None else shown
        self._last_shown = shown if shown is not None else decoded
        if shown is None or (decoded is not None and self._faulty_shown > self._faulty_decoded):
            return decoded
        return shown

    @property
    def seconds(self) -> Fraction:
        """When the newest frame is shown, in seconds from the first."""
        return Fraction(0) if self._last is None or self._origin is None else self._last - self._origin
