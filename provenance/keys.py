"""Watermark keys: 32 secret bytes, one derived stream per purpose and format version, and the ring that holds them.

A master key never leaves this module's `Key`. What marks or reads a clip receives a `KeyStream` derived by HKDF
(RFC 5869, SHA-256) for one purpose, such as ``pixel/1`` or ``latent/1``: a later form of a watermark takes a new
purpose and orphans no earlier clip. All numbers drawn from a stream come from ChaCha20 (RFC 8439) by rules that are
written out here, so that they stay the same whatever version of numpy is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance.errors import KeyError_, OutputExists, UsageError
from provenance.files import write_private

KEY_BYTES = 32
PUBLIC_NAME = "public"
HOME_NAME = "home"
_HEADER = "countermark key 1"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


_Bytes = bytes  # the class below has a method of that name


def _hkdf(secret: bytes, info: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info.encode()).derive(secret)


@dataclass(frozen=True)
class KeyStream:
    """What one purpose may know of a key: picklable, unable to give the master key back.

    Each draw names a `label`; the same label gives the same numbers for ever, different labels independent ones.
    """

    key_name: str
    purpose: str
    secret: _Bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a key stream has {KEY_BYTES} bytes, not {len(self.secret)}")

    @property
    def is_public(self) -> bool:
        """Whether everybody knows this stream, since it stands under the key that ships with Countermark."""
        return self.key_name == PUBLIC_NAME

    def derive(self, label: str) -> KeyStream:
        """Return an independent stream, for instance for one nonce."""
        return KeyStream(self.key_name, f"{self.purpose}/{label}", _hkdf(self.secret, f"derive:{label}"))

    def bytes(self, label: str, count: int) -> _Bytes:
        """Return `count` pseudo-random bytes: the ChaCha20 stream under HKDF(secret, label), counter and nonce 0."""
        cipher = Cipher(ChaCha20(_hkdf(self.secret, f"bytes:{label}"), bytes(16)), mode=None)
        return cipher.encryptor().update(bytes(count))

    def words(self, label: str, count: int) -> np.ndarray:
        """Return uint64 (count,), uniform."""
        return np.frombuffer(self.bytes(label, 8 * count), dtype="<u8").copy()

    def bits(self, label: str, count: int) -> np.ndarray:
        """Return uint8 (count,) of 0 and 1."""
        packed = np.frombuffer(self.bytes(label, -(-count // 8)), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little")[:count].copy()

    def signs(self, label: str, count: int) -> np.ndarray:
        """Return int8 (count,) of -1 and +1; bit 0 is +1."""
        return (1 - 2 * self.bits(label, count).astype(np.int8)).astype(np.int8)

    def integers(self, label: str, count: int, below: int) -> np.ndarray:
        """Return int64 (count,) in [0, below): the high word of a 32-bit product, whose bias is below 2^-32 * below."""
        if not 0 < below < 2**31:
            raise ValueError(f"below must lie in 1 .. 2^31 - 1, not {below}")
        return ((self.words(label, count) >> np.uint64(32)) * np.uint64(below) >> np.uint64(32)).astype(np.int64)

    def phases(self, label: str, count: int, of: int = 4) -> np.ndarray:
        """Return float64 (count,) of `of` equally likely phases in radians, the first one pi / of."""
        return (2 * self.integers(label, count, of) + 1) * np.pi / of

    def permutation(self, label: str, count: int) -> np.ndarray:
        """Return int64 (count,): the stable order of uniform 64-bit words."""
        return np.argsort(self.words(label, count), kind="stable").astype(np.int64)

    def uniforms(self, label: str, count: int) -> np.ndarray:
        """Return float64 (count,) in (0, 1): 53 bits and a half."""
        return ((self.words(label, count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normals(self, label: str, count: int) -> np.ndarray:
        """Return float64 (count,) standard normal values, by inversion of `uniforms`."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.uniforms(label, count)))

    def mac(self, label: str, message: _Bytes, bits: int) -> int:
        """Return the first `bits` (1 to 256) bits of HMAC-SHA-256 (RFC 2104) over label and message as an integer."""
        if not 1 <= bits <= 256:
            raise ValueError(f"bits must lie in 1 .. 256, not {bits}")
        digest = hmac.new(self.secret, label.encode() + b"\0" + message, hashlib.sha256).digest()
        return int.from_bytes(digest, "big") >> (256 - bits)


@dataclass(frozen=True)
class Key:
    """A named master key. Its `repr` shows the name and nothing else."""

    name: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise KeyError_(
                f"{self.name!r} is no name for a key", hint="use up to 40 lower-case letters, digits, - and _"
            )
        if len(self.secret) != KEY_BYTES:
            raise KeyError_(
                f"key {self.name!r} has {len(self.secret)} bytes",
                hint=f"a key has {KEY_BYTES}: make one with `countermark keys new`",
            )

    @property
    def is_public(self) -> bool:
        """Whether this is the key that ships with Countermark: everybody can read, write and erase under it."""
        return self.name == PUBLIC_NAME

    def stream(self, purpose: str) -> KeyStream:
        """Derive the stream of one purpose and format version, such as ``pixel/1``."""
        return KeyStream(self.name, purpose, _hkdf(self.secret, f"stream:{purpose}"))


PUBLIC = Key(
    PUBLIC_NAME, hashlib.sha256(b"Countermark: the public key, form 1. Everybody may read and write here.").digest()
)


class KeyRing:
    """The keys in a folder, one file each, and always `public`.

    A key file has two lines: ``countermark key 1`` and 64 hexadecimal digits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"KeyRing({str(self.folder)!r})"

    def names(self) -> list[str]:
        """Return the names of all keys, `public` first, the others in alphabetical order."""
        mine = sorted(path.stem for path in self.folder.glob("*.key") if _NAME.fullmatch(path.stem))
        return [PUBLIC_NAME, *(name for name in mine if name != PUBLIC_NAME)]

    def __iter__(self) -> Iterator[Key]:
        return (self.get(name) for name in self.names())

    def get(self, name: str) -> Key:
        """Return one key; KeyError_ when it is missing, unreadable, open to others, or no key file."""
        if name == PUBLIC_NAME:
            return PUBLIC
        path = self._path(name)
        try:
            text = path.read_text(encoding="ascii")
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            raise KeyError_(
                f"there is no key called {name!r}",
                hint=f"your keys: {', '.join(self.names())}; make one with `countermark keys new {name}`",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyError_(f"{path}: cannot be read ({error})", hint="is it a key file, and yours to read?") from error
        if mode & 0o077:
            raise KeyError_(f"{path}: other people on this machine can read it", hint=f"chmod 600 {path}")
        return Key(name, _parse(text, path))

    def new(self, name: str) -> Key:
        """Make a key of 32 bytes from the operating system and store it; OutputExists when the name is taken."""
        return self.add(Key(name, secrets.token_bytes(KEY_BYTES)))

    def add(self, key: Key) -> Key:
        """Store a key; OutputExists when the name is taken."""
        taken = OutputExists(f"there is a key called {key.name!r} already", hint="choose another name")
        if key.is_public:
            raise taken
        try:
            write_private(self._path(key.name), f"{_HEADER}\n{key.secret.hex()}\n".encode(), replace=False)
        except FileExistsError:
            raise taken from None
        return key

    def get_or_new(self, name: str) -> tuple[Key, bool]:
        """Return a key and whether it was made just now. Of several processes that want it at once, one makes it."""
        if name != PUBLIC_NAME and not self._path(name).exists():
            with contextlib.suppress(OutputExists):
                return self.new(name), True
        return self.get(name), False

    def rotate(self, name: str) -> str:
        """Retire a key: it goes on under the name returned, and a new key takes its place.

        The retired copy is stored before the new key replaces the old, so that no crash loses a key.
        """
        key = self.get(name)
        if key.is_public:
            raise UsageError("the key 'public' is the same for everybody", hint="rotate a key of your own")
        taken = set(self.names())
        retired = next(free for n in range(1, 10_000) if (free := f"{name[:34]}-{n}") not in taken)
        self.add(Key(retired, key.secret))
        write_private(self._path(name), f"{_HEADER}\n{secrets.token_hex(KEY_BYTES)}\n".encode())
        return retired

    def export(self, name: str) -> str:
        """Return the text of a key file: whoever has it can read and write every watermark under this key."""
        return f"{_HEADER}\n{self.get(name).secret.hex()}\n"

    def import_file(self, name: str, path: Path) -> Key:
        """Store the key of a key file under `name`."""
        try:
            if os.path.getsize(path) > 4096:
                raise KeyError_(f"{path}: is no key file", hint="a key file is made by `countermark keys export`")
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyError_(f"{path}: cannot be read ({error})", hint="is it a key file, and yours to read?") from error
        return self.add(Key(name, _parse(text, path)))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise KeyError_(f"{name!r} is no name for a key", hint="use up to 40 lower-case letters, digits, - and _")
        return self.folder / f"{name}.key"


def _parse(text: str, path: Path) -> bytes:
    lines = text.split()
    words = " ".join(lines[:-1])
    if words != _HEADER or not lines or not re.fullmatch(r"[0-9a-f]{64}", lines[-1]):
        raise KeyError_(
            f"{path}: is no key file of form 1",
            hint=f"it should say {_HEADER!r} and then {2 * KEY_BYTES} hexadecimal digits",
        )
    return bytes.fromhex(lines[-1])
