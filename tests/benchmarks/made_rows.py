"""Rows as a run would write them, made from chances: for reports that should look like real ones."""

import numpy as np

STRENGTH = {"pixel": 2.2, "dwtDctSvd": 0.3, "rivaGan": 1.0}
"""How robust each watermark is, on the scale of a logistic curve."""
CODECS = ("x264:23", "x264:28", "x264:35", "x264:40", "x265:28", "x265:40", "vp9:31", "vp9:51", "av1:35", "av1:63")
CHAINS = (
    "none", *CODECS, "resize:0.5", "resize:0.71", "crop:0.71", "crop:0.9", "rotate:2", "rotate:10", "flip", "drop:0.2",
    "drop:0.5", "fps:15", "speed:2", "brightness:0.5", "brightness:2", "noise:0.02", "noise:0.1", "blur:1",
    "titles:0.1", "logo:0.1", "crop:0.71+brightness:0.5+x264:40", "youtube", "screen-capture", "diffusion:0.2",
)  # fmt: skip


def made_rows(clips=24, chains=CHAINS, marks=tuple(STRENGTH), *, seed=0, chance=None, old=False):
    """Rows of `bench watermarks`; old: with the fields of the first version alone.

    seed: how hard chains and clips are. chance: what then happens, so that two runs can differ by it alone.
    """
    random = np.random.default_rng(seed)
    hard = {chain: random.uniform(0, 3) if chain != "none" else -9 for chain in chains}  # unattacked, all is read
    ease = random.normal(0, 1, clips)
    random = random if chance is None else np.random.default_rng(chance)
    return [
        one
        for mark in marks
        for clip in range(clips)
        for chain in chains
        for kind in ("marked", "unmarked", "wrong-key")
        if kind == "marked" or clip < 3
        for one in [_row(mark, clip, chain, kind, STRENGTH[mark] + ease[clip] - hard[chain], random, old)]
    ]


def _row(mark, clip, chain, kind, ease, random, old):
    name = f"scene-{clip:03d}"
    row = {"task": f"{mark}/{name}", "of": 1, "watermark": mark, "clip": name, "source": name, "sha256": None,
           "arm": f"{kind}/{chain}", "kind": kind, "chain": chain}  # fmt: skip
    if mark == "rivaGan" and chain == "speed:2" and kind == "marked" and clip < 4:
        return {"task": row["task"], "of": 1, "arm": row["arm"], "error": "TookTooLong: no answer within 60 s"}
    exact = bool(kind == "marked" and random.uniform() < 1 / (1 + np.exp(-2 * ease)))
    row |= {
        "exact": exact,
        "found": exact,
        "wrong_id": False,
        "id": "00c0ffee",
        "read_id": "00c0ffee" if exact else None,
    }
    level = round(float(-random.uniform(9, 40) if exact else -random.uniform(0, 3)), 2)
    row |= {"log10_p": level, "seconds": float(random.uniform(1, 3))}
    if old:
        return row | ({"psnr_db": 42.0, "ssim": 0.98} if row["arm"] == "marked/none" else {})
    row["bit_accuracy"] = 1.0 if exact else round(float(random.uniform(0.5, 0.8)), 4)
    if kind == "marked":
        row["attacked"] = {"psnr_db": float(random.uniform(22, 45)), "ssim": float(random.uniform(0.7, 0.99))}
    if chain in ("flip", "drop:0.2", "drop:0.5", "fps:15", "speed:2"):
        row["attacked"] = None
    if row["arm"] == "marked/none":
        loud = {"pixel": 42.5, "dwtDctSvd": 38.0, "rivaGan": 40.5}[mark]
        row |= {"psnr_db": loud + float(random.normal(0, 0.3)), "ssim": 0.98, "vmaf": loud * 2, "flicker": 1.1}
        row |= {"size_ratio": 1.0 + float(random.uniform(0, 0.1)), "embed_seconds": float(random.uniform(1, 3))}
    return row
