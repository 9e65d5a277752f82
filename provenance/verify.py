"""Verify a file: examine it in the worker, look up what its watermarks lead to, judge, report.

::

    worker   pre-scan, decode once, all checks, fingerprint          -> evidence
    parent   ids and fingerprints -> manifests (`recover`)
    worker   the manifests, through the SDK                          -> evidence
    parent   compare contents, `judge`                               -> verdict
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from provenance import recovery
from provenance.errors import CannotRead, RepositoryError
from provenance.evidence import CredentialsEvidence, Evidence
from provenance.examination import Examination, MakeChecks, NotExamined, examine, examine_recovered
from provenance.parallel import pmap
from provenance.recovery import Context, Lookup
from provenance.sandbox.limits import Limits
from provenance.sandbox.worker import Progress, Runner, warm_worker
from provenance.verdict import IGNORED, Verdict, judge, warnings_of

SCHEMA_VERSION = 1
KEYFRAMES = 6
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """Everything that verification says about one file.

    tool: version, weights, trust lists and key names, as the caller tells them. seconds: how long it took.
    keyframes: (seconds, JPEG bytes) for reports with pictures; not in the JSON.
    """

    file: str
    sha256: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    context: Context = field(default_factory=Context)
    not_examined: tuple[NotExamined, ...] = ()
    warnings: tuple[str, ...] = ()
    tool: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    keyframes: tuple[tuple[float, bytes], ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the object of the JSON interface; the same on every run, `seconds` apart."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "schema_version": SCHEMA_VERSION,
            "tool": dict(self.tool),
            "verdict": self.verdict.to_json(),
            "evidence": [item.to_json() for item in self.evidence],
            "context": self.context.to_json(),
            "not_examined": [item.to_json() for item in self.not_examined],
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 2),
        }

    def to_line(self) -> str:
        """Return the JSON object on one line, without a line break."""
        return json.dumps(self.to_json(), ensure_ascii=False)


@dataclass(frozen=True)
class Unread:
    """A file that could not be examined, and why, in one line."""

    file: str
    error: str
    hint: str

    def to_json(self) -> dict[str, str]:
        """Return the object of the JSON interface."""
        return {"file": self.file, "error": self.error}

    def to_line(self) -> str:
        """Return the JSON object on one line, without a line break."""
        return json.dumps(self.to_json(), ensure_ascii=False)


def verify(
    path: Path | str,
    make_checks: MakeChecks,
    *,
    recover: Lookup | None = None,
    worker: Runner | None = None,
    limits: Limits | None = None,
    tool: Mapping[str, Any] = MappingProxyType({}),
    keyframes: int = KEYFRAMES,
    progress: Progress | None = None,
) -> Report:
    """Verify one file.

    make_checks: a picklable recipe for fresh checks, run in the worker. recover: the manifest repository, None to look
    nothing up. worker: this process's warm one when None; one that is given keeps its own limits of time and memory.
    limits: what the file may ask for. keyframes: how many pictures to keep.
    Raises CannotRead (or TooHostile, TookTooLong) where the file cannot be examined.
    """
    began = time.monotonic()
    run = worker or warm_worker(limits)
    file = Path(path)
    seen: Examination = run.run(examine, file, make_checks, limits or Limits(), keyframes, progress=progress)
    evidence, context, missed = seen.evidence, _own_context(seen.evidence), list(seen.not_examined)
    if recover is not None:
        try:
            evidence, context = recovery.recover(seen.evidence, recover, _reader(run, file, make_checks))
        except RepositoryError as error:  # what was measured keeps its say
            missed.append(NotExamined("manifest repository", error.message))
    judged, verdict = judge(evidence)
    return Report(
        file=str(path),
        sha256=seen.sha256,
        verdict=verdict,
        evidence=judged,
        context=context,
        not_examined=tuple(missed),
        warnings=warnings_of(judged),
        tool=tool,
        seconds=time.monotonic() - began,
        keyframes=seen.keyframes,
    )


def verify_each(
    paths: Sequence[Path | str],
    make_checks: MakeChecks,
    *,
    recover: Lookup | None = None,
    limits: Limits | None = None,
    tool: Mapping[str, Any] = MappingProxyType({}),
    keyframes: int = 0,
    workers: int = 1,
    ray_address: str | None = None,
) -> Iterator[Report | Unread]:
    """Verify files, in their order; one that cannot be read becomes `Unread`, and the others are still done."""
    task = _Task(make_checks, recover, limits, dict(tool), keyframes)
    return pmap(task, paths, workers=workers, ray_address=ray_address)


@dataclass(frozen=True)
class _Task:
    """The verification of one file, for any process; picklable."""

    make_checks: MakeChecks
    recover: Lookup | None
    limits: Limits | None
    tool: Mapping[str, Any]
    keyframes: int

    def __call__(self, path: Path | str) -> Report | Unread:
        try:
            return verify(
                path,
                self.make_checks,
                recover=self.recover,
                limits=self.limits,
                tool=self.tool,
                keyframes=self.keyframes,
            )
        except CannotRead as error:
            return Unread(str(path), error.message, error.hint)


def _reader(run: Runner, file: Path, make_checks: MakeChecks) -> recovery.ReadStores:
    """Examine stored manifests in the worker; one that breaks it counts as unreadable, the file does not."""

    def read(stores: tuple[bytes, ...]) -> Sequence[Sequence[Evidence]]:
        try:
            return run.run(examine_recovered, file, make_checks, stores)
        except CannotRead as error:
            _log.warning("%s: the manifest that its watermark leads to cannot be examined: %s", file, error.message)
            return [()] * len(stores)

    return read


def _own_context(evidence: Iterable[Evidence]) -> Context:
    """What the file tells by itself, without a repository."""
    voices = (item.signer for item in evidence if isinstance(item, CredentialsEvidence) and item.is_authentic)
    return Context(signed_by=next((one.name for one in voices if one and one.trust not in IGNORED), None))


__all__ = ["Report", "Unread", "verify", "verify_each"]
