"""Settings, the type of an instant, and errors as sentences, which the commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import click
import pytest
from click.testing import CliRunner

from cli.common import Instant, clear_errors, local_settings, open_services
from local.settings_file import RUNNING_SETTINGS, SettingsFileBroken
from local.testing.app import HEAD
from shared.core.errors import FileError, NotFound


@pytest.fixture
def empty_environment() -> Iterator[None]:
    """Empty the process's environment for a test, and restore it afterwards."""
    with mock.patch.dict(os.environ, clear=True):
        yield


def write_settings(file: Path, values: dict[str, str]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def test_the_environment_wins_over_local_settings_which_win_over_the_sample(tmp_path: Path) -> None:
    write_settings(tmp_path / "local.settings.sample.json", {"A": "sample", "C": "sample"})
    write_settings(tmp_path / "local.settings.json", {"A": "file", "B": "file"})
    settings = local_settings(tmp_path, environment={"A": "environment"})
    assert settings == {"A": "environment", "B": "file", "C": "sample"}
    assert local_settings(tmp_path / "none", environment={"A": "1"}) == {"A": "1"}


def test_settings_that_cannot_be_read_raise(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text("{")
    with pytest.raises(SettingsFileBroken):
        local_settings(tmp_path, environment={})


@pytest.mark.usefixtures("empty_environment")
def test_the_app_that_runs_gives_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(HEAD + "  call: {pipeline: scoring, http: {}}\n")
    running = tmp_path / RUNNING_SETTINGS
    running.parent.mkdir()
    storage = "AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:1/a;"
    settings = {"TRIGGERS_FILE": str(file), "AzureWebJobsStorage": storage}
    running.write_text(json.dumps(settings))
    assert list(open_services(tmp_path).config.triggers) == ["call"]
    assert settings.items() <= os.environ.items()  # azure-identity reads them there


@pytest.mark.usefixtures("empty_environment")
def test_an_app_that_does_not_run_has_the_settings_of_the_laptop(tmp_path: Path) -> None:
    write_settings(tmp_path / "local.settings.json", {"TRIGGERS_FILE": str(tmp_path / "none.yaml")})
    with pytest.raises(FileError, match=r"none\.yaml"):
        open_services(tmp_path)


@pytest.mark.parametrize("error", [NotFound("there is none"), SettingsFileBroken("there is none")])
def test_errors_of_the_app_are_sentences(error: Exception) -> None:
    with pytest.raises(click.ClickException, match="there is none"), clear_errors():
        raise error


def test_an_instant_needs_its_offset() -> None:
    @click.command()
    @click.argument("instant", type=Instant())
    def show(instant: datetime) -> None:
        click.echo(instant.astimezone(UTC).isoformat())

    good = CliRunner().invoke(show, ["2027-03-27T01:30:00+01:00"])
    assert good.output == "2027-03-27T00:30:00+00:00\n"
    bad = CliRunner().invoke(show, ["2027-03-27"])
    assert bad.exit_code == 2
    assert (
        "'2027-03-27' is not an instant with its offset; write 2027-03-27T01:30:00Z" in bad.output
    )
