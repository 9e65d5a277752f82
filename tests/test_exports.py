"""Public names are a promise: this list changes only on purpose. Everything else is private."""

from __future__ import annotations

import importlib

import pytest

from provenance import errors

EXPORTS = {
    "provenance.video": {"Clip", "Video", "VideoInfo", "Window"},
    "provenance.repository": {
        "Fingerprint",
        "FingerprintCheck",
        "ManifestRepository",
        "Resemblance",
        "Sketch",
        "StoredManifest",
        "compare",
    },
    "provenance.credentials": {
        "ClaimSigner",
        "CredentialsCheck",
        "FINGERPRINT_ALGORITHM",
        "Generation",
        "LATENT_ALGORITHM",
        "Manifest",
        "ManifestStore",
        "OpenedSigner",
        "PIXEL_ALGORITHM",
        "SignedManifest",
        "Signer",
        "SoftBinding",
        "Source",
        "Trust",
        "TrustList",
        "add_own_anchor",
        "answers",
        "fingerprint_of",
        "install_lists",
        "load_trust",
        "media_type_of",
        "open_signer",
        "own_anchors",
        "own_authority_pem",
        "own_signer",
        "plain_text",
        "read_manifest_store",
        "sidecar_of",
        "sign_file",
        "soft_bindings",
        "trust_folder",
        "watermark_binding",
    },
    "provenance.watermarks": {"Reading", "Watermark"},
    "generator.scenes": {"ATTRIBUTES", "BASE_RATE", "Caption", "SCENES", "deal_caption", "render", "render_clips"},
    "generator.training": {
        "fill_cache",
        "publish_pictures",
        "publish_transformer",
        "train_refiner",
        "train_transformer",
        "train_upsampler",
    },
    "benchmarks.attacks": {"ATTACKS", "Attack", "Chain", "Range", "Step", "attack_clip", "attack_file", "parse_chain"},
    "countermark": {"verify"},
    "countermark.report": {"Line", "lines_of", "printable", "show", "show_table", "write_page"},
}


@pytest.mark.parametrize("package", EXPORTS)
def test_a_package_exports_exactly_its_public_names(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == EXPORTS[package]
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("package", EXPORTS)
def test_every_exported_class_and_function_is_documented(package: str) -> None:
    module = importlib.import_module(package)
    undocumented = [n for n in module.__all__ if callable(getattr(module, n)) and not getattr(module, n).__doc__]
    assert not undocumented


def error_kinds() -> list[type[errors.CountermarkError]]:
    kinds = [errors.CountermarkError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return kinds


@pytest.mark.parametrize("kind", error_kinds(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_status_and_stands_in_the_drawn_tree(kind: type[errors.CountermarkError]) -> None:
    assert kind.exit_status in (1, 2, 3)
    assert kind.__doc__
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__
