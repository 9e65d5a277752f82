"""Fetching the public C2PA trust lists: what the command line asks the network for, and only on request."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from provenance.credentials.trust import OFFICIAL_ANCHORS, OFFICIAL_LIST, TSA_ANCHORS
from provenance.errors import CannotRead, TooHostile

_FOLDER = "https://raw.githubusercontent.com/c2pa-org/conformance-public/main/trust-list/"
SOURCES = {
    OFFICIAL_ANCHORS: _FOLDER + "C2PA-TRUST-LIST.pem",
    OFFICIAL_LIST: _FOLDER + "C2PA-TRUST-LIST.json",
    TSA_ANCHORS: _FOLDER + "C2PA-TSA-TRUST-LIST.pem",
}
"""File of the list folder -> where the C2PA conformance programme publishes it."""
LARGEST_BYTES = 8 << 20
TIMEOUT_SECONDS = 20


def fetch_lists(sources: dict[str, str] | None = None, told: Callable[[str], None] | None = None) -> dict[str, bytes]:
    """Return name -> content of the public lists; `told` hears every address before it is visited.

    Only https, no redirect, at most LARGEST_BYTES each. Raises CannotRead or TooHostile.
    """
    found = {}
    for name, address in (sources or SOURCES).items():
        if told is not None:
            told(address)
        found[name] = _fetch(address)
    return found


def _fetch(address: str) -> bytes:
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        raise CannotRead(f"{address}: only https addresses are visited", hint="name an https address")
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
    )
    try:
        connection.request("GET", parts.path, headers={"User-Agent": "countermark"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise CannotRead(f"{address}: answered {answer.status}", hint="try later, or give --from FOLDER")
        data = answer.read(LARGEST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise CannotRead(
            f"{address}: cannot be fetched ({error})",
            hint="is there a network? Or give --from FOLDER",
        ) from error
    finally:
        connection.close()
    if len(data) > LARGEST_BYTES:
        raise TooHostile(f"{address}: is larger than {LARGEST_BYTES >> 20} MiB", hint="no trust list is that large")
    return data
