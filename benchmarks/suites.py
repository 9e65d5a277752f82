"""The suites of `bench watermarks`: which attacks, on how many clips of which length, with which watermarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.attacks import parse_chain
from benchmarks.videos import SceneShape
from provenance.errors import UnknownName, UsageError

QUICK_CHAINS = (
    "none", "x264:28", "x264:40", "resize:.5", "crop:.71", "flip", "brightness:.5", "drop:.2",
    "crop:.71+brightness:.5+x264:40",
)  # fmt: skip
STANDARD_CHAINS = (
    "none", "strip", "x264:23", "x264:28", "x264:35", "x264:40", "x265:28", "resize:.5", "resize:.71", "crop:.9",
    "crop:.71", "brightness:.5", "drop:.2", "flip", "trim:.5", "resize:.5+x264:28", "crop:.71+brightness:.5+x264:40",
    "x264:18", "x264:30", "x264:45", "x265:23", "x265:35", "x265:40", "vp9:31", "vp9:41", "av1:35",
    "av1:45", "resize:.32", "resize:1.5", "crop:.8", "crop:.55", "brightness:1.5", "contrast:.5", "contrast:1.5",
    "noise:.02", "noise:.05", "fps:15", "fps:30", "drop:.5", "crop:.9+x264:28", "x264:28+av1:45",
)  # fmt: skip
FULL_CHAINS = (
    *STANDARD_CHAINS,
    # codecs; bitrates have the bits per pixel that 4, 2, 1 and .5 Mb/s have at 1080 lines
    "x264:50", "x264-veryfast:28", "x264-rgb:30", "x264-rate:800", "x264-rate:400", "x264-rate:200", "x264-rate:100",
    "x265:30", "x265:45", "x265:50", "x265-10bit:28+x264:28", "vp9:51", "av1:30", "av1:55", "av1:63", "mpeg4:5",
    "mpeg4:10", "mjpeg:5", "jpeg:90", "jpeg:80", "jpeg:60", "jpeg:40", "jpeg:20", "gif",
    # geometry
    "flip-vertical", "turn:1", "turn:2", "rotate:1", "rotate:2", "rotate:5", "rotate:10", "rotate:30", "rotate:45",
    "rotate-crop:5", "rotate-crop:10", "resize:.55", "resize:2", "resize-restored:.32", "resize-restored:.5",
    "resize-restored:.71", "crop:.32", "crop-restored:.9", "crop-restored:.71", "crop-restored:.55", "crop-random:.8",
    "crop-random:.55", "crop-random-restored:.9", "crop-random-restored:.71", "aspect:1.3333", "aspect:.5625",
    "perspective:.1", "perspective:.3", "perspective:.5", "translate:50", "letterbox:.12", "picture-in-picture:.5",
    "jitter:.01", "zoom:.02",
    # time, for clips of two seconds
    "drop:.05", "drop-burst:6", "keep-every:4", "trim:1", "trim:1.5", "trim-end:.5", "trim-end:1", "trim-end:1.5",
    "trim-middle:.5", "trim-middle:1", "insert:13", "insert:29", "insert:61", "replace:15", "replace:31", "replace:46",
    "swap:.1", "swap:.2", "reorder:4", "reverse", "fps:12", "fps:60", "fps-blend:15", "fps-blend:30", "fps-blend:60",
    "speed:.5", "speed:.8", "speed:1.25", "speed:2", "average:3", "average:5", "freeze:.5", "splice:2", "splice:3",
    "single-frame:0",
    # values
    "brightness:.25", "brightness:2", "saturation:0", "saturation:.5", "saturation:1.5", "hue:.1", "hue:-.1", "hue:.25",
    "gamma:.7", "gamma:1.5", "lut:1", "noise:.01", "noise:.1", "noise:.15", "noise:.2", "salt-pepper:.05", "blur:.5",
    "blur:1", "blur:1.5", "blur:3", "blur-kernel:9", "blur-kernel:17", "median:3", "median:5", "median:9", "sharpen:1",
    "denoise-nlmeans:6", "denoise-temporal:8", "posterise:4", "moire:.1",
    # edits
    "titles:.1", "logo:.02", "logo:.1", "overlay:.2", "region:.1", "region:.25",
    # several after one another
    "crop:.71+brightness:.5+x264:23", "crop:.71+brightness:.5+x264:30", "crop:.71+brightness:.5+x264:50",
    "rotate:5+crop:.8+x264:30", "crop:.8+drop:.2", "social", "screen-capture", "youtube", "whatsapp", "tiktok", "x",
    # regeneration
    "autoencoder:1", "autoencoder:4", "neural-codec:.5", "diffusion:.1", "diffusion:.2", "diffusion:.3", "diffusion:.5",
    "diffusion:.2+diffusion:.2", "super-resolution",
)  # fmt: skip
"""Section 13 of our reference page on watermarks, save what needs another watermark, an optimiser or many clips."""
LIMITS_CHAINS = (
    "none",
    # how hard an encoder may press
    "x264:23", "x264:28", "x264:35", "x264:40", "x264:45", "x264:50", "x265:28", "x265:35", "x265:40", "vp9:41",
    "vp9:51", "av1:35", "av1:50", "crop:.71+brightness:.5+x264:35", "crop:.71+brightness:.5+x264:40",
    # how far a picture may be changed, and encoded again
    "rotate:1+x264:28", "rotate:5+x264:28", "rotate:10+x264:28", "turn:1+x264:28", "turn:2+x264:28", "flip+x264:28",
    "crop-random:.55+x264:28", "crop-random-restored:.55+x264:28", "resize:.32+x264:28", "resize:.5+x264:28",
    "resize:2+x264:28", "resize-restored:.32+x264:28", "aspect:1.3333+x264:28", "aspect:.5625+x264:28",
    "letterbox:.12+x264:28", "perspective:.1+x264:28", "perspective:.3+x264:28", "zoom:.02+x264:28",
    "jitter:.01+x264:28", "resize:.5+turn:2+crop:.5+x264:28",
    # and time
    "drop:.5+x264:28", "trim:1+x264:28", "trim:2.5+x264:28", "insert:29+x264:28", "reorder:4+x264:28",
    "reverse+x264:28", "fps:15+x264:28", "fps:60+x264:28", "speed:.5+x264:28", "speed:2+x264:28", "splice:3+x264:28",
)  # fmt: skip
"""What the pixel watermark is built to survive, each as far as it should."""
VIDEOMARKBENCH_CHAINS = (
    "noise:.01", "noise:.05", "noise:.1", "noise:.15", "noise:.2",
    "blur:.1", "blur:.5", "blur:1", "blur:1.5",
    "jpeg:90", "jpeg:80", "jpeg:60", "jpeg:40", "jpeg:20",
    *(f"crop-random-restored:{math.sqrt(area)}" for area in (0.98, 0.96, 0.94, 0.92, 0.90)),
    "average:1", "average:2", "average:3", "average:4", "average:5",
    "swap:0", "swap:.05", "swap:.1", "swap:.15", "swap:.2",
    "drop:0", "drop:.05", "drop:.1", "drop:.15", "drop:.2",
)  # fmt: skip
"""VideoMarkBench's 34 common perturbations outside codecs (Jiang et al., arXiv 2505.21620), after its published code.

The code gives the methods; the values are those of the AIGC Identification Toolkit's run of it (34 arms: five each,
four of blur). Crops keep a share of the area, at a random place, and are scaled back. As there, three arms change
nothing (average of 1, swap and drop at 0). Assumed or unlike: its blur cuts the kernel off at 5 x 5 pixels, ours at
three sigma (a little stronger at 1.5); its swap takes either neighbour, ours the next; the first frame is never
dropped here.
"""


@dataclass(frozen=True)
class Suite:
    """What a run measures.

    clips, generated: how many scenes are rendered where no videos are named, and how many clips the model makes.
    per_chain: how many clips each chain gets where there are more. negatives: how many clips, per chain and kind, are
    read where there is nothing to find. seconds: of longer videos only so many are measured. lengthens: whether shorter
    ones are played to and fro to that length, rather than taken as they are. shape: of rendered scenes.
    watermarks: what is measured where none are named; peers only where they are installed.
    """

    chains: tuple[str, ...]
    clips: int
    generated: int
    negatives: int
    seconds: float
    shape: SceneShape
    watermarks: tuple[str, ...] = ("pixel", "latent")
    per_chain: int = 24
    lengthens: bool = False


SUITES = {
    "quick": Suite(QUICK_CHAINS, 8, 4, 2, 2.0, SceneShape(360, 640, 2.0), ("pixel", "dwtDctSvd")),
    "standard": Suite(STANDARD_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
    "full": Suite(FULL_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
    "limits": Suite(LIMITS_CHAINS, 24, 24, 2, 4.0, SceneShape(720, 1280, 4.0), ("pixel",), lengthens=True),
    "videomarkbench": Suite(VIDEOMARKBENCH_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
}


def planned(suite: str, chains: Sequence[str] | None, seconds: float | None = None) -> Suite:
    """Return the suite of that name, with other chains or for clips of exactly so many seconds if that is asked for;
    chains in canonical spelling.
    """
    if suite not in SUITES:
        raise UnknownName("suite", suite, SUITES)
    spelled = tuple(dict.fromkeys(str(parse_chain(chain)) for chain in chains or SUITES[suite].chains))
    if not spelled:
        raise UsageError("there is no attack to measure", hint="name some, or leave --attacks away")
    plan = replace(SUITES[suite], chains=spelled)
    if seconds is None:
        return plan
    return replace(plan, seconds=seconds, lengthens=True, shape=replace(plan.shape, seconds=seconds))
