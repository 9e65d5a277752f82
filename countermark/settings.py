"""Where things stand on this machine: everything that the environment decides, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import UsageError

HOME_VARIABLE = "COUNTERMARK_HOME"
TRUST_VARIABLE = "COUNTERMARK_TRUST"
REPOSITORY_VARIABLE = "COUNTERMARK_REPOSITORY"
CORPUS_VARIABLE = "COUNTERMARK_CORPUS"


@dataclass(frozen=True)
class Settings:
    """Where keys, certificates, manifests and trust lists stand.

    home: the folder of everything that Countermark remembers; backing it up backs up everything.
    trust: the folder of public trust lists, which may be missing.
    repository: a path or database URL of the manifest repository.
    corpus: the folder of clips that experiments and training read, or None.
    """

    home: Path
    trust: Path
    repository: str
    corpus: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read COUNTERMARK_HOME, COUNTERMARK_TRUST, COUNTERMARK_REPOSITORY and COUNTERMARK_CORPUS.

        Raises UsageError where one of them names the folder of a user who is not there.
        """
        values = os.environ if environment is None else environment
        home = _path(values, HOME_VARIABLE) or _default_home()
        return cls(
            home=home,
            trust=_path(values, TRUST_VARIABLE) or home / "trust",
            repository=values.get(REPOSITORY_VARIABLE) or str(home / "manifests.sqlite"),
            corpus=_path(values, CORPUS_VARIABLE),
        )

    @property
    def keys(self) -> Path:
        """The folder of watermark keys."""
        return self.home / "keys"

    @property
    def authority(self) -> Path:
        """The folder of our own certificate authority and signing certificate."""
        return self.home / "authority"

    @property
    def own_trust(self) -> Path:
        """The folder of certificates that this user trusts in person."""
        return self.home / "trusted"


def _path(values: Mapping[str, str], variable: str) -> Path | None:
    text = values.get(variable)
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError:
        raise UsageError(
            f"{variable}={text}: there is no such user", hint=f"let {variable} name a folder, or leave it unset"
        ) from None


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("countermark")
