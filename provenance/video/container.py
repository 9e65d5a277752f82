"""What the container says about a video, before any frame is decoded."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Discard, Disposition

from provenance.errors import CannotRead
from provenance.video.hdr import Mastering
from provenance.video.orientation import AS_CODED, Orientation
from provenance.video.side_data import side_data_of

STILL_CODECS = frozenset({"png", "mjpeg", "webp", "tiff", "bmp", "jpeg2000", "jpegxl"})
MAX_PIXELS = 8192 * 8192
"""Larger frames are refused by the decoder itself, whatever the container declared."""
MAX_RATE = 2000
"""Frames per second above which an average is taken for the rate of a clock."""
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,mxf_opatom,ivf,obu,h264,hevc,"
    "vvc,m4v,av1,dv,nut,wtv,rm,yuv4mpegpipe,apng,image2,jpeg_pipe,png_pipe,webp_pipe,tiff_pipe,bmp_pipe,j2k_pipe,"
    "jpegxl_pipe,jpegxl_anim,gif_pipe,webp"
)
"""The demuxers that may touch a file: none that opens other files or addresses, as playlists do."""
STILL_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True)
class VideoInfo:
    """What the container says.

    width, height: as a player shows them: after rotation, before the sample aspect ratio is applied.
    rotation_degrees: counter-clockwise turn that brings coded frames upright: 0, 90, 180 or 270.
    orientation: that turn, and whether pictures are mirrored before.
    transparent: whether something shines through the first picture. interlaced: whether it is two fields.
    mastering: what HDR films state beside their colour tags. spherical: whether pictures are seen from inside a sphere.
    frame_count: as the container states or duration and rate suggest; None when it says nothing. An approximation.
    """

    path: Path
    container: str
    codec: str
    pixel_format: str
    bit_depth: int
    width: int
    height: int
    rotation_degrees: int
    sample_aspect: Fraction
    frame_rate: Fraction
    time_base: Fraction
    duration_seconds: float | None
    frame_count: int | None
    is_still: bool
    full_range: bool
    audio_streams: int
    other_streams: int
    orientation: Orientation = AS_CODED
    profile: str | None = None
    transparent: bool = False
    interlaced: bool = False
    mastering: Mastering | None = None
    spherical: bool = False

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CannotRead(f"{self.path}: has no pictures", hint="only files with a video stream can be examined")


_GUARDS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS, "max_pixels": str(MAX_PIXELS)}


@contextlib.contextmanager
def opened(path: Path, **options: Any) -> Iterator[av.container.InputContainer]:
    """Open a file for reading; whatever FFmpeg says against it becomes CannotRead with one clear line."""
    refuse_unreadable(path)
    try:
        with av.open(str(path), metadata_errors="replace", options=_GUARDS, **options) as container:
            for stream in container.streams.video:
                if stream.codec_context is not None:
                    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            yield container
    except av.error.FFmpegError as error:
        raise CannotRead(
            f"{path}: cannot be read as a video ({_reason(error, path)})", hint="does it play in a player?"
        ) from error


def refuse_unreadable(path: Path) -> None:
    """Raise CannotRead for what is missing, a folder, no regular file, or empty."""
    try:
        if path.is_dir():
            raise CannotRead(f"{path}: is a folder", hint="name a file, or the files in it")
        if not path.exists():
            raise _missing(path)
        if not path.is_file():
            raise CannotRead(
                f"{path}: is no regular file", hint="pipes and devices cannot be examined; save it to a file first"
            )
        if path.stat().st_size == 0:
            raise CannotRead(f"{path}: is empty", hint="was the download or copy interrupted?")
        with path.open("rb"):
            pass
    except OSError as error:
        raise CannotRead(f"{path}: cannot be opened ({error.strerror})", hint="is it yours to read?") from error


def _missing(path: Path) -> CannotRead:
    if path.is_symlink():
        return CannotRead(f"{path}: is a link that leads nowhere", hint="what it stood for was moved or deleted")
    return CannotRead(f"{path}: there is no such file", hint="is the name spelled right?")


def describe(path: Path, container: av.container.InputContainer) -> VideoInfo:
    """Read the description of the first video stream; decodes one frame to learn how it is shown."""
    if not container.streams.video:
        raise CannotRead(f"{path}: has no video stream", hint="sound alone cannot be examined")
    stream = main_video(container)
    first = _first_frame(path, container)
    pieces = None if stream.codec_context.name in STILL_CODECS else side_data_of(first)
    orientation = Orientation.of(first, pieces, path)
    width, height = orientation.coded_size(first.width, first.height)
    rate = frame_rate_of(stream)
    duration = _duration(stream, container)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        pixel_format=first.format.name,
        bit_depth=first.format.components[0].bits,
        width=width,
        height=height,
        rotation_degrees=orientation.rotation_degrees,
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        frame_rate=rate,
        time_base=Fraction(stream.time_base or Fraction(1, 1000)),
        duration_seconds=duration,
        frame_count=stream.frames or (round(duration * rate) if duration else None),
        is_still=_is_still(path, stream),
        full_range=is_full_range(first),
        audio_streams=len(container.streams.audio),
        other_streams=len(container.streams) - len(container.streams.audio) - 1,
        orientation=orientation,
        profile=stream.profile,
        transparent=_is_transparent(stream, first),
        interlaced=bool(first.interlaced_frame),
        mastering=Mastering.of(pieces),
        spherical="SPHERICAL" in (pieces or {}),
    )


def _is_transparent(stream: av.video.stream.VideoStream, first: av.VideoFrame) -> bool:
    if stream.metadata.get("alpha_mode") == "1":  # a second stream inside VP8 and VP9, which their decoders leave out
        return True
    return has_alpha(first.format.name) and int(first.to_ndarray(format="rgba")[..., 3].min()) < 255


def has_alpha(pixel_format: str) -> bool:
    """Whether pictures of this format say how transparent each pixel is."""
    return pixel_format.startswith(("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya", "pal8"))


def main_video(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """Return the first video stream that is no cover picture."""
    streams = container.streams.video
    return next((one for one in streams if Disposition.attached_pic not in one.disposition), streams[0])


def frame_rate_of(stream: av.video.stream.VideoStream) -> Fraction:
    """Frames per second: the average as FFmpeg counts it, unless it is a clock's rate, as it is of raw DV."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if average and (average <= MAX_RATE or not guessed):
        return Fraction(average)
    return Fraction(guessed or 25)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether luma spans 0 .. 255 (at 8 bits) rather than 16 .. 235."""
    return (
        frame.format.name.startswith("yuvj")
        or int(frame.color_range) == 2
        or not frame.format.name.startswith(("yuv", "nv", "p01", "gray"))
    )


def skip_others(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> None:
    """Let the packets of all other streams pass unread: what is packed in them is not unpacked."""
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all


def decoded(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Iterator[av.VideoFrame]:
    """Decode as players do: a damaged packet is passed over, and an empty one says that the frame before stays."""
    count, failed = 0, None
    for packet in container.demux(stream):
        if says_again(packet):
            continue
        try:
            for frame in packet.decode():
                count += 1
                yield frame
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            failed = error
    if count == 0 and failed is not None:
        raise failed


def says_again(packet: av.Packet) -> bool:
    """Whether a packet is empty and has a time, as Theora repeats a frame; without a time it ends the stream."""
    return packet.size == 0 and packet.dts is not None


def _first_frame(path: Path, container: av.container.InputContainer) -> av.VideoFrame:
    stream = main_video(container)
    if stream.codec_context is None:
        raise CannotRead(
            f"{path}: its pictures are of a kind that cannot be decoded", hint="convert it to H.264 in .mp4"
        )
    skip_others(container, stream)
    for frame in decoded(container, stream):
        return frame
    raise CannotRead(f"{path}: no frame of it can be decoded", hint="is the file complete?")


def _duration(stream: av.video.stream.VideoStream, container: av.container.InputContainer) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _is_still(path: Path, stream: av.video.stream.VideoStream) -> bool:
    if path.suffix.lower() in STILL_SUFFIXES:
        return True
    return stream.codec_context.name in STILL_CODECS and stream.frames == 1


def _reason(error: av.error.FFmpegError, path: Path) -> str:
    if _is_animated_webp(path):
        return "animated WebP is not supported; convert it to GIF or MP4"
    if error.errno == errno.ENOMEM:
        return "it asks for more memory than there is"
    if isinstance(error, av.error.PatchWelcomeError):
        return "it is of a kind that cannot be decoded"
    if isinstance(error, av.error.EOFError):
        return "it breaks off too early"
    if error.errno in (errno.EINVAL, errno.EBUSY) or isinstance(error, av.error.InvalidDataError):
        return "it is damaged, or no video at all"
    return (error.strerror or "damaged").lower()


def _is_animated_webp(path: Path) -> bool:
    """Whether a file is WebP with the animation flag (RFC 9649, 2.7.1), which FFmpeg does not decode."""
    with path.open("rb") as file:
        head = file.read(21)
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
