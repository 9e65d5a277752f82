"""Which clip goes through which chain where the full product would take too long: a fixed, balanced design."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from provenance.errors import UsageError


def balanced_design(
    clips: Sequence[str], chains: Sequence[str], per_chain: int, seed: int, sources: Sequence[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the chains that each clip goes through, in the order given; depends on names and seed alone.

    Every chain gets exactly min(per_chain, number of clips) clips, and no clip gets two chains more than another.
    sources: of the clips, in their order; as far as that allows, a chain's clips come from as many as possible.
    Raises UsageError where two clips or chains have one name, or a chain would get no clip.
    """
    if not clips or per_chain < 1:
        raise UsageError(f"{per_chain} of {len(clips)} clips for each chain measure nothing", hint="one clip or more")
    if len(set(clips)) < len(clips) or len(set(chains)) < len(chains):
        raise UsageError("two clips or two chains have the same name", hint="is one listed twice?")
    source = dict(zip(clips, sources if sources is not None else clips, strict=True))
    chosen: dict[str, list[str]] = {clip: [] for clip in clips}
    for chain in chains:
        for clip in _clips_for(chain, chosen, source, per_chain, seed):
            chosen[clip].append(chain)
    return {clip: tuple(found) for clip, found in chosen.items()}


def _clips_for(
    chain: str, chosen: dict[str, list[str]], source: dict[str, str], per_chain: int, seed: int
) -> list[str]:
    """Those with the fewest chains so far; of these, one of the source that this chain has least of, then of the source
    that has most of them left; then by lot."""
    left = {clip: hashlib.sha256(f"{seed}/{chain}/{clip}".encode()).digest() for clip in chosen}
    found: list[str] = []
    while left and len(found) < per_chain:
        fewest = min(len(chosen[clip]) for clip in left)
        ready = [clip for clip in left if len(chosen[clip]) == fewest]
        used, stock = Counter(source[clip] for clip in found), Counter(source[clip] for clip in ready)
        best = min(ready, key=lambda clip: (used[source[clip]], -stock[source[clip]], left[clip]))
        del left[best]
        found.append(best)
    return found
