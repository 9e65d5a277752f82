"""Streams copied packet for packet from one container into another."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from provenance.video.clock import RESTART
from provenance.video.container import frame_rate_of, main_video
from provenance.video.encoding import rehearsed
from provenance.video.places import names_a_place, without_place


def packets_of(source: av.container.InputContainer, streams: list[av.stream.Stream]) -> Iterator[av.Packet]:
    """Demux; packets whose decoding time the container leaves out (the first ones in Matroska) get one.

    Counted back from the first that is known, one frame each; every muxer of MP4 needs them.
    """
    waiting: list[av.Packet] = []
    main = main_video(source)
    step = max(1, round(1 / frame_rate_of(main) / (main.time_base or Fraction(1, 1000))))
    for packet in source.demux(streams):
        if packet.stream is main and packet.dts is None and packet.size:
            waiting.append(packet)
            continue
        if waiting and (packet.stream is main):
            first = packet.dts if packet.dts is not None else min(p.pts or 0 for p in waiting) + step
            yield from _counted_back(waiting, first, step)
            waiting = []
        if not packet.size:
            continue
        if packet.dts is None:
            packet.dts = packet.pts
        yield packet


def _counted_back(packets: list[av.Packet], known: int, step: int) -> Iterator[av.Packet]:
    for index, packet in enumerate(packets):
        packet.dts = min(known - step * (len(packets) - index), packet.pts if packet.pts is not None else known)
        yield packet


class Uncut:
    """Lets packets of copied streams through whose times do not fall; others belong to what an edit list leaves out.

    Where a stretch is cut out in mid-stream, a demuxer begins anew before the cut, with packets that a decoder needs
    and a player does not show. A copy cannot begin anew: it is cut at whole packets. In containers without edit lists
    times that fall far mean that another recording was appended: it goes on where the last one ended (`FrameClock`).
    """

    def __init__(self, source: av.container.InputContainer) -> None:
        self._has_edit_lists = "mov" in source.format.name
        self._shift: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._shown: set[int] = set()
        self.cut: dict[int, str] = {}

    def keeps(self, packet: av.Packet) -> bool:
        """Whether a packet, which has a time of decoding, goes into the copy."""
        index = packet.stream.index
        last = self._last.get(index)
        if packet.dts is not None and not self._has_edit_lists:
            self._move(packet, last)
        back = last is not None and packet.dts is not None and packet.dts < last
        if back or (packet.is_discard and index in self._shown):
            self.cut[index] = packet.stream.type
            return False
        if packet.dts is not None:
            self._last[index] = packet.dts
        if not packet.is_discard:
            self._shown.add(index)
        return True

    def _move(self, packet: av.Packet, last: int | None) -> None:
        """Move a packet of an appended recording behind the one before; `last`: when that was decoded."""
        index, dts = packet.stream.index, packet.dts or 0
        unit = Fraction(packet.time_base or Fraction(1, 1000))
        if last is not None and (dts + self._shift.get(index, 0) - last) * unit < -RESTART:
            self._shift[index] = last + (packet.duration or 1) - dts
        shift = self._shift.get(index, 0)
        if shift:
            packet.pts, packet.dts = (packet.pts if packet.pts is not None else dts) + shift, dts + shift

    def notes(self) -> tuple[str, ...]:
        """What there is to say about streams that were cut."""
        return tuple(
            f"{kind} track {index} is cut at whole packets where the edit list leaves out a stretch"
            for index, kind in sorted(self.cut.items())
        )


def add_copies(
    source: av.container.InputContainer, target: av.container.OutputContainer, *, keep_video: bool
) -> tuple[dict[int, av.stream.Stream], tuple[str, ...]]:
    """Add a copy of each stream that the target holds; returns index -> copy, and what it does not hold."""
    copies: dict[int, av.stream.Stream] = {}
    dropped: list[str] = []
    main = main_video(source)
    for stream in source.streams:
        if stream is main and not keep_video:
            continue
        if stream.type == "audio" and not getattr(stream.codec_context, "sample_rate", 1):
            dropped.append(f"audio track {stream.index} left out: it is announced, and nothing of it is there")
            continue
        copy = _copied_stream(stream, target)
        if copy is None and _is_made_anew(stream, source, target):
            continue
        if copy is None:
            dropped.append(_left_out(stream, target))
        else:
            copies[stream.index] = copy
    return copies, tuple(dropped)


def _left_out(stream: Any, target: Any) -> str:
    codec = f" ({stream.codec_context.name})" if stream.codec_context is not None else ""
    way_out = "; .mkv keeps it" if stream.type in ("audio", "subtitle") and target.format.name != "matroska" else ""
    return f"{stream.type} track {stream.index}{codec} left out: this container cannot hold it{way_out}"


def _is_made_anew(stream: Any, source: Any, target: Any) -> bool:
    """Whether a data track is one that the muxer writes by itself: of the time code, or of the chapters' names."""
    if stream.type != "data" or stream.codec_context is not None:
        return False
    if "timecode" in stream.metadata:
        return bool(target.format.name == "mov")
    return stream.metadata.get("handler_name") == "SubtitleHandler" and bool(source.chapters())


def _copied_stream(stream: Any, target: av.container.OutputContainer) -> av.stream.Stream | None:
    if stream.type not in ("video", "audio", "subtitle") or stream.codec_context is None:
        return None
    if target.format.name == "avi" and stream.codec_context.name.startswith("adpcm_"):
        return None  # FFmpeg knows no length of their blocks there, and would stretch the sound
    copy: Any
    try:
        copy = target.add_stream_from_template(stream, opaque=True)
    except (ValueError, av.error.FFmpegError):
        return None
    if stream.type == "video" and stream.average_rate:
        copy.codec_context.framerate = frame_rate_of(stream)  # Matroska states a frame's duration by it
    copy.metadata.update(stream_tags(stream))
    copy.disposition = stream.disposition
    return copy


def copied(source: av.container.InputContainer, copies: dict[int, av.stream.Stream]) -> list[av.stream.Stream]:
    """Return the streams that have a copy, in the order of the file."""
    return [stream for stream in source.streams if stream.index in copies]


_WRITER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


def kept_tags(source: av.container.InputContainer, *, location: bool = True) -> dict[str, str]:
    """Return the tags of a container that still hold for a rewritten file; those that name a place only on request."""
    return {
        name: value
        for name, value in source.metadata.items()
        if name.lower() not in _WRITER_TAGS and (location or not names_a_place(name))
    }


def stream_tags(stream: av.stream.Stream) -> dict[str, str]:
    """Return the tags of a stream that still hold for its copy."""
    kept = ("language", "title", "creation_time", "handler_name", "timecode", "stereo_mode")
    return {name: value for name, value in stream.metadata.items() if name in kept}


def place_removed(packet: av.Packet) -> av.Packet:
    """Return a packet that holds a JPEG picture, without what its Exif block says of the place."""
    data = without_place(bytes(packet))
    if len(data) == packet.size:
        return packet
    bare = av.Packet(data)
    bare.stream, bare.time_base = packet.stream, packet.time_base
    bare.pts, bare.dts, bare.duration, bare.is_keyframe = packet.pts, packet.dts, packet.duration, packet.is_keyframe
    return bare


def muxer_options(out: Path, tags: Mapping[str, str]) -> dict[str, str]:
    """Options of the muxer: in MP4 and MOV the index comes first, so that a clip plays while it loads.

    tags: to be written; where telephones named some of them in their own way (com.apple.…), all are written as theirs.
    """
    if out.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        return {}
    return {"movflags": "+faststart" + _tag_flag(tags)}


def _tag_flag(tags: Mapping[str, str]) -> str:
    return "+use_metadata_tags" if any(name.startswith("com.") for name in tags) else ""


def tags_left_out(source: av.container.InputContainer, out: Path, *, location: bool) -> tuple[str, ...]:
    """Say which tags of a container another one will not hold, found by writing them into one in memory."""
    notes = []
    tags = kept_tags(source, location=location)
    lost = sorted(set(tags) - _held_tags(out, tags))
    if lost:
        notes.append(f"tags left out: {', '.join(lost)}; .mkv keeps them")
    if not location and any(names_a_place(name) for name in source.metadata):
        notes.append("the tags that say where it was filmed are left out; --keep-location keeps them")
    return tuple(notes)


_TAGLESS = frozenset({".gif"})
_ALL_TAGS = frozenset({".mkv", ".webm"})


def _held_tags(out: Path, tags: Mapping[str, str]) -> set[str]:
    """The names of tags whose values can be read again from a container of this kind."""
    suffix = out.suffix.lower()
    if not tags or suffix in _ALL_TAGS or suffix in _TAGLESS:
        return set() if suffix in _TAGLESS else set(tags)
    written = io.BytesIO()
    with rehearsed(out, written, {"movflags": _tag_flag(tags)} if _tag_flag(tags) else None) as target:
        if target is None:
            return set(tags)
        stream: Any = target.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        target.metadata.update(tags)
        target.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(stream.encode(None))
    written.seek(0)
    with av.open(written) as read:
        values = set(read.metadata.values())
    return {name for name, value in tags.items() if value in values}
