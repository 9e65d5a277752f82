"""The media matrix: odd videos as people bring them, each made by FFmpeg's command line from one small source.

A case is a name, a suffix and what FFmpeg is told; a few are finished by a step of Python, where FFmpeg cannot be told.
Pictures are a drifting texture, 640 x 360, 24 frames a second, two seconds, unless the case is about that.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.making import (
    TONE,
    Finish,
    MediaCase,
    appended,
    copied,
    ffmpeg,
    run_ffmpeg,
    with_chapters,
    with_cover,
    with_data,
    with_picture_subtitles,
    with_pulldown,
    with_subtitles,
)
from benchmarks.patches import edited, in_two, lasting, shown_by, spherical

_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p")
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "18")
_AAC = ("-c:a", "aac", "-b:a", "96k")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "7")
_OPUS = ("-c:a", "libopus", "-b:a", "64k")
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_HDR10 = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:"
    "repeat-headers=1:hdr-opt=1:log-level=none"
)
_OWN_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000")
_TEN, _QUIET = ("-pix_fmt", "yuv420p10le"), ("-x265-params", "log-level=none")
_ENGLISH_AND_FRENCH = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
_DNXHD = (
    "-c:v",
    "dnxhd",
    "-b:v",
    "120M",
    "-pix_fmt",
    "yuv422p",
    "-vf",
    "scale=1920:1080",
    "-r",
    "25",
    "-frames:v",
    "24",
)
_MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2")
_DV = ("-c:v", "dvvideo", "-s", "720x576", "-r", "25", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-ac", "2")
_AS_FILM = ("-vf", "setpts=N*1001/30000/TB", "-r", "30000/1001", "-flags", "+ildct")
_PYRAMID = ("-bf", "3", "-x264-params", "b-pyramid=normal:b-adapt=0")
_UNEVEN = ("-vf", "settb=1/1000,setpts=N*40+9*mod(N\\,3)", *_OWN_TIMES)
_CLEAR_EDGE = (
    "fps=12,scale=480:270,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*gt(X,240)',"
    "split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse"
)
_HALF = ("-vf", "format=rgba,colorchannelmixer=aa=0.5")
_BT2020 = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_range", "tv")
MATRICES = {
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
}
"""The upper left of the transformation matrix of a track (ISO/IEC 14496-12, 8.3.2): a, b, c, d."""


def _mp4(name: str, *out: str, finish: Finish | None = None, suffix: str = ".mp4", watermark: bool = True) -> MediaCase:
    return MediaCase(name, suffix, (*_X264, *_AAC, *out), finish=finish, watermark=watermark)


def _silent(name: str, suffix: str, *out: str, watermark: bool = True, finish: Finish | None = None) -> MediaCase:
    return MediaCase(name, suffix, out, more=(), watermark=watermark, finish=finish)


def _sound(name: str, suffix: str, *codec: str) -> MediaCase:
    return MediaCase(f"sound-{name}", suffix, (*_X264, "-c:a", *codec))


def _one_frame(suffix: str, *out: str) -> MediaCase:
    return MediaCase(f"one-frame-{suffix[1:]}", suffix, (*out, "-frames:v", "1"), more=())


_HOUR_OF_SOUND = ("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=8000:duration=3600")
_HOUR = (
    *("-map", "0:v", "-map", "1:a", "-vf", "scale=320:180,setpts=4*N/TB", "-r", "1/4", "-frames:v", "900"),
    *(*_X264, "-g", "60", "-c:a", "aac", "-b:a", "16k"),
)
_TWO_VIDEOS = ("-map", "0:v", "-map", "0:v", "-map", "1:a", "-filter:v:1", "scale=320:180")
_SIXTEEN = tuple(word for _ in range(16) for word in TONE)
_SIXTEEN_MAPS = ("-map", "0:v", *(word for number in range(1, 17) for word in ("-map", f"{number}:a")))

CASES: tuple[MediaCase, ...] = (
    # containers
    _mp4("mp4-faststart", "-movflags", "+faststart"),
    _mp4("mp4-index-last"),
    _mp4("mp4-fragmented", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "12"),
    _mp4("m4v", suffix=".m4v"),
    _mp4("mov", suffix=".mov"),
    _mp4("mkv", suffix=".mkv"),
    _mp4("ts", suffix=".ts"),
    MediaCase("webm", ".webm", (*_VP9, *_OPUS)),
    MediaCase("avi", ".avi", ("-c:v", "mpeg4", "-q:v", "3", "-c:a", "libmp3lame")),
    _silent("gif", ".gif", "-vf", "fps=12,scale=480:270"),
    _silent("webp-animated", ".webp", "-c:v", "libwebp_anim", "-vf", "fps=12,scale=480:270", "-quality", "90"),
    _silent("y4m", ".y4m", "-pix_fmt", "yuv420p"),
    _silent("h264-raw", ".h264", *_X264),
    _mp4("mkv-no-duration", "-live", "1", suffix=".mkv"),
    MediaCase("mpg", ".mpg", (*_MPEG2, "-bf", "2", "-c:a", "mp2")),
    _mp4("flv", suffix=".flv"),
    MediaCase("3gp", ".3gp", ("-c:v", "h263", "-s", "352x288", "-q:v", "3", "-c:a", "aac")),
    MediaCase("wmv", ".wmv", ("-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2")),
    MediaCase("mts", ".mts", (*_X264, "-c:a", "ac3", "-mpegts_m2ts_mode", "1")),
    MediaCase("ogv", ".ogv", ("-c:v", "libtheora", "-q:v", "9", "-c:a", "libvorbis")),
    MediaCase("mxf", ".mxf", (*_MPEG2, "-r", "25", "-c:a", "pcm_s16le", "-ar", "48000")),
    MediaCase("dv", ".dv", ("-target", "pal-dv")),
    _silent("hevc-raw", ".hevc", *_X265, *_QUIET),
    _silent("h265-raw", ".h265", *_X265, *_QUIET),
    _silent("264-raw", ".264", *_X264),
    _silent("mpeg2-raw", ".m2v", *_MPEG2, "-bf", "2"),
    _silent("ivf", ".ivf", *_VP9),
    _silent("apng", ".apng", "-f", "apng", "-vf", "fps=12,scale=480:270"),
    _silent("apng-png", ".png", "-f", "apng", "-vf", "fps=12,scale=480:270"),
    _silent(
        "gif-delays", ".gif", "-vf", "settb=1/100,setpts=N*8+3*mod(N\\,2),scale=480:270", "-fps_mode", "passthrough"
    ),
    _silent("gif-transparent", ".gif", "-vf", _CLEAR_EDGE),
    _mp4("mp4-two-mdat", finish=in_two),
    _mp4("mp4-duration-wrong", finish=lasting(10)),
    _mp4("mp4-duration-missing", finish=lasting(0)),
    # codecs
    MediaCase("hevc", ".mp4", (*_X265, *_QUIET, "-tag:v", "hvc1", *_AAC)),
    MediaCase("av1", ".mp4", ("-c:v", "libsvtav1", "-preset", "12", "-crf", "25", *_AAC)),
    MediaCase("vp8", ".webm", ("-c:v", "libvpx", "-b:v", "4M", "-deadline", "realtime", "-cpu-used", "8", *_OPUS)),
    MediaCase("mjpeg", ".mov", ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", *_AAC)),
    MediaCase("mpeg2", ".ts", ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2", "-c:a", "mp2")),
    MediaCase("mpeg4-part2", ".mp4", ("-c:v", "mpeg4", "-q:v", "2", *_AAC)),
    MediaCase("prores", ".mov", ("-c:v", "prores_ks", "-profile:v", "2", "-c:a", "pcm_s16le")),
    MediaCase("dnxhr", ".mov", ("-c:v", "dnxhd", "-profile:v", "dnxhr_sq", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le")),
    MediaCase("dnxhd", ".mov", (*_BT709, *_DNXHD, "-c:a", "pcm_s16le")),
    MediaCase("ffv1", ".mkv", ("-c:v", "ffv1", "-c:a", "flac")),
    MediaCase("raw", ".avi", ("-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le")),
    MediaCase("mjpeg-avi", ".avi", ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p", "-c:a", "pcm_s16le")),
    MediaCase("mpeg1", ".mpg", ("-c:v", "mpeg1video", "-q:v", "2", "-bf", "2", "-c:a", "mp2")),
    MediaCase("dv-avi", ".avi", _DV),
    MediaCase("dv-mov", ".mov", _DV),
    MediaCase("av1-webm", ".webm", ("-c:v", "libsvtav1", "-preset", "12", "-crf", "25", *_OPUS)),
    MediaCase("flv1", ".flv", ("-c:v", "flv", "-q:v", "2", "-c:a", "libmp3lame")),
    _silent("v210", ".mov", "-c:v", "v210", "-pix_fmt", "yuv422p10le", "-frames:v", "12"),
    _silent("uyvy", ".mov", "-c:v", "rawvideo", "-pix_fmt", "uyvy422", "-frames:v", "12"),
    _silent("animation", ".mov", "-c:v", "qtrle", "-frames:v", "12"),
    _silent("rgb", ".mp4", "-c:v", "libx264rgb", "-crf", "12", "-preset", "veryfast"),
    _silent("gray", ".mp4", *_X264[:-1], "gray"),
    # times
    _mp4("variable-rate", *_UNEVEN),
    _mp4("variable-rate-mkv", *_UNEVEN, suffix=".mkv"),
    _mp4("variable-rate-b", *_UNEVEN, *_PYRAMID),
    _mp4("variable-rate-b-ts", *_UNEVEN, "-bf", "3", suffix=".ts"),
    _mp4("starts-late", "-output_ts_offset", "3.5", suffix=".mkv"),
    _mp4("starts-late-ts", "-output_ts_offset", "3.5", suffix=".ts"),
    _mp4("edit-list-empty", "-af", "anull", finish=copied("-itsoffset", "0", "--", "-output_ts_offset", "0.8")),
    _mp4("edit-list-cut", "-g", "48", finish=copied("-ss", "0.7", "--")),
    _mp4("edit-list-leading", finish=edited((0.5, 1.5))),
    _mp4("edit-list-blank-start", finish=edited((None, 0.5), (0.0, 2.0), sound=False)),
    _mp4("edit-list-mid-cut", finish=edited((0.0, 0.75), (1.25, 0.75))),
    _mp4("edit-list-mid-cut-pictures", finish=edited((0.0, 0.75), (1.25, 0.75), sound=False)),
    _mp4("edit-list-mid-cut-blank", finish=edited((0.0, 0.75), (None, 0.5), (1.25, 0.75))),
    _mp4("edit-list-swapped", finish=edited((1.0, 1.0), (0.0, 1.0))),
    _mp4("edit-list-twice", finish=edited((0.0, 1.0), (0.0, 1.0))),
    _mp4("negative-times", "-bf", "0", *("-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled")),
    *(
        MediaCase(name, suffix, ("-map", "0:v", "-map", "1:a", *_X264, *_AAC), source=("-itsoffset", "0.4"))
        for name, suffix in (
            ("picture-later-than-sound", ".mp4"),
            ("picture-later-mkv", ".mkv"),
            ("picture-later-ts", ".ts"),
        )
    ),
    MediaCase("sound-later", ".mp4", ("-map", "0:v", "-map", "1:a", *_X264, *_AAC), more=("-itsoffset", "0.4", *TONE)),
    *(_mp4(f"b-frames-{suffix[1:]}", *_PYRAMID, suffix=suffix) for suffix in (".mp4", ".mov", ".mkv", ".ts", ".flv")),
    MediaCase("b-frames-avi", ".avi", ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-c:a", "libmp3lame")),
    MediaCase("b-frames-h264-avi", ".avi", (*_X264, "-bf", "3", "-c:a", "libmp3lame")),
    _mp4("b-frames-fragmented", "-bf", "3", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "12"),
    _mp4("ntsc-rate", "-r", "30000/1001"),
    _silent("thousand-a-second", ".mp4", *_X264, "-vf", "setpts=N/1000/TB", "-r", "1000"),
    _silent("thousand-a-second-mkv", ".mkv", *_X264, "-vf", "setpts=N/1000/TB", "-r", "1000"),
    _silent("slow", ".mp4", *_X264, "-vf", "setpts=5*N/TB", "-r", "1/5", "-frames:v", "12"),
    _silent("slow-mkv", ".mkv", *_X264, "-vf", "setpts=5*N/TB", "-r", "1/5", "-frames:v", "12"),
    MediaCase("hour", ".mp4", _HOUR, more=_HOUR_OF_SOUND, source=("-stream_loop", "18")),
    # how pictures are shown
    *(_mp4(f"rotation-{name}", finish=shown_by(matrix)) for name, matrix in MATRICES.items()),
    _mp4("sample-aspect", "-vf", "setsar=32/27"),
    _silent("odd-size", ".webm", *_VP9, "-vf", "scale=641:481", "-pix_fmt", "yuv420p"),
    _silent("odd-size-444", ".mp4", *_X264, "-vf", "scale=641:481", "-pix_fmt", "yuv444p"),
    _mp4("interlaced", "-flags", "+ildct+ilme", "-x264-params", "tff=1", "-vf", "setfield=tff"),
    MediaCase("interlaced-mpeg2", ".ts", (*_MPEG2, "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-c:a", "mp2")),
    _silent("pulldown", ".mpg", *_MPEG2, *_AS_FILM, finish=with_pulldown),
    _mp4("spherical", finish=spherical),
    _mp4("stereo-mkv", "-metadata:s:v:0", "stereo_mode=left_right", suffix=".mkv"),
    MediaCase("stereo-h264", ".mp4", (*_X264, "-x264-params", "frame-packing=3", *_AAC)),
    _mp4("full-range", "-vf", "scale=in_range=tv:out_range=pc", "-color_range", "pc"),
    _mp4("bt601", "-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"),
    _mp4("bt709", *_BT709),
    MediaCase("bt2020", ".mp4", (*_X264, "-pix_fmt", "yuv420p10le", *_BT2020, "-color_trc", "bt2020-10", *_AAC)),
    MediaCase("ten-bits", ".mp4", (*_X264, "-pix_fmt", "yuv420p10le", *_AAC)),
    MediaCase("ten-bits-422", ".mov", (*_X264, "-pix_fmt", "yuv422p10le", *_AAC)),
    MediaCase(
        "twelve-bits", ".mp4", (*_X265, "-pix_fmt", "yuv420p12le", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    ),
    MediaCase(
        "hdr10",
        ".mp4",
        (*_X265, *_TEN, *_BT2020, "-color_trc", "smpte2084", "-x265-params", _HDR10, "-tag:v", "hvc1", *_AAC),
    ),
    MediaCase(
        "hlg",
        ".mp4",
        (*_X265, *_TEN, *_BT2020, "-color_trc", "arib-std-b67", *_QUIET, "-tag:v", "hvc1", *_AAC),
    ),
    MediaCase(
        "alpha-prores", ".mov", (*_HALF, "-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"), more=()
    ),
    MediaCase("alpha-vp9", ".webm", (*_HALF, *_VP9, "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"), more=()),
    MediaCase("alpha-animation", ".mov", (*_HALF, "-c:v", "qtrle", "-pix_fmt", "argb", "-frames:v", "12"), more=()),
    MediaCase("alpha-png", ".mov", (*_HALF, "-c:v", "png", "-pix_fmt", "rgba", "-frames:v", "24"), more=()),
    MediaCase("size-changes", ".ts", (*_X264,), more=(), finish=appended(*_X264, "-vf", "scale=320:180")),
    MediaCase("pixel-format-changes", ".ts", (*_X264,), more=(), finish=appended(*_X264, "-pix_fmt", "yuv444p")),
    # what else is in the file
    _silent("no-audio", ".mp4", *_X264),
    MediaCase(
        "two-audio-tracks",
        ".mp4",
        (*("-map", "0:v", "-map", "1:a", "-map", "2:a"), *_X264, *_AAC, *_ENGLISH_AND_FRENCH),
        more=(*TONE, *TONE),
    ),
    MediaCase(
        "mono-and-surround",
        ".mp4",
        ("-map", "0:v", "-map", "1:a", "-map", "1:a", *_X264, "-c:a", "aac", "-ac:a:0", "1", "-ac:a:1", "6"),
    ),
    _sound("ac3", ".mp4", "ac3"),
    _sound("eac3", ".mp4", "eac3"),
    _sound("opus", ".mp4", "libopus"),
    _sound("mp3", ".mp4", "libmp3lame"),
    _sound("flac", ".mp4", "flac", "-strict", "-2"),
    _sound("alac", ".mov", "alac"),
    _sound("dts", ".mkv", "dca", "-strict", "-2"),
    _sound("truehd", ".mkv", "truehd", "-strict", "-2"),
    _sound("ac3-ts", ".ts", "ac3"),
    _sound("opus-ts", ".ts", "libopus"),
    _sound("latm", ".ts", "aac", "-mpegts_flags", "latm"),
    _sound("adpcm", ".avi", "adpcm_ms"),
    *(
        MediaCase(f"two-pictures-{suffix[1:]}", suffix, (*_TWO_VIDEOS, *_X264, *_AAC))
        for suffix in (".mp4", ".mkv", ".ts")
    ),
    MediaCase("sixteen-mono-tracks", ".mov", (*_SIXTEEN_MAPS, *_X264, "-c:a", "pcm_s16le"), more=_SIXTEEN),
    _mp4("subtitles-mp4", finish=with_subtitles("-c:s", "mov_text")),
    _mp4("subtitles-mkv", finish=with_subtitles("-c:s", "srt"), suffix=".mkv"),
    _mp4("subtitles-ass", finish=with_subtitles("-c:s", "ass"), suffix=".mkv"),
    MediaCase("subtitles-webm", ".webm", (*_VP9, *_OPUS), finish=with_subtitles("-c:s", "webvtt")),
    _mp4("subtitles-bluray", finish=with_picture_subtitles(), suffix=".mkv"),
    _mp4("subtitles-dvd", finish=with_picture_subtitles("-c:s", "dvdsub"), suffix=".mkv"),
    _mp4("subtitles-dvb", finish=with_picture_subtitles("-c:s", "dvbsub"), suffix=".ts"),
    _mp4("chapters-mp4", finish=with_chapters),
    _mp4("chapters-mkv", finish=with_chapters, suffix=".mkv"),
    _mp4("timecode", "-timecode", "01:00:00:00", suffix=".mov"),
    _mp4("timecode-mp4", "-timecode", "01:00:00:00"),
    _mp4("data-mov", finish=with_data("gpmd"), suffix=".mov"),
    _mp4("data-ts", finish=with_data("KLVA"), suffix=".ts"),
    _mp4("cover-art", finish=with_cover),
    _mp4("tags", "-metadata", "title=A walk", "-metadata", "artist=Somebody", "-metadata", "comment=By me"),
    MediaCase("audio-longer", ".mp4", (*_X264, *_AAC, "-frames:v", "36")),
    MediaCase("one-frame", ".mp4", (*_X264, "-frames:v", "1"), more=()),
    *(_one_frame(suffix, *_X264) for suffix in (".mov", ".mkv", ".ts", ".flv")),
    _one_frame(".webm", *_VP9),
    _one_frame(".avi", "-c:v", "mpeg4", "-q:v", "2"),
    _one_frame(".gif", "-vf", "scale=480:270"),
    MediaCase("one-frame-and-sound", ".mp4", ("-frames:v", "1", *_X264, *_AAC)),
    MediaCase("four-k", ".mp4", (*_X264, *_BT709, "-vf", "scale=3840:2160", "-frames:v", "12"), more=()),
)
"""All cases; each name once."""


def chosen(names: Sequence[str] | None = None) -> tuple[MediaCase, ...]:
    """Return the cases of these names, or all. KeyError for a name that there is not."""
    known = {case.name: case for case in CASES}
    return CASES if names is None else tuple(known[name] for name in names)


__all__ = ["CASES", "MATRICES", "MediaCase", "chosen", "ffmpeg", "run_ffmpeg"]
