"""A published watermark of others as a mark under test: every frame marked, ten frames voted, one listed search."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.marks import MarkReading, Twins, finished_twins
from benchmarks.peers.candidates import CANDIDATES, Size, distinct, shown, spread
from benchmarks.peers.environment import PEERS, Peer, conversation, require
from benchmarks.videos import Subject
from provenance.errors import CannotRead, UnknownName
from provenance.keys import Key
from provenance.video import Clip
from provenance.watermarks.statistics import log10_binomial_tail

PURPOSE = "peers/1"
VOTED_FRAMES = 10
_LEAST_SECONDS = 20.0
_SECONDS_PER_MEGAPIXEL = 60.0
"""RivaGAN needs about 4 on an idle core."""


@dataclass(frozen=True)
class PeerMark:
    """A peer as a video watermark.

    Its message is exclusive-or'ed with bits drawn from the key: peers have no key, and so another key reads another
    message. Every frame carries the message. A reader votes over at most ten frames spread evenly over the clip: it
    adds their soft values where the peer has some, else a vote each, and a bit is 1 where the sum is positive.

    Peers cannot say whether anything is there. They are told the expected message, which favours them: of all
    candidates (see `candidates`) the one that agrees best counts, and its chance is the tail of the binomial
    distribution at one half, divided by the candidate's share of the false alarms (weighted Bonferroni: Genovese,
    Roeder & Wasserman, Biometrika 93 (2006)): half for the clip as it is, the rest shared evenly among the others. With
    32 bits, 31 right or a crop undone do not reach 1e-9. The blind message is the vote of that same candidate.
    """

    peer: Peer

    @property
    def name(self) -> str:
        """What rows call it."""
        return self.peer.name

    @property
    def bits(self) -> int:
        """Length of the message."""
        return self.peer.bits

    @property
    def search(self) -> str:
        """How it is read, in words."""
        return (
            f"{self.bits} bits, {VOTED_FRAMES} frames voted; told the marked size and the expected message, up to "
            f"{len(CANDIDATES)} candidates of size, centred crop and mirror image; the best counts, its chance a "
            "binomial tail times the search"
        )

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Return a marked copy. Raises NeedsExtra where the peer cannot run, CannotRead and TookTooLong as it fails."""
        require(self.peer)
        bits = [int(bit) for bit in bits_of(message, self.bits) ^ self._mask(key)]
        with tempfile.TemporaryDirectory(prefix="countermark-peer-") as folder:
            target = Path(folder) / "marked.npy"
            self._ask(clip.frames, Path(folder), {"do": "embed", "to": str(target), "bits": bits})
            try:
                frames = np.load(target, allow_pickle=False)
                return Clip(frames.reshape(clip.frames.shape), clip.times)
            except (OSError, ValueError) as error:
                raise CannotRead(
                    f"{self.name}: gave no frames like those it got ({error})", hint="see above"
                ) from error

    def read(self, clip: Clip, key: Key, expected: int | None = None, marked_size: Size | None = None) -> MarkReading:
        """Read a clip; see the class. Without `expected`, the clip as it is, and no chance is stated.

        marked_size: (height, width) of the clip that was marked; None leaves out all candidates that need it.
        A search ends early where every bit agrees: nothing can agree better. Raises as `embed` does.
        """
        require(self.peer)
        frames = clip.frames[spread(len(clip), VOTED_FRAMES)]
        candidates = distinct((clip.height, clip.width), marked_size)
        if expected is None:
            bits = self._bits(frames, key)
            return MarkReading(None if bits is None else number_of(bits), None, None)
        wanted, best = bits_of(expected, self.bits), (0.0, 0, MarkReading(None, 0.0, None))
        for number, candidate in enumerate(candidates):
            bits = self._bits(shown(frames, candidate, marked_size), key)
            if bits is None:
                continue
            right = int((bits == wanted).sum())
            chance = min(0.0, log10_binomial_tail(right, self.bits) + _log10_cost(number, len(candidates)))
            if best[2].message is None or (chance, -right) < best[:2]:
                best = chance, -right, MarkReading(number_of(bits), chance, right)
            if right == self.bits:
                break
        return best[2]

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Mark the subject's own frames."""
        return finished_twins(self, subject, message, key, seconds)

    def _mask(self, key: Key) -> np.ndarray:
        return key.stream(PURPOSE).bits("mask", self.bits)

    def _bits(self, frames: np.ndarray, key: Key) -> np.ndarray | None:
        """The message that all frames together vote for, uint8 (bits,); None where the peer refuses them."""
        votes = self._votes(frames)
        return None if votes is None else (votes.sum(axis=0) > 0).astype(np.uint8) ^ self._mask(key)

    def _votes(self, frames: np.ndarray) -> np.ndarray | None:
        with tempfile.TemporaryDirectory(prefix="countermark-peer-") as folder:
            answer = self._ask(frames, Path(folder), {"do": "read", "length": self.bits})
        votes = np.array(answer.get("votes"), dtype=np.float64) if answer.get("votes") is not None else None
        if votes is not None and (votes.shape != (len(frames), self.bits) or not np.isfinite(votes).all()):
            raise CannotRead(
                f"{self.name}: gave votes of shape {votes.shape}", hint="the other clips and attacks go on"
            )
        return votes

    def _ask(self, frames: np.ndarray, folder: Path, request: dict[str, Any]) -> dict[str, Any]:
        np.save(folder / "clip.npy", frames, allow_pickle=False)
        megapixels = frames[..., 0].size / 1e6
        seconds = _LEAST_SECONDS + megapixels * _SECONDS_PER_MEGAPIXEL
        return conversation(self.peer.engine).ask({**request, "clip": str(folder / "clip.npy")}, seconds)


def peer_mark(name: str) -> PeerMark:
    """Return a peer by its name. Raises UnknownName, and NeedsExtra with the reason where it cannot run here."""
    if name not in PEERS:
        raise UnknownName("watermark", name, PEERS)
    require(PEERS[name])
    return PeerMark(PEERS[name])


def bits_of(message: int, length: int) -> np.ndarray:
    """Return a message as uint8 (length,) of 0 and 1, highest bit first. ValueError where it does not fit."""
    if not 0 <= message < 1 << length:
        raise ValueError(f"{message:#x} is no message of {length} bits")
    return np.array([message >> place & 1 for place in reversed(range(length))], dtype=np.uint8)


def number_of(bits: Sequence[int] | np.ndarray) -> int:
    """Return the message of some bits, highest first."""
    return int("".join(str(int(bit)) for bit in bits), 2)


def _log10_cost(number: int, candidates: int) -> float:
    """log10 of 1 / the share of the false alarms that this candidate has; the shares of all add up to 1."""
    if candidates == 1:
        return 0.0
    return math.log10(2.0) if number == 0 else math.log10(2.0 * (candidates - 1))
