"""The part of `verify` that touches the file: decode once, show every window to every check. Runs in the worker.

What enters is a path and a recipe for checks, which carries derived key streams only; what leaves is evidence.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from provenance.errors import CannotRead, CountermarkError
from provenance.evidence import Check, Evidence, FileCheck, FrameCheck
from provenance.files import unchanged
from provenance.sandbox import worker
from provenance.sandbox.limits import Limits
from provenance.sandbox.prescan import prescan
from provenance.video import Video, VideoInfo, Window

MakeChecks = Callable[[], Sequence[Check]]
"""A picklable recipe for fresh checks of one file."""

BREAKS_OFF_SECONDS = 1.0
"""A file whose frames end so long before its declared length breaks off."""
_KEYFRAME_SIDE = 480
_KEYFRAME_QUALITY = 82
_CHUNK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@runtime_checkable
class ReadsManifests(Protocol):
    """A check that can examine a manifest store without its file: `CredentialsCheck`."""

    def examine_recovered(self, manifest_bytes: bytes) -> list[Evidence]:
        """Examine a manifest store that a repository gave back."""


@dataclass(frozen=True)
class NotExamined:
    """A part of the file that no check looked at, and why."""

    what: str
    why: str

    def to_json(self) -> dict[str, str]:
        """The object under `not_examined` of the JSON interface."""
        return {"what": self.what, "why": self.why}


@dataclass(frozen=True)
class Examination:
    """What the worker sends back.

    keyframes: (seconds, JPEG bytes) of a few frames, for reports with pictures.
    """

    sha256: str
    info: VideoInfo
    evidence: tuple[Evidence, ...]
    not_examined: tuple[NotExamined, ...] = ()
    keyframes: tuple[tuple[float, bytes], ...] = field(default=(), repr=False)


def examine(path: Path, make_checks: MakeChecks, limits: Limits, keyframes: int = 0) -> Examination:
    """Examine a file with fresh checks. Raises CannotRead where it cannot be opened or decoded, or changes meanwhile.

    A check that fails for a reason of its own (its weights are missing) leaves the others their say.
    """
    with unchanged(path):
        return _examined(path, make_checks, limits, keyframes)


def _examined(path: Path, make_checks: MakeChecks, limits: Limits, keyframes: int) -> Examination:
    prescan(path, limits)
    video = Video(path)
    info = video.info
    checks = [_Guarded(check) for check in make_checks()]
    for check in checks:
        check.begin(video, info)
    pictures = _Keyframes(keyframes, info.duration_seconds or 0.0)
    last_seconds = 0.0
    waiting = [check for check in checks if check.wants_frames]
    for window in video.windows() if waiting or keyframes else ():
        waiting = [check for check in waiting if not check.see(window)]
        pictures.see(window)
        last_seconds = float(window.times[-1])
        worker.tell(min(0.9, 0.9 * last_seconds / max(info.duration_seconds or 1.0, 1e-3)))
        if not waiting:
            break
    evidence = [item for check in checks for item in check.evidence()]
    missed = [check.failure for check in checks if check.failure is not None]
    missed += list(_unseen(info, last_seconds, is_whole=bool(waiting)))
    return Examination(digest_of(path), info, tuple(evidence), tuple(missed), tuple(pictures.kept))


def examine_recovered(path: Path, make_checks: MakeChecks, stores: tuple[bytes, ...]) -> list[tuple[Evidence, ...]]:
    """Examine manifest stores that the repository gave back for the file at `path`, one result per store.

    Empty results where no check reads manifests.
    """
    reader = next((check for check in make_checks() if isinstance(check, ReadsManifests)), None)
    return [tuple(reader.examine_recovered(store)) if reader else () for store in stores]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_CHUNK_BYTES):
                digest.update(block)
    except OSError as error:
        raise CannotRead(f"{path}: cannot be read ({error.strerror})", hint="is the disk in order?") from error
    return digest.hexdigest()


class _Guarded:
    """A check whose own failures become a line of `not_examined`; an unreadable file stays an error."""

    def __init__(self, check: Check) -> None:
        self.failure: NotExamined | None = None
        self._check = check
        self._of_file: list[Evidence] = []

    @property
    def wants_frames(self) -> bool:
        return self.failure is None and isinstance(self._check, FrameCheck)

    def begin(self, video: Video, info: VideoInfo) -> None:
        """Run a check of the file, or get a check of frames ready."""
        check = self._check
        try:
            if isinstance(check, FrameCheck):
                check.start(info)
            elif isinstance(check, FileCheck):
                self._of_file = list(check.examine(video))
        except Exception as error:
            self._fail(error)

    def see(self, window: Window) -> bool:
        """Show a window; True when the check has enough, or failed."""
        assert isinstance(self._check, FrameCheck)
        try:
            return self._check.see(window)
        except Exception as error:
            self._fail(error)
            return True

    def evidence(self) -> list[Evidence]:
        """Return what was measured, nothing after a failure."""
        if not self.wants_frames:
            return self._of_file
        assert isinstance(self._check, FrameCheck)
        try:
            return list(self._check.evidence())
        except Exception as error:
            self._fail(error)
            return []

    def _fail(self, error: Exception) -> None:
        if isinstance(error, CannotRead):
            raise error
        _log.debug("%s failed", self._check.name, exc_info=error)
        stumbled = f"the check stumbled over this file ({type(error).__name__})"
        why = error.message if isinstance(error, CountermarkError) else stumbled
        self.failure = NotExamined(self._check.name, why)


class _Keyframes:
    """A few evenly spaced frames as small JPEG pictures."""

    def __init__(self, count: int, duration_seconds: float) -> None:
        self.kept: list[tuple[float, bytes]] = []
        self._wanted = [(index + 0.5) * duration_seconds / count for index in range(count)]

    def see(self, window: Window) -> None:
        """Keep the frames whose time has come."""
        while self._wanted and window.times[-1] >= self._wanted[0]:
            index = int(np.searchsorted(window.times, self._wanted.pop(0)))
            self.kept.append((round(float(window.times[index]), 3), _jpeg(window.rgb[index])))


def _jpeg(frame: np.ndarray) -> bytes:
    height, width = frame.shape[:2]
    scale = min(1.0, _KEYFRAME_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _KEYFRAME_QUALITY])[1])


def _unseen(info: VideoInfo, last_seconds: float, *, is_whole: bool) -> Iterator[NotExamined]:
    if info.audio_streams:
        yield NotExamined("sound", "no check listens to sound")
    if info.other_streams:
        yield NotExamined("other tracks", "no check looks at subtitles, data or further pictures")
    length = info.duration_seconds or 0.0
    if is_whole and not info.is_still and last_seconds < length - BREAKS_OFF_SECONDS:
        yield NotExamined(
            f"from {last_seconds:.1f} s on", f"the pictures end there, though {length:.1f} s are announced"
        )
