"""The one composition root: every object is built here, from `Settings`."""

from __future__ import annotations

from countermark.settings import Settings
from provenance.keys import KeyRing


def key_ring(settings: Settings) -> KeyRing:
    """The watermark keys of this machine."""
    return KeyRing(settings.keys)


def rotate_key(settings: Settings, name: str) -> str:
    """Retire a key, put a new one in its place, return the name under which the old one goes on."""
    return key_ring(settings).rotate(name)
