"""Where things stand is decided by the environment, once, and nowhere else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from countermark.cli.options import outputs_for
from countermark.settings import Settings
from provenance.errors import OutputExists, UsageError

ROOT = Path(__file__).parent.parent.parent


def test_everything_stands_under_the_home_folder() -> None:
    settings = Settings.from_environment({"COUNTERMARK_HOME": "/somewhere"})
    assert settings.keys == Path("/somewhere/keys")
    assert settings.trust == Path("/somewhere/trust")
    assert settings.repository == "/somewhere/manifests.sqlite"
    assert settings.corpus is None


def test_lists_repository_and_corpus_may_stand_elsewhere() -> None:
    environment = {
        "COUNTERMARK_HOME": "/somewhere",
        "COUNTERMARK_TRUST": "/lists",
        "COUNTERMARK_REPOSITORY": "postgresql://host/db",
        "COUNTERMARK_CORPUS": "/clips",
    }
    settings = Settings.from_environment(environment)
    assert (settings.trust, settings.repository, settings.corpus) == (
        Path("/lists"),
        "postgresql://host/db",
        Path("/clips"),
    )


def test_without_a_word_the_user_data_folder_is_taken() -> None:
    assert Settings.from_environment({}).home.name == "countermark"


@pytest.mark.parametrize("variable", ["COUNTERMARK_HOME", "COUNTERMARK_TRUST", "COUNTERMARK_CORPUS"])
def test_the_folder_of_a_user_who_is_not_there_is_wrong_usage(variable: str) -> None:
    with pytest.raises(UsageError, match=f"{variable}=~nosuchuser/x"):
        Settings.from_environment({variable: "~nosuchuser/x"})


class TestOutputs:
    def test_a_template_names_each_output(self, tmp_path: Path) -> None:
        sources = [tmp_path / "a.mp4", tmp_path / "b.mov"]
        assert outputs_for(sources, "{stem}.signed{ext}") == [tmp_path / "a.signed.mp4", tmp_path / "b.signed.mov"]

    @pytest.mark.parametrize("template", ["{stem.parent}.mp4", "{stem[0]}.mp4", "{stem:>9}.mp4", "{name!r}", "{}", "{"])
    def test_a_template_knows_three_places_and_nothing_else(self, template: str) -> None:
        with pytest.raises(UsageError, match="place holder"):
            outputs_for([Path("a.mp4")], template)
        assert outputs_for([Path("a.mp4")], "{{{name}}}") == [Path("{a.mp4}")]

    def test_a_folder_takes_all(self, tmp_path: Path) -> None:
        assert outputs_for([Path("x/a.mp4")], "out/") == [Path("out/a.mp4")]
        assert outputs_for([Path("x/a.mp4")], str(tmp_path)) == [tmp_path / "a.mp4"]

    def test_several_files_never_go_into_one(self) -> None:
        with pytest.raises(UsageError):
            outputs_for([Path("a.mp4"), Path("b.mp4")], "one.mp4")
        with pytest.raises(OutputExists):
            outputs_for([Path("x/a.mp4"), Path("y/a.mp4")], "out/")


class TestMakefile:
    def test_a_missing_venv_module_is_said_in_one_line(self, tmp_path: Path) -> None:
        poor = tmp_path / "python3"
        poor.write_text('#!/bin/sh\ncase "$2" in *venv*) exit 1;; *) exit 0;; esac\n')
        poor.chmod(0o755)
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
        done = subprocess.run(
            ["make", "-s", "install", f"PYTHON={poor}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert len(said) == 1
        assert "python3-venv" in said[0]
        assert not (tmp_path / ".venv").exists()

    def test_pip_keeps_its_own_settings(self) -> None:
        text = (ROOT / "Makefile").read_text()
        assert not {"--index-url", "--isolated", "--no-index", "-i "} & set(text.split())
