"""When frames are shown: their own timestamps, mended where a file leaves them out or begins anew."""

from __future__ import annotations

from fractions import Fraction

import av

_RESTART = Fraction(1, 2)
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

    def moment(self, frame: av.VideoFrame) -> Fraction:
        """Return when a frame is shown, in seconds of the file's own clock; never before the frame before it."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        due = Fraction(0) if self._last is None else self._last + self._step
        if stamp is None or not frame.time_base:
            moment = due
        else:
            moment = stamp * Fraction(frame.time_base) + self._shift
            if self._last is not None and moment < self._last - _RESTART:
                self._shift += due - moment
                moment = due
        if self._last is not None:
            moment = max(moment, self._last)
        self._origin = moment if self._origin is None else self._origin
        self._last = moment
        return moment

    @property
    def seconds(self) -> Fraction:
        """When the newest frame is shown, in seconds from the first."""
        return Fraction(0) if self._last is None or self._origin is None else self._last - self._origin
