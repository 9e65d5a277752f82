"""From evidence to a verdict: thresholds, rules as frozen data, and the pure function `judge` that applies them.

Each line of evidence says its own finding with its own grade; lines are never melted into one number. The verdict is
the strongest line's, unless lines contradict each other. What is absent says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from provenance.evidence import (
    Content,
    CredentialsEvidence,
    DetectorEvidence,
    Evidence,
    FingerprintEvidence,
    OriginName,
    SignerTrust,
    Span,
    WatermarkEvidence,
)
from provenance.spans import common, merged, seconds_of
from provenance.wording import ALSO, ORIGINS, SENTENCES, quoted, said_by, signer_of, worded

if TYPE_CHECKING:
    from provenance.repository.fingerprint import Resemblance

Finding = Literal[
    "generated",
    "generated_in_part",
    "captured",
    "edited",
    "marked",
    "likely_generated",
    "conflict",
    "inconclusive",
    "no_evidence",
]
Grade = Literal["established", "recovered", "declared", "suspected", "none"]
Because = Literal["credentials", "pixel-watermark", "latent-watermark", "detectors", "fingerprint"]

# -- thresholds, each named after its statistic ------------------------------------------------------------------------

DETECTED_LOG10_P = -9.0
"""A watermark is detected at p <= 1e-9 for the file, after all search and all keys."""
TRACE_LOG10_P = -6.0
"""Above that, down to p = 1e-6, it is a trace."""
FITS_FINGERPRINT_DISTANCE = 28
"""A recovered manifest fits when at most this many of 256 bits differ."""
DIFFERS_FINGERPRINT_DISTANCE = 44
"""It differs from this many on; between the two, nothing is said. Both set on the 20 development clips."""
CANDIDATE_FINGERPRINT_DISTANCE = 40
"""A clip in the repository is a candidate when whole frames differ in at most this many of 256 bits."""
GENERATED_LOG_LIKELIHOOD_RATIO = 0.0
"""A score outside the detector's own inconclusive band speaks for "generated" above this."""
UNMARKED_SECONDS: Mapping[str, float] = MappingProxyType({"pixel-watermark": 2.0, "latent-watermark": 4.0})
"""So much examined time without a generation watermark makes a clip generated in part, where other time carries one;
more of the latent watermark, since a stretch that is hard to invert hides it."""
EDGE_SECONDS = 0.5
"""How far the end of a span may be off."""

# -- rules, as data ----------------------------------------------------------------------------------------------------

GRADES: tuple[Grade, ...] = ("established", "recovered", "declared", "suspected", "none")
"""From the strongest to the weakest."""
SOURCES: tuple[Because, ...] = ("credentials", "latent-watermark", "pixel-watermark", "detectors", "fingerprint")
"""Which line speaks first where two are equally strong."""
SAYS_HOW: frozenset[Finding] = frozenset({"generated", "generated_in_part", "captured", "edited"})
GENERATED: frozenset[str] = frozenset({"generated", "generated_in_part"})
TRUSTED: frozenset[SignerTrust] = frozenset({"official", "older", "own"})
IGNORED: frozenset[SignerTrust] = frozenset({"revoked", "wrong_purpose"})

TRUSTED_SAYS: Mapping[OriginName, Finding] = MappingProxyType(
    {
        "generated": "generated",
        "generated_in_part": "generated_in_part",
        "captured": "captured",
        "edited": "edited",
        "unstated": "marked",
    }
)
"""What follows when a signer on a list states an origin."""
UNKNOWN_SAYS: Mapping[OriginName, Finding] = MappingProxyType(
    {
        "generated": "generated",
        "generated_in_part": "generated_in_part",
        "captured": "inconclusive",
        "edited": "inconclusive",
        "unstated": "inconclusive",
    }
)
"""What follows when nobody vouches for the signer: who says "generated" gains nothing by lying, others might."""


@dataclass(frozen=True)
class Verdict:
    """What follows from the evidence. `because` names the check whose line carries it; None when nothing does."""

    finding: Finding
    grade: Grade
    because: Because | None
    statement: str

    def to_json(self) -> dict[str, str | None]:
        """The object under `verdict` of the JSON interface."""
        return {"finding": self.finding, "grade": self.grade, "because": self.because, "statement": self.statement}


def judge(evidence: Iterable[Evidence]) -> tuple[tuple[Evidence, ...], Verdict]:
    """Decide what counts as found, and draw the verdict. Pure: the same evidence gives the same verdict."""
    judged = tuple(decided(item) for item in evidence)
    case = _Case(judged)
    lines = [*_credential_lines(case), *_watermark_lines(case), *_fingerprint_lines(case), *_detector_lines(case)]
    if clash := _conflict(case):
        strongest = GRADES[min((GRADES.index(line.grade) for line in lines), default=GRADES.index("declared"))]
        return judged, Verdict("conflict", strongest, clash.because, clash.statement)
    if not lines:
        return judged, Verdict("no_evidence", "none", None, _nothing(case))
    chosen = _in_part(case, _strongest(lines))
    return judged, Verdict(chosen.finding, chosen.grade, chosen.because, chosen.statement + _also(case, lines, chosen))


def decided(item: Evidence) -> Evidence:
    """Decide for one piece of evidence whether it counts: `found` of a watermark, candidates of a fingerprint."""
    if isinstance(item, WatermarkEvidence) and item.reason is None:
        return replace(item, found=item.log10_p <= DETECTED_LOG10_P)
    if isinstance(item, FingerprintEvidence):
        near = tuple(match for match in item.matches if match.distance <= CANDIDATE_FINGERPRINT_DISTANCE)
        return replace(item, matches=near)
    return item


def content_of(resemblance: Resemblance) -> Content:
    """Decide from a comparison of fingerprints whether a manifest belongs to this content."""
    if resemblance.distance is None or FITS_FINGERPRINT_DISTANCE < resemblance.distance < DIFFERS_FINGERPRINT_DISTANCE:
        return "unknown"
    return "fits" if resemblance.distance <= FITS_FINGERPRINT_DISTANCE else "differs"


def warnings_of(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """What a reader must know beside the verdict, one line each."""
    found: list[str] = []
    for item in evidence:
        if not isinstance(item, CredentialsEvidence):
            continue
        if item.signer is not None and item.signer.trust in IGNORED:
            found.append(f"the claim of {signer_of(item)} is ignored")
        if item.status == "changed":
            found.append(f"the credential does not match the file: {item.reason or 'it was changed after signing'}")
        if item.status == "unsigned_regions_changed":
            found.append(f"the signature covers a part of the file only: {item.reason or 'other parts were changed'}")
    return tuple(dict.fromkeys(found))


# -- lines -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    finding: Finding
    grade: Grade
    because: Because
    statement: str
    is_from_bytes: bool = False  # a credential over these very bytes, which no stretch of time can narrow


class _Case:
    """The evidence, sorted by what it is and linked by manifest."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        credentials = [item for item in evidence if isinstance(item, CredentialsEvidence)]
        watermarks = [item for item in evidence if isinstance(item, WatermarkEvidence)]
        self.credentials = sorted(credentials, key=lambda item: item.manifest or "")
        self.watermarks = sorted(watermarks, key=_order)
        self.fingerprints = [item for item in evidence if isinstance(item, FingerprintEvidence)]
        self.detectors = [item for item in evidence if isinstance(item, DetectorEvidence)]
        self.found = [item for item in self.watermarks if item.found]
        self.embedded = [item for item in self.credentials if _counts(item) and item.status != "recovered"]

    @cached_property
    def recovered(self) -> list[CredentialsEvidence]:
        """Recovered credentials that count and that a detected watermark leads to, with the content that counts."""
        led_to = {mark.manifest for mark in self.found}
        return [
            replace(item, content=self._weighed(item.manifest, item.content))
            for item in self.credentials
            if item.status == "recovered" and _counts(item) and item.manifest in led_to
        ]

    @cached_property
    def fitting(self) -> list[CredentialsEvidence]:
        """Recovered credentials that fit, without those that a later one tells the rest of."""
        fit = [item for item in self.recovered if item.content == "fits"]
        voices = [*self.embedded, *fit]
        return [item for item in fit if not any(_tells_more(other, item) for other in voices)]

    def content(self, mark: WatermarkEvidence) -> Content | None:
        """How a watermark's manifest compares with this content; None when it leads to no manifest that counts."""
        known = {item.manifest for item in self.embedded} | {item.manifest for item in self.recovered}
        known |= {manifest for item in self.embedded for manifest in item.chain}
        if mark.manifest is None or mark.manifest not in known:
            return None
        return self._weighed(mark.manifest, mark.content)

    def _weighed(self, manifest: str | None, content: Content | None) -> Content:
        """An ingredient of what a trusted signer signed may look different: that is no contradiction."""
        named = any(manifest in item.chain for item in self.embedded if _is_trusted(item))
        return "unknown" if content is None or (content == "differs" and named) else content


def _order(mark: WatermarkEvidence) -> tuple[int, str, int]:
    return SOURCES.index(mark.check), mark.key or "", mark.watermark_id or 0


def _counts(item: CredentialsEvidence) -> bool:
    return item.is_authentic and item.signer is not None and item.signer.trust not in IGNORED


def _is_trusted(item: CredentialsEvidence) -> bool:
    return item.signer is not None and item.signer.trust in TRUSTED


def _tells_more(later: CredentialsEvidence, earlier: CredentialsEvidence) -> bool:
    """Whether one credential descends from another and weighs no less, so that it speaks for both."""
    descends = earlier.manifest in later.chain and later.manifest not in (earlier.manifest, *earlier.chain)
    return descends and (_is_trusted(later) or not _is_trusted(earlier))


def _credential_lines(case: _Case) -> list[_Line]:
    lines = [_embedded_line(item) for item in case.embedded]
    lines += [_recovered_line(case, item) for item in case.fitting]
    unsound: tuple[Literal["changed", "unreadable", "remote"], ...] = ("changed", "unreadable", "remote")
    states = [item.status for item in case.credentials]
    lines += [_Line("inconclusive", "none", "credentials", SENTENCES[word]) for word in unsound if word in states]
    return lines


def _embedded_line(item: CredentialsEvidence) -> _Line:
    origin = said_by(item)
    if _is_trusted(item):
        said = worded("embedded", item)
        return _Line(TRUSTED_SAYS[origin], "established", "credentials", said, is_from_bytes=True)
    finding = UNKNOWN_SAYS[origin]
    said = worded(f"embedded_{_weight(origin, finding)}", item)
    return _Line(finding, "declared", "credentials", said, is_from_bytes=True)


def _recovered_line(case: _Case, item: CredentialsEvidence) -> _Line:
    own = next((mark for mark in case.found if mark.manifest == item.manifest and not mark.is_public), None)
    origin = said_by(item)
    if _is_trusted(item) and own is not None:
        return _Line(TRUSTED_SAYS[origin], "established", "credentials", worded("recovered_own_key", item, own))
    if _is_trusted(item):
        return _Line(TRUSTED_SAYS[origin], "recovered", "credentials", worded("recovered", item))
    finding = UNKNOWN_SAYS[origin]
    return _Line(finding, "declared", "credentials", worded(f"recovered_{_weight(origin, finding)}", item))


def _weight(origin: OriginName, finding: Finding) -> str:
    """How much the word of an unknown signer weighs, as the names of sentences have it."""
    return "silent" if origin == "unstated" else "declared" if finding in SAYS_HOW else "unproven"


def _watermark_lines(case: _Case) -> list[_Line]:
    lines = [_found_line(case, mark) for mark in case.found]
    lines += [
        _Line("inconclusive", "suspected", mark.check, SENTENCES["trace"].format(key=quoted(mark)))
        for mark in case.watermarks
        if mark.found is False and mark.log10_p <= TRACE_LOG10_P
    ]
    return lines


_KNOWLEDGE: Mapping[Content | None, str] = MappingProxyType(
    {"fits": "known", "unknown": "unchecked", "differs": "alone", None: "alone"}
)


def _found_line(case: _Case, mark: WatermarkEvidence) -> _Line:
    content = case.content(mark)
    finding = _says(mark)
    kind = "public" if mark.is_public else "latent" if mark.check == "latent-watermark" else "own"
    if kind == "own" and finding == "marked":
        kind = "own_marked"
    grade: Grade = "established" if content == "fits" and not mark.is_public else "declared"
    sentence = SENTENCES[f"{kind}_{_KNOWLEDGE[content]}"]
    return _Line(finding, grade, mark.check, sentence.format(key=quoted(mark), origin=ORIGINS[_origin_of(finding)]))


def _says(mark: WatermarkEvidence) -> Finding:
    """What a detected watermark says by itself: under `public` nothing of the making, since anyone can write there."""
    if mark.is_public:
        return "marked"
    if mark.check == "latent-watermark":
        return "generated"
    return {"generated": "generated", "generated_in_part": "generated_in_part"}.get(mark.origin or "", "marked")  # type: ignore[return-value]


def _origin_of(finding: Finding) -> OriginName:
    """Return the origin that a finding speaks of, "unstated" where it speaks of none."""
    return finding if finding in SAYS_HOW else "unstated"  # type: ignore[return-value]


def _fingerprint_lines(case: _Case) -> list[_Line]:
    is_near = any(item.matches for item in case.fingerprints)
    return [_Line("inconclusive", "suspected", "fingerprint", SENTENCES["fingerprint"])] if is_near else []


def _detector_lines(case: _Case) -> list[_Line]:
    lines = []
    for item in case.detectors:
        ratio = item.log_likelihood_ratio
        if item.status == "scored" and ratio is not None and ratio > GENERATED_LOG_LIKELIHOOD_RATIO:
            lines.append(_Line("likely_generated", "suspected", "detectors", SENTENCES["likely_generated"]))
        elif item.status == "inconclusive":
            lines.append(_Line("inconclusive", "none", "detectors", SENTENCES["detectors_undecided"]))
    return lines


# -- from lines to a verdict -------------------------------------------------------------------------------------------


def _strongest(lines: Sequence[_Line]) -> _Line:
    """The strongest line that says how the clip was made, or else the strongest of all."""
    telling = [line for line in lines if line.finding in SAYS_HOW]
    return min(telling or lines, key=_rank)


def _rank(line: _Line) -> tuple[int, int, bool, str]:
    """Grade, then source; between equals, what says "generated" first."""
    return GRADES.index(line.grade), SOURCES.index(line.because), line.finding not in GENERATED, line.statement


def _conflict(case: _Case) -> _Line | None:
    """The contradiction between lines, None when there is none."""
    for mark in case.found:
        if case.content(mark) == "differs":
            return _Line("conflict", "none", mark.check, SENTENCES["copied"])
    for inside in case.embedded:
        for other in case.recovered:
            if other.manifest not in inside.chain and inside.manifest not in (other.manifest, *other.chain):
                return _Line("conflict", "none", "credentials", SENTENCES["two_manifests"])
    voices = [*case.embedded, *case.fitting]
    captured = next((item for item in voices if said_by(item) == "captured"), None)
    generated = next((mark for mark in case.found if _says(mark) in GENERATED), None)
    if captured is not None and generated is not None:
        return _Line("conflict", "none", generated.check, worded("captured_and_generated", captured, generated))
    return None


def _in_part(case: _Case, line: _Line) -> _Line:
    """Narrow "generated" to "in part" where other examined seconds carry no generation watermark."""
    if line.finding != "generated" or line.is_from_bytes:
        return line
    marks = [mark for mark in case.found if _is_of_generated_clip(case, mark)]
    covered = merged((start - EDGE_SECONDS, end + EDGE_SECONDS) for mark in marks for start, end in mark.spans)
    if not covered:
        return line
    for check in sorted({mark.check for mark in marks}):
        examined = merged(span for mark in case.watermarks if mark.check == check for span in mark.examined)
        if seconds_of(examined) - seconds_of(common(examined, covered)) >= UNMARKED_SECONDS[check]:
            spans = merged(span for mark in marks for span in mark.spans)
            return replace(line, finding="generated_in_part", statement=SENTENCES["in_part"].format(spans=_told(spans)))
    return line


def _told(spans: Sequence[Span]) -> str:
    return ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in spans[:4]) + (" …" if len(spans) > 4 else "")


def _is_of_generated_clip(case: _Case, mark: WatermarkEvidence) -> bool:
    if _says(mark) in GENERATED:
        return True
    fitting = [item for item in case.recovered if item.content == "fits" and item.manifest == mark.manifest]
    return any(said_by(item) in GENERATED for item in fitting)


def _also(case: _Case, lines: Sequence[_Line], chosen: _Line) -> str:
    """What the chosen line would hide."""
    more = ""
    mark = next((mark for mark in case.found if _says(mark) in GENERATED), None)
    if mark is not None and chosen.finding not in GENERATED:
        more += ALSO["generation_watermark"].format(key=quoted(mark))
    is_faint = chosen.finding == "inconclusive" and chosen.grade in ("suspected", "none")
    if is_faint and any(line.finding == "likely_generated" for line in lines):
        more += ALSO["likely_generated"]
    changed = SENTENCES["changed"]
    if chosen.statement != changed and any(line.statement == changed for line in lines):
        more += ALSO["changed_credential"]
    return more


def _nothing(case: _Case) -> str:
    ignored = next((item for item in case.credentials if item.signer and item.signer.trust in IGNORED), None)
    return SENTENCES["nothing"] if ignored is None else SENTENCES["ignored"].format(signer=signer_of(ignored))
