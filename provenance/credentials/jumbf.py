"""A strict reader of manifest stores (JUMBF, ISO/IEC 19566-5), for what the software kit does not hand out.

It finds the certificates of a manifest's signature. It is stricter than the kit on purpose: boxes with the same label
side by side, lengths that do not add up, or an unknown form of number end in `ManifestUnreadable`, so that the two
never read different things in the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from provenance.errors import ManifestUnreadable

_DEPTH_LIMIT = 16
_CHAIN_LIMIT = 16
_X5CHAIN = 33  # RFC 9360, 2
_COSE_SIGN1 = 18  # RFC 9052, 4.2


@dataclass(frozen=True)
class Box:
    """One box: its four-character kind, its label where it is a superbox, and its content without the header."""

    kind: str
    label: str
    content: bytes = field(repr=False)


def boxes(data: bytes) -> Iterator[Box]:
    """The boxes that lie side by side in `data`; a superbox's content begins with its description box."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < 8:
            raise _damaged("a box is cut off")
        length, raw_kind = struct.unpack_from(">I4s", data, offset)
        header = 8
        if length == 1 and len(data) - offset >= 16:
            (length,) = struct.unpack_from(">Q", data, offset + 8)
            header = 16
        if length < header or offset + length > len(data):
            raise _damaged("a box has an impossible length")
        content = data[offset + header : offset + length]
        kind = raw_kind.decode("latin-1")
        yield Box(kind, _label(content) if kind == "jumb" else "", content)
        offset += length


def child(content: bytes, label: str) -> Box:
    """The one superbox with this label in the content of a superbox. Raises ManifestUnreadable for none or several."""
    found = [box for box in boxes(content) if box.kind == "jumb" and box.label == label]
    if len(found) != 1:
        raise _damaged(f"{len(found)} boxes called {label[:60]}")
    return found[0]


def active_manifest_id(store: bytes) -> str:
    """The identifier of the manifest that speaks for the file: the last one of the store (C2PA 2.2, 11.1.4.2)."""
    labels = [box.label for box in boxes(child(store, "c2pa").content) if box.kind == "jumb"]
    if not labels:
        raise _damaged("no manifest in the store")
    return labels[-1]


def certificate_chain(store: bytes, manifest_id: str) -> tuple[x509.Certificate, ...]:
    """The certificates that come with the signature of one manifest: the signer's first.

    store: a whole manifest store. Raises ManifestUnreadable when they cannot be read without doubt.
    """
    manifest = child(child(store, "c2pa").content, manifest_id)
    signature = child(manifest.content, "c2pa.signature")
    content = [box.content for box in boxes(signature.content) if box.kind == "cbor"]
    if len(content) != 1:
        raise _damaged("the signature is not one CBOR box")
    message = _Cbor(content[0]).document()
    if isinstance(message, _Tag) and message.number == _COSE_SIGN1:
        message = message.value
    if not (isinstance(message, list) and len(message) == 4 and isinstance(message[0], bytes)):
        raise _damaged("the signature is no COSE_Sign1 message")
    protected = _Cbor(message[0]).document() if message[0] else {}
    encoded = _x5chain(protected) or _x5chain(message[1])
    if not encoded or len(encoded) > _CHAIN_LIMIT:
        raise _damaged("the signature brings no certificates, or too many")
    return tuple(_certificate(one) for one in encoded)


def _certificate(encoded: bytes) -> x509.Certificate:
    """A certificate whose names and dates can be read: the library parses them only when asked."""
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        list(certificate.subject), list(certificate.issuer)
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise _damaged("a certificate cannot be parsed") from error
    return certificate


def _x5chain(header: object) -> list[bytes]:
    """Certificates of a COSE header; the text key is the one that claims of version 1 used."""
    found = header.get(_X5CHAIN, header.get("x5chain")) if isinstance(header, dict) else None
    if isinstance(found, bytes):
        return [found]
    return found if isinstance(found, list) and all(isinstance(one, bytes) for one in found) else []


def _label(content: bytes) -> str:
    """Label in the description box that opens a superbox: UUID (16), toggles (1), text up to a zero byte."""
    if len(content) < 25 or content[4:8] != b"jumd":
        raise _damaged("a superbox has no description")
    (length,) = struct.unpack_from(">I", content)
    text = content[25:length].split(b"\0", 1)[0] if content[24] & 2 else b""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _damaged("a label is no text") from error


def _damaged(reason: str) -> ManifestUnreadable:
    return ManifestUnreadable(f"credentials are damaged ({reason})", hint="ask for the file as it was published")


@dataclass(frozen=True)
class _Tag:
    number: int
    value: Any


class _Cbor:
    """Reads one CBOR item of definite or indefinite length (RFC 8949, 3), bounded in depth; floats stay unread."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def document(self) -> Any:
        """The item that fills the data; trailing bytes are refused."""
        value = self._item(0)
        if self._at != len(self._data):
            raise _damaged("bytes behind a CBOR item")
        return value

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise _damaged("a CBOR item is cut off")
        self._at += count
        return self._data[self._at - count : self._at]

    def _argument(self, info: int) -> int | None:
        if info < 24:
            return info
        if info <= 27:
            return int.from_bytes(self._take(1 << (info - 24)), "big")
        if info == 31:
            return None
        raise _damaged("a reserved CBOR length")

    def _item(self, depth: int) -> Any:
        if depth > _DEPTH_LIMIT:
            raise _damaged("CBOR nested too deeply")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        argument = self._argument(info)
        if major <= 1:
            return self._number(major, argument)
        if major <= 3:
            return self._string(major, argument, depth)
        if major == 4:
            return list(self._items(argument, depth))
        if major == 5:
            return self._map(argument, depth)
        if major == 6:
            return _Tag(self._number(0, argument), self._item(depth + 1))
        return {20: False, 21: True}.get(info)  # null, undefined and floats alike: nothing we read

    def _number(self, major: int, argument: int | None) -> int:
        if argument is None:
            raise _damaged("a number without length")
        return -1 - argument if major else argument

    def _string(self, major: int, argument: int | None, depth: int) -> bytes | str:
        raw = self._take(argument) if argument is not None else b"".join(self._chunks(major, depth))
        return raw if major == 2 else raw.decode("utf-8", "replace")

    def _chunks(self, major: int, depth: int) -> Iterator[bytes]:
        while not self._ends():
            chunk = self._item(depth + 1)
            if isinstance(chunk, bytes) != (major == 2) or not isinstance(chunk, bytes | str):
                raise _damaged("a broken CBOR string")
            yield chunk if isinstance(chunk, bytes) else chunk.encode()

    def _ends(self) -> bool:
        if self._data[self._at : self._at + 1] == b"\xff":
            self._at += 1
            return True
        return False

    def _items(self, argument: int | None, depth: int) -> Iterator[Any]:
        if argument is None:
            while not self._ends():
                yield self._item(depth + 1)
        else:
            for _ in range(min(argument, len(self._data))):
                yield self._item(depth + 1)

    def _map(self, argument: int | None, depth: int) -> dict[Any, Any]:
        flat = list(self._items(None if argument is None else 2 * argument, depth))
        keys = flat[::2]
        if len(flat) % 2 or any(not isinstance(key, int | str) for key in keys) or len(set(keys)) != len(keys):
            raise _damaged("a broken CBOR map")
        return dict(zip(keys, flat[1::2], strict=True))
