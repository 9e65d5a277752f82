"""A balanced design gives every chain its clips and every clip its share, from as many sources as it can."""

from collections import Counter

import pytest

from benchmarks.design import balanced_design
from provenance.errors import UsageError

CLIPS = [f"{source}/{n}" for source, count in (("park", 12), ("street", 6), ("sea", 6)) for n in range(count)]
SOURCES = [clip.split("/")[0] for clip in CLIPS]
CHAINS = [f"x264:{crf}" for crf in range(20, 34)]


@pytest.mark.parametrize("per_chain", [1, 5, 7, 24, 99])
def test_chains_get_exactly_their_clips_and_clips_about_equally_many_chains(per_chain):
    design = balanced_design(CLIPS, CHAINS, per_chain, seed=1, sources=SOURCES)
    assert list(design) == CLIPS
    got = Counter(chain for chains in design.values() for chain in chains)
    assert set(got.values()) == {min(per_chain, len(CLIPS))}
    counts = [len(chains) for chains in design.values()]
    assert max(counts) - min(counts) <= 1


def test_a_chain_goes_round_the_sources():
    clips = [f"{source}/{n}" for source in ("park", "street", "sea", "hill") for n in range(6)]
    design = balanced_design(clips, CHAINS, 6, seed=0, sources=[clip.split("/")[0] for clip in clips])
    for chain in CHAINS:
        used = Counter(clip.split("/")[0] for clip, chains in design.items() if chain in chains)
        assert len(used) == 4


def test_it_depends_on_the_seed_and_on_nothing_else():
    one = balanced_design(CLIPS, CHAINS, 5, seed=1, sources=SOURCES)
    assert one == balanced_design(CLIPS, CHAINS, 5, seed=1, sources=SOURCES)
    assert one != balanced_design(CLIPS, CHAINS, 5, seed=2, sources=SOURCES)


@pytest.mark.parametrize(("clips", "chains", "per_chain"), [([], ["a"], 1), (["x"], ["a"], 0), (["x", "x"], ["a"], 1)])
def test_what_measures_nothing_is_refused(clips, chains, per_chain):
    with pytest.raises(UsageError):
        balanced_design(clips, chains, per_chain, seed=0)
