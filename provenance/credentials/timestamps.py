"""When a manifest was signed, and whether that can be believed.

First form: what the software kit reads. A time counts as trusted only where the kit names our list of time-stamp
authorities for it, since the kit itself accepts any authority for claims of version 1 and takes signers' lists for
authorities' (measured with c2pa-rs 0.91.3). Checking RFC 3161 tokens ourselves, which would let version 1 count again,
is not done yet: until then such times are shown as claimed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from provenance.credentials.history import assertions_of, plain_text, rows_in
from provenance.credentials.sdk import ManifestStore


@dataclass(frozen=True)
class SigningTime:
    """A moment in UTC, and whether an authority on the list of time-stamp authorities vouches for it."""

    moment: dt.datetime
    is_trusted: bool

    @property
    def text(self) -> str:
        """RFC 3339, whole seconds."""
        return self.moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def signing_time(store: ManifestStore, tsa_uri: str) -> SigningTime | None:
    """The time stamp of the active manifest, else the time that its first action claims; None where neither is there.

    tsa_uri: the name under which the kit was given the list of time-stamp authorities.
    """
    stamped = _moment((store.active.get("signature_info") or {}).get("time"))
    if stamped:
        return SigningTime(stamped, any(_names_list(code.code, code.explanation, tsa_uri) for code in store.codes))
    claimed = _moment(_first_when(store))
    return SigningTime(claimed, False) if claimed else None


def _names_list(code: str, explanation: str, tsa_uri: str) -> bool:
    return code == "timeStamp.trusted" and explanation.endswith(f"trust list: {tsa_uri}")


def _first_when(store: ManifestStore) -> object:
    for label, data in assertions_of(store.active):
        if label.startswith("c2pa.actions"):
            return next((action["when"] for action in rows_in(data.get("actions")) if action.get("when")), None)
    return None


def _moment(value: object) -> dt.datetime | None:
    if not value:
        return None
    try:
        moment = dt.datetime.fromisoformat(plain_text(value, 40))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
