"""Writes the table of attacks from the attacks: ``python -m benchmarks.attacks.reference docs/attacks.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.attacks.attack import Attack, Range
from benchmarks.attacks.chain import FAMILIES
from provenance.files import written_beside

_HEAD = """# Attacks

Written by `python -m benchmarks.attacks.reference docs/attacks.md` from the attacks themselves;
`countermark attack --list` says the same.

A chain is `NAME[:PARAMETER][+NAME[:PARAMETER]...]`, applied from left to right: `crop:.71+brightness:.5+x264:40`.

* The same seed gives the same result; the input is never changed.
* Files of any length stream through, in memory that does not grow. `reverse` alone holds the whole clip; `trim-end`,
  `replace` and `reorder` hold what their parameters say, `autoencoder` and `neural-codec` 16 frames, `diffusion` two
  seconds.
* Foreign material (`insert`, `replace`, `splice`, `picture-in-picture`, `overlay`, `region`) is made on the spot from
  the seed: drifting waves and grain.
* Sides stay even, and nothing becomes smaller than 16 pixels.
"""
_TITLES = {
    "codec": "Codecs",
    "geometric": "Geometry",
    "temporal": "Time",
    "photometric": "Values of pixels",
    "edits": "Edits",
    "regeneration": "Regeneration",
    "chains": "Chains with a name",
}
_NOTES = {
    "codec": "Preset medium (AV1: faster) unless said, one thread, 4:2:0 with 8 bits unless said; an encoder that "
    "alone touches a file keeps chroma and bits where it can. Bitrates are means over one pass, which short clips miss "
    "by some percent with H.264, ten with HEVC, and up to a half with VP9. Two encodings after one another are a "
    "chain: `x264:28+av1:45`.",
    "geometric": "Pixels between pixels are interpolated bicubically. All but `jitter`, `zoom` and the moving "
    "surroundings of `picture-in-picture` do the same to every frame. `perspective` and the random crops are drawn "
    "once per clip.",
    "temporal": "Frames that stay keep their times, unless said. `swap` and `reorder` move pictures, not times.",
    "photometric": "`denoise-nlmeans` is slow: it compares every pixel with 441 others.",
    "edits": "In memory a clip is silent: there `soundtrack` leaves it as it is. In files it comes last.",
    "regeneration": "The built-in model knows scenes at 128 lines and 8 frames per second, and keeps less of other "
    "clips. `autoencoder` and `neural-codec` work at the clip's own size, which is slow; `diffusion` costs the same "
    "for clips of any size. `resize-restored:.5` is the bicubic super-resolution round trip.",
    "chains": "Platforms do not publish how they encode: where each number comes from, and which of them are "
    "assumptions, stands in `benchmarks/attacks/delivery.py`.",
}


def documentation() -> str:
    """Return the page: one table per family."""
    parts = [_HEAD]
    for family, attacks in FAMILIES.items():
        head = "| attack | what it does | steps |\n|---|---|---|\n"
        if family != "chains":
            head = "| attack | what it does | parameter | range | default |\n|---|---|---|---|---|\n"
        lines = [_line(name, attack) for name, attack in attacks.items()]
        parts.append(f"## {_TITLES[family]}\n\n{head}{''.join(lines)}\n{_NOTES[family]}\n")
    return "\n".join(parts)


def _line(name: str, attack: Attack) -> str:
    cells = (f"`{attack.steps}`",) if attack.steps else _range(attack.parameter)
    return "| " + " | ".join((f"`{name}`", attack.summary, *cells)) + " |\n"


def _range(values: Range | None) -> tuple[str, str, str]:
    if values is None:
        return "", "", ""
    kind = ", odd" if values.odd else ", whole" if values.whole else ""
    return values.meaning.rstrip(","), f"{values.low:g} .. {values.high:g}{kind}", f"{values.default:g}"


if __name__ == "__main__":
    with written_beside(Path(sys.argv[1]), force=True) as part:
        part.write_text(documentation(), encoding="utf-8")
