"""Attacks: what happens to a clip between its maker and its examiner, by name, deterministic under a seed."""

from benchmarks.attacks.attack import Attack, Range
from benchmarks.attacks.chain import ATTACKS, Chain, Step, attack_clip, attack_file, parse_chain

__all__ = ["ATTACKS", "Attack", "Chain", "Range", "Step", "attack_clip", "attack_file", "parse_chain"]
