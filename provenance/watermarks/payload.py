"""What a watermark says: a 64-bit id, guarded by a 40-bit keyed tag, as 512 coded signs. One code for both watermarks.

The three top bits of the id are the origin that the clip was signed with. Id and tag (104 bits) are coded by
`provenance.watermarks.polar` and masked by keyed signs, so that the signs of an id look like noise to whoever lacks
the key. There is no other checksum: a decoder keeps those messages of its list whose tag verifies, and a wrong id
passes with a chance of 2^-40 each.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from provenance.errors import UsageError
from provenance.watermarks import polar

ID_BITS = 64
ORIGIN_BITS = 3
TAG_BITS = 40
MESSAGE_BITS = ID_BITS + TAG_BITS
CODE_LENGTH = polar.CODE_LENGTH
LIST_SIZE = 32


class Origin(IntEnum):
    """How a clip came about, as whoever signed it says; the values stand in the id and never change."""

    UNSTATED = 0
    GENERATED = 1
    GENERATED_IN_PART = 2
    EDITED = 3
    CAPTURED = 4


class Stream(Protocol):
    """What the payload needs of a `provenance.keys.KeyStream`."""

    def signs(self, label: str, count: int) -> np.ndarray:
        """Return keyed signs."""

    def mac(self, label: str, message: bytes, bits: int) -> int:
        """Return a keyed tag."""


@dataclass(frozen=True)
class Candidate:
    """A message of the decoder's list whose tag verifies.

    rank: its place in the list, 0 the most likely.
    agreement: correlation in [-1, 1] of the received soft values with the codeword.
    """

    watermark_id: int
    rank: int
    agreement: float

    @property
    def origin(self) -> Origin:
        """The origin in the id's top bits."""
        return origin_of(self.watermark_id)


def origin_of(watermark_id: int) -> Origin:
    """Return the origin in the three top bits; values that no form of the id uses count as unstated."""
    value = watermark_id >> (ID_BITS - ORIGIN_BITS)
    return Origin(value) if value in Origin._value2member_map_ else Origin.UNSTATED


def compose_id(origin: Origin, serial: int) -> int:
    """Return the id with this origin and a 61-bit serial number."""
    if not 0 <= serial < 1 << (ID_BITS - ORIGIN_BITS):
        raise ValueError(f"a serial number has {ID_BITS - ORIGIN_BITS} bits")
    return int(origin) << (ID_BITS - ORIGIN_BITS) | serial


def random_id(origin: Origin = Origin.UNSTATED) -> int:
    """Return an id with a serial number from the operating system's random source."""
    return compose_id(origin, secrets.randbits(ID_BITS - ORIGIN_BITS))


def format_id(watermark_id: int) -> str:
    """Return the 16 hexadecimal digits of an id."""
    return f"{_checked(watermark_id):016x}"


def parse_id(text: str) -> int:
    """Return the id that 16 hexadecimal digits stand for; UsageError for anything else."""
    digits = text.strip().lower()
    if len(digits) != ID_BITS // 4 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(f"{text!r} is no watermark id", hint="an id has 16 hexadecimal digits, as in 2a5d01c07be49f36")
    return int(digits, 16)


def encode(watermark_id: int, stream: Stream) -> np.ndarray:
    """Return int8 (512,) of -1 and +1: the masked codeword of an id; bit 0 is +1."""
    codeword = polar.encode(_message(watermark_id, stream))
    return ((1 - 2 * codeword.astype(np.int8)) * _mask(stream)).astype(np.int8)


def decode(soft: np.ndarray, stream: Stream, list_size: int = LIST_SIZE) -> list[Candidate]:
    """Return the ids on the decoder's list whose tag verifies, most likely first; usually none or one.

    soft: float (512,), ln P(received | +1) - ln P(received | -1) for each sign that `encode` returns. Their scale
    matters little, their relative size (reliability) much. All zero is allowed and gives nothing.
    """
    soft = np.asarray(soft, dtype=np.float64)
    if not np.any(soft):
        return []
    messages, _ = polar.decode_list(soft * _mask(stream), MESSAGE_BITS, list_size)
    weights = 1 << np.arange(8, dtype=np.uint64)[::-1]
    found = []
    for rank, message in enumerate(messages):
        octets = bytes((message.reshape(-1, 8) @ weights).astype(np.uint8))
        watermark_id = int.from_bytes(octets[: ID_BITS // 8], "big")
        if int.from_bytes(octets[ID_BITS // 8 :], "big") == _tag(watermark_id, stream):
            signs = encode(watermark_id, stream)
            agreement = float(soft @ signs / (np.linalg.norm(soft) * np.sqrt(CODE_LENGTH)))
            found.append(Candidate(watermark_id, rank, agreement))
    return found


def _mask(stream: Stream) -> np.ndarray:
    return stream.signs("payload mask", CODE_LENGTH)


def _tag(watermark_id: int, stream: Stream) -> int:
    return stream.mac("payload tag", watermark_id.to_bytes(ID_BITS // 8, "big"), TAG_BITS)


def _checked(watermark_id: int) -> int:
    if not 0 <= watermark_id < 1 << ID_BITS:
        raise ValueError(f"a watermark id has {ID_BITS} bits")
    return watermark_id


def _message(watermark_id: int, stream: Stream) -> np.ndarray:
    value = _checked(watermark_id) << TAG_BITS | _tag(watermark_id, stream)
    return np.unpackbits(np.frombuffer(value.to_bytes(MESSAGE_BITS // 8, "big"), dtype=np.uint8))
