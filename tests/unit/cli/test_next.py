"""`next`: the occurrences of a trigger's schedule, read from the file alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.next import next as next_command
from local.testing.app import HEAD

TRIGGERS = """\
  daily: {pipeline: scoring, schedule: {cron: "30 2 * * *", time_zone: Europe/Berlin, except: [2027-03-27]}}
  every-2-hours: {pipeline: scoring, schedule: {frequency: hour, interval: 2}}
  call: {pipeline: scoring, http: {}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "triggers.yaml"
    file.write_text(HEAD + TRIGGERS)
    return file


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(next_command, [*words, "--file", str(file)])


def test_json_has_instants_and_local_times(file: Path) -> None:
    result = run(file, "daily", "--from", "2027-03-27T00:00:00Z", "--count", "2", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "trigger": "daily",
        "from": "2027-03-27T00:00:00Z",
        "counted_from": None,
        "time_zone": "Europe/Berlin",
        "occurrences": [
            {
                "time": "2027-03-28T01:00:00Z",
                "local": "2027-03-28T03:00:00+02:00",
                "moved_from": "2027-03-28T02:30:00",
                "note": "moved: 02:30 does not exist, because the clock is put forward",
            },
            {
                "time": "2027-03-29T00:30:00Z",
                "local": "2027-03-29T02:30:00+02:00",
                "moved_from": None,
                "note": None,
            },
        ],
        "dropped": [
            {
                "time": "2027-03-27T01:30:00Z",
                "local": "2027-03-27T02:30:00",
                "reason": "excluded: 2027-03-27",
            }
        ],
    }


def test_people_get_a_table(file: Path) -> None:
    result = run(file, "daily", "--from", "2027-03-27T00:00:00Z")
    assert result.exit_code == 0, result.output
    for word in ("2027-03-28T01:00:00Z", "Europe/Berlin", "dropped:"):
        assert word in result.output


def test_a_schedule_without_a_start_names_the_instant_that_it_is_counted_from(file: Path) -> None:
    result = run(file, "every-2-hours", "--from", "2027-03-27T01:00:00+01:00", "--count", "1")
    assert "2027-03-27T02:00:00Z" in result.output
    assert "counted from 2027-03-27T00:00:00Z" in result.output
    seen = run(
        file, "every-2-hours", "--from", "2027-03-27T00:00:00Z", "--count", "1", "--json",
        "--registered-at", "2027-03-01T01:30:20Z",
    )  # fmt: skip
    content = json.loads(seen.stdout)
    assert content["counted_from"] == "2027-03-01T01:30:00Z"
    assert content["occurrences"][0]["time"] == "2027-03-27T01:30:00Z"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dialy"], "there is no trigger dialy (did you mean daily?) in the file"),
        (["call"], "trigger call starts from http, not from a schedule"),
        (["daily", "--from", "2027-03-27"], "is not an instant with its offset; write 2027-03-27T"),
        (["daily", "--count", "0"], "0 is not in the range"),
    ],
)
def test_a_trigger_or_an_option_that_cannot_be_used_is_refused(
    file: Path, words: list[str], message: str
) -> None:
    result = run(file, *words)
    assert result.exit_code != 0
    assert message in result.output
