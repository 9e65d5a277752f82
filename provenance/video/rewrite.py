"""Rewrite a video: stream its luma through a function, and let everything else pass.

Chroma, timestamps, rotation, sample aspect, colour tags, bit depth and chroma format pass through the encoder as they
are; sound and subtitles are copied packet for packet. Memory does not grow with the length.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.codec.context import Flags

from provenance.errors import CannotRead, CannotWrite, TooHostile, UsageError
from provenance.video import still
from provenance.video.clock import FrameClock
from provenance.video.container import VideoInfo, has_alpha, is_full_range, main_video, opened, says_again
from provenance.video.encoding import (
    ENCODER_OF,
    FULL_RANGE,
    LIMITED_RANGE,
    Encoding,
    add_video,
    created,
    encoder_time_base,
    holds,
    open_encoder,
    rehearsed,
    same_profile,
    stating,
    usual_encoder,
)
from provenance.video.orientation import AS_CODED, Orientation
from provenance.video.pixels import (
    Indexer,
    converted,
    is_packed,
    is_rgb,
    kept_stamps,
    nearest_format,
    turned,
    with_rgb_luma,
    within_range,
)
from provenance.video.places import without_place
from provenance.video.read import Video, luma_plane
from provenance.video.still import is_still_suffix
from provenance.video.streams import (
    Uncut,
    add_copies,
    copied,
    kept_tags,
    muxer_options,
    packets_of,
    place_removed,
    stream_tags,
    tags_left_out,
)

LumaChange = Callable[[np.ndarray, float, int], np.ndarray]
"""(luma, seconds, bit depth) -> luma of the same shape and type.

luma: the Y plane as coded, upright: uint8 (height, width), or uint16 where the bit depth is above 8. Limited range
where the file says so. seconds: from the first frame. The array belongs to the frame: it is not to be changed in place.
"""
FrameChange = Callable[[av.VideoFrame, float], av.VideoFrame]
Progress = Callable[[float], None]

_STATES_ASPECT = frozenset({"h264", "libx264", "hevc", "libx265", "mpeg4", "mpeg2video"})
"""Codecs and encoders whose streams state the sample aspect themselves."""
_MOST_EARLY_BYTES = 256 << 20
"""Of sound and subtitles before the first picture, which wait for it in memory."""
_HOLD_MUCH = (".mp4", ".mov", ".mkv")
"""Containers that are named where another one cannot keep a codec."""
_STATES_NO_RANGE = frozenset({"mpeg4", "mpeg2video"})
"""Encoders whose streams do not say that luma spans all levels."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RewriteReport:
    """What became of a video.

    encoder: the encoder used, None when streams were copied. dropped: what the new container could not hold, or what
    had to be converted, one plain phrase each.
    """

    path: Path
    frames: int
    seconds: float
    encoder: str | None
    pixel_format: str | None
    dropped: tuple[str, ...] = ()


def rewrite(
    video: Video,
    out: Path,
    change: LumaChange | None,
    *,
    encoding: Encoding | None = None,
    progress: Progress | None = None,
    metadata: bool = True,
    location: bool = True,
) -> RewriteReport:
    """Write `video` to `out` with its luma changed frame by frame.

    change: None leaves the pictures alone; with `encoding` None as well, the streams are copied and nothing is decoded.
    encoding: None takes the codec of the input at a quality near it.
    progress: told the share done, 0 .. 1. metadata: whether the tags of the container are kept; location: those, too,
    that say where it was filmed.
    The output is written where `out` says, without a detour: callers wrap it in `written_beside`.
    """
    if video.info.is_still and is_still_suffix(out):
        return _rewrite_still(video, out, change, encoding, metadata, location)
    if change is None and encoding is None:
        return copy_streams(video, out, progress=progress, metadata=metadata, location=location)
    job = _job(video, out, encoding)
    changer = _luma_changer(change, job.orientation) if change else None
    return job.run(changer, progress, metadata, location)


def foreseen(
    video: Video, out: Path, *, changes: bool, encoding: Encoding | None = None, location: bool = True
) -> tuple[str, ...]:
    """Say what `rewrite` will not keep, one plain phrase each, before it writes anything.

    changes: whether pictures are to be changed. What comes to light on the way, as a size that changes in mid-stream,
    stands in the report of `rewrite` alone. Raises CannotWrite for what it would refuse.
    """
    if video.info.is_still and is_still_suffix(out):
        _refuse_encoding(video, encoding)
        anew = changes or not still.is_of_format(video.path, out)
        return still.foreseen(video.info, out, location=location).notes if anew else _left_inside(video.info, location)
    copies = not changes and encoding is None
    if copies and not _can_copy(video, out):
        raise _cannot_hold(video, out)
    notes = _lost_by_copying(video.info, out, location) if copies else tuple(_job(video, out, encoding).notes)
    with opened(video.path) as source, rehearsed(out) as target:
        streams = () if target is None else add_copies(source, target, keep_video=copies)[1]
        return (*notes, *streams, *tags_left_out(source, out, location=location))


def _job(video: Video, out: Path, encoding: Encoding | None) -> _Job:
    chosen = encoding if encoding is not None and encoding.codec is not None else near_input(video, out, encoding)
    job = _Job(video, chosen, out)
    info, encoder = video.info, job.encoding.encoder
    if chosen is not encoding and encoder != ENCODER_OF.get(info.codec):
        kept_by = next((one for one in _HOLD_MUCH if holds(out.with_suffix(one), ENCODER_OF.get(info.codec, ""))), None)
        way_out = f"; {kept_by} keeps it" if kept_by not in (None, out.suffix.lower()) else ""
        job.notes.insert(0, f"pictures encoded as {encoder}: {info.codec} cannot be kept in {out.suffix}{way_out}")
    return job


def _rewrite_still(
    video: Video, out: Path, change: LumaChange | None, encoding: Encoding | None, metadata: bool, location: bool
) -> RewriteReport:
    """Write one picture; where nothing is to change it is copied, byte for byte."""
    info = video.info
    _refuse_encoding(video, encoding)
    if change is None and still.is_of_format(video.path, out):
        data = video.path.read_bytes()
        out.write_bytes(data if location and metadata else without_place(data))
        return RewriteReport(out, 1, 0.0, None, None, _left_inside(info, location))
    outlook = still.foreseen(info, out, location=location)
    still.rewrite_still(
        info,
        out,
        lambda luma: luma if change is None else change(luma, 0.0, 8),
        metadata=metadata,
        location=location,
    )
    return RewriteReport(out, 1, 0.0, outlook.format.lower(), outlook.pixel_format, outlook.notes)


def _refuse_encoding(video: Video, encoding: Encoding | None) -> None:
    if encoding is not None:
        raise UsageError(
            f"{video.path}: a picture is written as its suffix says", hint="leave out --codec, --crf and --preset"
        )


def near_input(video: Video, out: Path | None = None, wish: Encoding | None = None) -> Encoding:
    """Return the encoding that stays nearest to the input.

    Its own codec where there is an encoder and the container of `out` holds it, else the container's usual one.
    wish: what else is asked for: quality, speed, pixel format. Raises UsageError where the codec has no such quality.
    """
    encoder = ENCODER_OF.get(video.info.codec) or ("libx264" if out is None else usual_encoder(out))
    profile = same_profile(encoder, video.info.profile)
    if encoder == "rawvideo" and (out is None or out.suffix.lower() not in (".avi", ".mkv")):
        encoder = "libx264"  # elsewhere few layouts of samples are allowed, each under a name of its own
    if encoder == "dnxhd" and not profile:
        encoder = "libx264"  # the older profiles are for a few sizes and rates, each at bit rates of its own
    if encoder in _STATES_NO_RANGE and video.info.full_range and video.info.pixel_format.startswith("yuv4"):
        encoder = "libx264"  # elsewhere black and white would be taken for the grey that they are in limited range
    encoder = encoder if out is None or holds(out, encoder) else usual_encoder(out)
    options = profile if encoder == ENCODER_OF.get(video.info.codec) else {}
    wish = wish or Encoding(None)
    if encoder == "libx264" and (wish.crf == 0 or wish.pixel_format is not None):
        options = {}  # neither fits into the older profiles
    return replace(wish, codec=encoder, options={**options, **wish.options})


def copy_streams(
    video: Video, out: Path, *, progress: Progress | None = None, metadata: bool = True, location: bool = True
) -> RewriteReport:
    """Copy all streams that the new container holds, without decoding; the C2PA box stays behind."""
    info = video.info
    count = 0
    with opened(video.path) as source, _target(out, source, metadata, location) as target:
        copies, dropped = add_copies(source, target, keep_video=True)
        dropped = (*dropped, *(tags_left_out(source, out, location=location) if metadata else ()))
        main = main_video(source)
        if main.index not in copies:
            raise _cannot_hold(video, out)
        if metadata:
            target.metadata.update(kept_tags(source, location=location))
            target.set_chapters(source.chapters())
        uncut = Uncut(source)
        tail: list[
            av.Packet
        ] = []  # pictures that the edit list leaves out at the end, unless more are shown after them
        for packet in packets_of(source, copied(source, copies)):
            if not uncut.keeps(packet):
                if packet.stream is main and not packet.is_discard:
                    raise _cannot_cut(video, out)
                if packet.stream is main:
                    tail.append(packet)
                continue
            if packet.stream is main and tail:
                if _is_shown_after(packet, tail):
                    raise _cannot_cut(video, out)
                for held in tail:  # others are predicted from them
                    held.stream = copies[main.index]
                    target.mux(held)
                tail.clear()
            if packet.stream is main:
                count += 1
                _tell(progress, packet.pts, packet.time_base, info.duration_seconds)
                packet = place_removed(packet) if info.codec == "mjpeg" and not location else packet
            packet.stream = copies[packet.stream.index]
            target.mux(packet)
    dropped = (*_lost_by_copying(info, out, location), *dropped, *uncut.notes())
    return RewriteReport(out, count, info.duration_seconds or 0.0, None, None, dropped)


def _is_shown_after(packet: av.Packet, tail: list[av.Packet]) -> bool:
    """Whether a picture is shown after others that are not: then a stretch before it was cut out."""
    return any(held.pts is None or packet.pts is None or packet.pts >= held.pts for held in tail)


def _cannot_cut(video: Video, out: Path) -> CannotWrite:
    return CannotWrite(
        f"{out}: the edit list of {video.path} leaves out a stretch of the pictures, a copy cannot",
        hint="name a quality, as in --crf 17, to have the pictures encoded",
    )


def _target(
    out: Path, source: av.container.InputContainer, metadata: bool, location: bool
) -> AbstractContextManager[av.container.OutputContainer]:
    tags = kept_tags(source, location=location) if metadata else {}
    return created(out, container_options=muxer_options(out, tags))


def _can_copy(video: Video, out: Path) -> bool:
    """Whether the container holds the pictures as they are coded; True where that is not known."""
    with opened(video.path) as source, rehearsed(out) as target:
        return target is None or main_video(source).index in add_copies(source, target, keep_video=True)[0]


def _pictures_too_late(path: Path) -> TooHostile:
    return TooHostile(
        f"{path}: refused, more than {_MOST_EARLY_BYTES >> 20} MiB of other tracks come before its first picture",
        hint="no ordinary video is built like that; mix its tracks anew",
    )


def _cannot_hold(video: Video, out: Path) -> CannotWrite:
    return CannotWrite(
        f"{out}: this container cannot hold {video.info.codec} video", hint="keep the suffix of the input, or use .mkv"
    )


def _lost_by_copying(info: VideoInfo, out: Path, location: bool) -> tuple[str, ...]:
    return (*_aspect_lost(info, out, info.codec), *(_left_inside(info, location) if info.is_still else ()))


def _left_inside(info: VideoInfo, location: bool) -> tuple[str, ...]:
    if location or info.codec == "mjpeg":
        return ()
    return ("tags inside the picture were copied, and may say where it was taken",)


def transcode(
    video: Video,
    out: Path,
    encoding: Encoding,
    *,
    change: FrameChange | None = None,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
    metadata: bool = True,
) -> RewriteReport:
    """Decode, pass every frame (coded orientation) through `change`, encode at `size` (width, height, coded)."""
    return _Job(video, encoding, out, size).run(change, progress, metadata)


class _Job:
    """One video on its way through an encoder."""

    def __init__(self, video: Video, encoding: Encoding, out: Path, size: tuple[int, int] | None = None) -> None:
        self.video, self.encoding, self.out = video, encoding, out
        info = video.info
        if is_still_suffix(out):
            raise CannotWrite(f"{out}: a picture cannot hold a video", hint="write .mp4, .mov or .mkv")
        self.notes = [*_aspect_lost(info, out, encoding.encoder)]
        if info.spherical:
            self.notes.append("the pictures are of a sphere, and the file no longer says so: players show them flat")
        self.turn_pixels = not info.orientation.is_as_coded and not states_rotation(out)
        if self.turn_pixels:
            self.notes.append("the picture was turned upright, since its format cannot say so")
        self.orientation = AS_CODED if self.turn_pixels else info.orientation
        self.coded = self.orientation.coded_size(info.width, info.height)
        self.size = size or self.coded
        self.pixel_format = encoding.pixel_format or nearest_format(info, encoding.encoder, self.size)
        if info.transparent and not has_alpha(self.pixel_format):
            raise CannotWrite(
                f"{video.path}: something shines through its pictures, and {encoding.encoder} cannot keep that",
                hint="convert it to ProRes 4444 in .mov first, or put it on a background",
            )
        if self.pixel_format != info.pixel_format and encoding.pixel_format is None:
            self.notes.append(f"pictures converted from {info.pixel_format} to {self.pixel_format}")

    def run(
        self, change: FrameChange | None, progress: Progress | None, metadata: bool, location: bool = True
    ) -> RewriteReport:
        """Stream the video through; returns what was done."""
        info, encoder = self.video.info, self.encoding.encoder
        self.indexer = Indexer(dithered=change is not None)
        unit = encoder_time_base(encoder, info.time_base, info.frame_rate)
        count, last = 0, 0.0
        with opened(self.video.path) as source, _target(self.out, source, metadata, location) as target:
            main = main_video(source)
            main.thread_type = "AUTO"
            encoding = stating(self.encoding, info.mastering)
            stream = add_video(target, encoding, *self.size, self.pixel_format, info.frame_rate, unit)
            copies, dropped = add_copies(source, target, keep_video=False)
            if metadata:
                dropped = (*dropped, *tags_left_out(source, self.out, location=location))
                target.metadata.update(kept_tags(source, location=location))
                target.set_chapters(source.chapters())
                stream.metadata.update(stream_tags(main))
            stamps, uncut = _Stamps(unit, info.frame_rate), Uncut(source)
            early: list[av.Packet] = []  # the header needs the first frame, and the first packet writes the header
            held = 0
            for packet in source.demux([main, *copied(source, copies)]):
                if packet.stream is not main:
                    packet.dts = packet.dts if packet.dts is not None else packet.pts
                    if packet.size and uncut.keeps(packet):
                        packet.stream = copies[packet.stream.index]
                        early.append(packet) if count == 0 else target.mux(packet)
                        held += packet.size if count == 0 else 0
                        if held > _MOST_EARLY_BYTES:
                            raise _pictures_too_late(self.video.path)
                    continue
                if says_again(packet):
                    continue
                for decoded in _decoded(packet, count):
                    frame, seconds = stamps.on(decoded)
                    if count == 0:
                        self._take_over(stream, frame)
                        open_encoder(stream)
                        target.mux(early)
                        early = []
                    target.mux(stream.encode(self._prepared(frame, change, seconds)))
                    count, last = count + 1, seconds
                    _tell(progress, seconds, Fraction(1), info.duration_seconds)
            if count == 0:
                raise CannotRead(f"{self.video.path}: no frame of it can be decoded", hint="is the file complete?")
            target.mux(stream.encode(None))
        return RewriteReport(
            self.out,
            count,
            last + 1 / float(info.frame_rate),
            encoder,
            self.pixel_format,
            (*self.notes, *dropped, *uncut.notes()),
        )

    def _prepared(self, frame: av.VideoFrame, change: FrameChange | None, seconds: float) -> av.VideoFrame:
        if frame.format.name != self.video.info.pixel_format:
            self._note(f"the pixel format changes in mid-stream; all pictures were converted to {self.pixel_format}")
        if self.turn_pixels:
            frame = kept_stamps(turned(frame, self.video.info.orientation, self.pixel_format), frame)
        if is_rgb(frame.format.name) != is_rgb(self.pixel_format) or is_packed(frame.format.name):
            frame = kept_stamps(converted(frame, self.pixel_format), frame)
        if (frame.width, frame.height) != self.coded:  # the size changed in mid-stream
            frame = kept_stamps(frame.reformat(width=self.coded[0], height=self.coded[1]), frame)
            self._note(f"the size of pictures changes in mid-stream; all became {self.coded[0]}x{self.coded[1]}")
        if change is not None:
            frame = kept_stamps(change(frame, seconds), frame)
        if frame.format.name != self.pixel_format:
            palette = self.pixel_format == "pal8"
            frame = kept_stamps(
                self.indexer.indexed(frame) if palette else frame.reformat(format=self.pixel_format), frame
            )
        return frame

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _take_over(self, stream: av.video.stream.VideoStream, first: av.VideoFrame) -> None:
        """Carry colour tags, sample aspect and rotation over, before the header is written."""
        context, info = stream.codec_context, self.video.info
        rgb_source, rgb_target = is_rgb(first.format.name), is_rgb(self.pixel_format)
        context.color_primaries = int(first.color_primaries)
        context.color_trc = int(first.color_trc)
        if not rgb_target:
            context.colorspace = 1 if rgb_source else int(first.colorspace)
            context.color_range = LIMITED_RANGE if rgb_source else _range_tag(first)
        if info.sample_aspect not in (0, 1):
            context.sample_aspect_ratio = info.sample_aspect
        if info.interlaced:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        if self.orientation.matrix is not None:
            stream.set_display_matrix(self.orientation.matrix)
        elif not self.orientation.is_as_coded:
            stream.set_display_rotation(self.orientation.rotation_degrees)


class _Stamps:
    """Timestamps in the encoder's units, each later than the one before."""

    def __init__(self, unit: Fraction, rate: Fraction) -> None:
        self._unit, self._rate = unit, rate
        self._clock = FrameClock(rate)
        self._last: int | None = None

    def on(self, frame: av.VideoFrame) -> tuple[av.VideoFrame, float]:
        """Return the frame with its timestamp, and when it is shown, in seconds from the first."""
        unit = self._unit
        stamp = round(self._clock.moment(frame) / unit)
        if self._last is not None:
            stamp = max(stamp, self._last + 1)
        if frame.duration and frame.time_base:
            duration = round(frame.duration * frame.time_base / unit)
        else:
            duration = round(1 / self._rate / unit)
        frame.pts, frame.time_base, frame.duration = stamp, unit, max(duration, 0)
        frame.pict_type = 0  # the encoder chooses
        self._last = stamp
        return frame, float(self._clock.seconds)


def _luma_changer(change: LumaChange, orientation: Orientation) -> FrameChange:
    def changed(frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        if is_rgb(frame.format.name):
            return with_rgb_luma(frame, lambda luma: change(luma, seconds, 8), orientation)
        depth = frame.format.components[0].bits
        frame.make_writable()
        plane = luma_plane(frame)
        before = plane if orientation.is_as_coded else np.ascontiguousarray(orientation.shown(plane))
        after = within_range(change(before, seconds, depth), before, depth, is_full_range(frame))
        plane[...] = orientation.coded(after)
        return frame

    return changed


def states_rotation(out: Path) -> bool:
    """Whether the container says how pictures are turned: still pictures and the older ones do not."""
    return out.suffix.lower() in (".mp4", ".m4v", ".mov", ".mkv", ".webm")


def _aspect_lost(info: VideoInfo, out: Path, codec: str) -> tuple[str, ...]:
    """What there is to say where only the container could state the sample aspect: PyAV cannot make Matroska do so."""
    if info.sample_aspect in (0, 1) or out.suffix.lower() not in (".mkv", ".webm") or codec in _STATES_ASPECT:
        return ()
    ratio = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
    return (f"the sample aspect ratio {ratio} is not kept: pictures will look narrower or wider; .mp4 keeps it",)


def _range_tag(frame: av.VideoFrame) -> int:
    return FULL_RANGE if is_full_range(frame) else int(frame.color_range)


def _decoded(packet: av.Packet, count: int) -> Iterator[av.VideoFrame]:
    """Decode a packet; a damaged one after the first frame is passed over, as by a player."""
    try:
        yield from packet.decode()
    except (av.error.InvalidDataError, av.error.EOFError):
        if count == 0 and packet.size == 0:
            raise
        _log.warning("a damaged stretch was left out")


def _tell(
    progress: Progress | None, stamp: float | None, unit: Fraction | None, duration_seconds: float | None
) -> None:
    if progress is not None and stamp is not None and unit and duration_seconds:
        progress(min(1.0, max(0.0, float(stamp * unit) / duration_seconds)))


__all__ = [
    "FrameChange",
    "LumaChange",
    "RewriteReport",
    "copy_streams",
    "foreseen",
    "near_input",
    "rewrite",
    "states_rotation",
    "transcode",
]
