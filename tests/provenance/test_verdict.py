"""What follows from evidence: the total truth table, and the rules that hold in every row of it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from provenance.evidence import (
    CredentialsEvidence,
    DetectorEvidence,
    Evidence,
    FingerprintEvidence,
    FingerprintMatch,
    SignerEvidence,
    WatermarkEvidence,
)
from provenance.repository.fingerprint import Resemblance
from provenance.spans import merged
from provenance.verdict import GRADES, Verdict, content_of, judge, warnings_of
from tests.provenance.verdict_cases import EVERYTHING, Case, cases, evidence_of, table

TABLE = Path(__file__).with_name("verdict_table.txt")
TRUSTED = ("official", "older", "own")


@cache
def everything() -> list[tuple[Case, Verdict]]:
    """Every 211th combination of the whole product: a prime, so that all pairs of values occur."""
    return [(case, judge(evidence_of(case))[1]) for case in itertools.islice(cases(EVERYTHING), 0, None, 211)]


def verdict_of(*evidence: Evidence) -> Verdict:
    return judge(evidence)[1]


def test_the_table_that_a_person_read_is_what_the_code_says() -> None:
    """After a change that is meant: `python -m tests.provenance.verdict_cases`, and read what changed."""
    assert table() == TABLE.read_text(encoding="utf-8")


def test_no_verdict_is_ever_worded_as_real_or_genuine() -> None:
    said = {verdict.statement for _, verdict in everything()}
    assert len(said) > 50
    for statement in said:
        assert not re.search(r"\b(real|genuine|authentic|fake|proves|proven|certainly|safe)\b", statement, re.I), (
            statement
        )
        assert statement.endswith(".")
        assert "{" not in statement


def test_nothing_at_all_is_no_evidence_and_speaks_neither_way() -> None:
    absent = verdict_of(CredentialsEvidence("absent"), WatermarkEvidence("pixel-watermark", "public", log10_p=-0.2))
    assert (absent.finding, absent.grade, absent.because) == ("no_evidence", "none", None)
    assert "neither for it nor against it" in absent.statement
    assert verdict_of() == absent


def test_absence_is_never_evidence() -> None:
    """Dropping whatever found nothing changes no verdict."""
    for case, verdict in everything():
        present = [item for item in evidence_of(case) if not _found_nothing(item)]
        assert judge(present)[1] == verdict, case


def _found_nothing(item: Evidence) -> bool:
    if isinstance(item, CredentialsEvidence):
        return item.status == "absent"
    if isinstance(item, WatermarkEvidence):
        return item.log10_p > -6
    return isinstance(item, DetectorEvidence) and item.status == "not_applicable"


def test_detectors_are_never_more_than_suspected_and_never_change_what_stronger_lines_say() -> None:
    for case, verdict in everything():
        if verdict.because == "detectors":
            assert verdict.grade in ("suspected", "none"), case
            assert verdict.finding in ("likely_generated", "inconclusive"), case
        without = judge([item for item in evidence_of(case) if not isinstance(item, DetectorEvidence)])[1]
        if without.grade in ("established", "recovered", "declared"):
            assert verdict == without, case


def test_a_detector_that_leans_towards_filmed_says_nothing() -> None:
    assert verdict_of(DetectorEvidence("scored", log_likelihood_ratio=-9.0)).finding == "no_evidence"


def test_the_origin_bits_of_the_public_key_never_count_alone() -> None:
    for case, verdict in everything():
        embedded, recovered, pixel, latent, _ = case
        if pixel.startswith("public") and recovered == "nothing":
            other = judge(evidence_of((embedded, recovered, "public unstated", latent, case[4])))[1]
            assert verdict == other, case
    alone = verdict_of(*evidence_of(("absent", "nothing", "public generated", "nothing", "nothing")))
    assert (alone.finding, alone.grade) == ("marked", "declared")
    assert "anyone can write" in alone.statement


def test_a_public_watermark_never_establishes_anything() -> None:
    for case, verdict in everything():
        embedded, _, pixel, latent, _ = case
        if pixel.startswith("public") and verdict.grade == "established":
            assert embedded.split()[0] in TRUSTED or latent == "fits", case


def test_captured_and_edited_need_a_trusted_signer() -> None:
    for case, verdict in everything():
        if verdict.finding in ("captured", "edited"):
            says = [words.split() for words in case[:2]]
            assert any(words[0] in TRUSTED and words[1] == verdict.finding for words in says if len(words) > 1), case
            assert verdict.grade in ("established", "recovered")


def test_a_claim_by_a_revoked_or_misused_certificate_changes_nothing_but_the_sentence_of_nothing() -> None:
    for case, verdict in everything():
        if case[0].split()[0] in ("revoked", "wrong_purpose"):
            without = judge(evidence_of(("absent", *case[1:])))[1]
            assert replace(verdict, statement="") == replace(without, statement=""), case
            assert any("ignored" in line for line in warnings_of(evidence_of(case))), case


def test_a_changed_credential_yields_to_any_detected_watermark() -> None:
    for case, verdict in everything():
        if case[0] == "changed":
            without = judge(evidence_of(("absent", *case[1:])))[1]
            if without.grade != "none":
                assert (verdict.finding, verdict.grade) == (without.finding, without.grade), case


def test_a_manifest_that_differs_is_a_conflict_whatever_else_is_there() -> None:
    for case, verdict in everything():
        trust = case[1].split()[0]
        counted = case[1] != "nothing" and trust not in ("revoked", "wrong_purpose")
        if (counted and case[1].endswith("differs")) or case[3] == "differs":
            assert verdict.finding == "conflict", case
            assert "copied" in verdict.statement


def test_a_filmed_credential_and_a_generation_watermark_of_ones_own_key_are_a_conflict() -> None:
    for case, verdict in everything():
        words = case[0].split()
        is_filmed = words[-1] == "captured" and words[0] not in ("revoked", "wrong_purpose")
        if is_filmed and (case[2] in ("own generated", "own generated_in_part") or case[3] in ("alone", "fits")):
            assert verdict.finding == "conflict", case


def test_embedded_and_recovered_manifests_conflict_unless_one_descends_from_the_other() -> None:
    case = ("official edited", "official captured fits", "public captured", "nothing", "nothing")
    evidence = evidence_of(case)
    assert verdict_of(*evidence).finding == "conflict"
    embedded = evidence[0]
    assert isinstance(embedded, CredentialsEvidence)
    descended = replace(embedded, chain=(*embedded.chain, "urn:c2pa:pixel"))
    assert verdict_of(descended, *evidence[1:]).finding == "edited"
    looks_different = evidence_of(("official edited", "official captured differs", *case[2:]))
    assert verdict_of(*looks_different).finding == "conflict"
    assert verdict_of(descended, *looks_different[1:]).finding == "edited"


def recovered(manifest: str, origin: str, *ancestors: str, trust: str = "official") -> list[Evidence]:
    """A recovered credential that fits, and the public watermark that led to it."""
    signer = SignerEvidence("Newsroom", trust)  # type: ignore[arg-type]
    ai = {"generated": "whole", "generated_in_part": "part"}.get(origin, "none")
    found = CredentialsEvidence(
        "recovered",
        signer,
        ai=ai,  # type: ignore[arg-type]
        origin=origin,  # type: ignore[arg-type]
        manifest=manifest,
        content="fits",
        chain=(manifest, *ancestors),
    )
    led = WatermarkEvidence(
        "pixel-watermark", "public", is_public=True, log10_p=-20.0, manifest=manifest, content="fits"
    )
    return [found, led]


def test_of_two_recovered_credentials_the_later_one_speaks_for_both() -> None:
    for later, finding in (("edited", "edited"), ("generated_in_part", "generated_in_part")):
        evidence = recovered("urn:b", later, "urn:a") + recovered("urn:a", "captured")
        assert verdict_of(*evidence).finding == finding
        assert verdict_of(*reversed(evidence)).finding == finding


def test_a_later_credential_that_nobody_vouches_for_does_not_silence_the_trusted_one() -> None:
    evidence = recovered("urn:b", "generated", "urn:a", trust="unknown") + recovered("urn:a", "captured")
    assert (verdict_of(*evidence).finding, verdict_of(*evidence).grade) == ("captured", "recovered")


def test_a_generated_part_of_a_film_that_was_shot_is_no_conflict_once_its_credential_says_so() -> None:
    shot, film = recovered("urn:a", "captured"), recovered("urn:b", "generated_in_part", "urn:a")
    part = WatermarkEvidence("latent-watermark", "home", log10_p=-20.0, manifest=None)
    assert verdict_of(*shot, part).finding == "conflict"
    assert verdict_of(*shot, *film, part).finding == "generated_in_part"


def test_grades_only_grow_with_trust() -> None:
    order = {grade: rank for rank, grade in enumerate(reversed(GRADES))}
    for origin in ("generated", "captured", "unstated"):
        known = verdict_of(*evidence_of((f"official {origin}", "nothing", "nothing", "nothing", "nothing")))
        unknown = verdict_of(*evidence_of((f"unknown {origin}", "nothing", "nothing", "nothing", "nothing")))
        assert order[known.grade] > order[unknown.grade]


def test_the_own_list_is_named_as_such() -> None:
    verdict = verdict_of(*evidence_of(("own captured", "nothing", "nothing", "nothing", "nothing")))
    assert verdict.finding == "captured"
    assert "own list only" in verdict.statement


def test_the_verdict_does_not_depend_on_the_order_of_the_evidence() -> None:
    for case, verdict in everything()[::4]:
        assert judge(list(reversed(evidence_of(case))))[1] == verdict, case


@pytest.mark.parametrize(("log10_p", "found"), [(-9.0, True), (-8.99, False), (-31.0, True), (0.0, False)])
def test_detected_means_one_in_a_thousand_million(log10_p: float, found: bool) -> None:
    (item,), verdict = judge([WatermarkEvidence("pixel-watermark", "home", origin="generated", log10_p=log10_p)])
    assert isinstance(item, WatermarkEvidence)
    assert item.found is found
    assert (verdict.finding == "generated") is found


def test_a_trace_is_suspected_and_below_it_is_nothing() -> None:
    trace = verdict_of(WatermarkEvidence("latent-watermark", "home", log10_p=-6.0))
    assert (trace.finding, trace.grade, trace.because) == ("inconclusive", "suspected", "latent-watermark")
    assert verdict_of(WatermarkEvidence("latent-watermark", "home", log10_p=-5.99)).finding == "no_evidence"


def test_without_a_key_nothing_is_decided() -> None:
    (item,), verdict = judge([WatermarkEvidence("latent-watermark", reason="no key")])
    assert isinstance(item, WatermarkEvidence)
    assert item.found is None
    assert verdict.finding == "no_evidence"


def mark(spans: tuple[tuple[float, float], ...], examined: float = 10.0, number: int = 1) -> WatermarkEvidence:
    return WatermarkEvidence(
        "pixel-watermark",
        "home",
        watermark_id=number,
        origin="generated",
        log10_p=-20.0,
        spans=spans,
        examined=((0.0, examined),),
    )


def test_a_clip_is_generated_in_part_when_other_examined_seconds_carry_no_watermark() -> None:
    assert verdict_of(mark(((0.0, 10.0),))).finding == "generated"
    assert verdict_of(mark(((0.0, 4.0),))).finding == "generated_in_part"
    assert verdict_of(mark(((0.0, 4.0),), examined=5.0)).finding == "generated", "the end of a span is not exact"
    assert "0.0 to 4.0 s" in verdict_of(mark(((0.0, 4.0),))).statement


def test_seconds_that_were_not_examined_say_nothing() -> None:
    late = replace(mark(((0.0, 4.0),)), examined=((0.0, 4.2),))
    assert verdict_of(late).finding == "generated"


def test_a_hidden_stretch_of_the_latent_watermark_is_no_second_half() -> None:
    latent = replace(mark(((0.0, 2.0),)), check="latent-watermark")
    assert verdict_of(replace(latent, examined=((0.0, 4.0),))).finding == "generated"
    assert verdict_of(replace(latent, examined=((0.0, 6.6),))).finding == "generated_in_part"


def test_two_ids_that_share_a_film_cover_it_together() -> None:
    both = verdict_of(mark(((0.0, 5.0),)), mark(((5.0, 10.0),), number=2))
    assert both.finding == "generated"


def test_a_trusted_credential_over_these_bytes_is_not_narrowed_by_spans() -> None:
    signer = SignerEvidence("Newsroom", "official")
    signed = CredentialsEvidence("intact", signer, ai="whole", origin="generated", manifest="urn:a", chain=("urn:a",))
    assert verdict_of(signed, mark(((0.0, 4.0),))).finding == "generated"


def test_a_fingerprint_alone_is_a_candidate_and_no_proof() -> None:
    near = FingerprintEvidence((FingerprintMatch("urn:a", 12), FingerprintMatch("urn:b", 90)))
    (item,), verdict = judge([near])
    assert isinstance(item, FingerprintEvidence)
    assert [match.manifest for match in item.matches] == ["urn:a"]
    assert (verdict.finding, verdict.grade, verdict.because) == ("inconclusive", "suspected", "fingerprint")


@pytest.mark.parametrize(
    ("distance", "content"),
    [(0, "fits"), (28, "fits"), (29, "unknown"), (43, "unknown"), (44, "differs"), (None, "unknown")],
)
def test_between_fits_and_differs_nothing_is_said(distance: int | None, content: str) -> None:
    assert content_of(Resemblance(distance)) == content


def test_unsigned_regions_count_as_intact_with_a_warning() -> None:
    signer = SignerEvidence("Newsroom", "official")
    item = CredentialsEvidence(
        "unsigned_regions_changed", signer, origin="captured", manifest="urn:a", chain=("urn:a",)
    )
    assert verdict_of(item).finding == "captured"
    assert len(warnings_of([item])) == 1


def test_spans_are_merged_in_order() -> None:
    assert merged([(3.0, 4.0), (0.0, 1.0), (0.5, 2.0)]) == ((0.0, 2.0), (3.0, 4.0))
