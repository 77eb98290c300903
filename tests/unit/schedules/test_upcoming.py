"""What a schedule will do, and what is moved or dropped on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.next import next as next_command
from local.testing.app import HEAD, NOON
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import Schedule
from shared.schedules.upcoming import MAX_DROPPED, Dropped, look_ahead
from shared.schedules.zones import find_zone

BERLIN = find_zone("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_an_occurrence_in_a_gap_is_moved_and_the_next_one_there_is_dropped() -> None:
    rule = Recurrence(frequency=Frequency.DAY, times=(time(2), time(2, 30)), zone=BERLIN)
    since = at("2027-03-28T00:00")
    outlook = look_ahead(Schedule(rule=rule), anchor=since, since=since, count=2)
    moved, plain = outlook.occurrences
    assert moved.time == at("2027-03-28T01:00")
    assert moved.local.isoformat() == "2027-03-28T03:00:00+02:00"
    assert moved.moved_from == datetime(2027, 3, 28, 2)
    assert moved.note == "moved: 02:00 does not exist, because the clock is put forward"
    assert plain.note is None
    assert outlook.dropped == (
        Dropped(
            local="2027-03-28T02:30:00",
            time=at("2027-03-28T01:00"),
            reason="it lands on the same instant as another occurrence, because the clock is put forward",
        ),
    )


def test_a_local_time_that_comes_twice_is_told() -> None:
    since = at("2027-10-31T00:00")
    outlook = look_ahead(
        Schedule(rule=Cron("30 2 * * *", zone=BERLIN)), anchor=since, since=since, count=1
    )
    assert outlook.occurrences[0].time == at("2027-10-31T00:30")
    assert str(outlook.occurrences[0].note).startswith("this local time comes twice")


def test_what_elapsed_time_leaves_out_is_told() -> None:
    since = at("2027-03-27T23:00")
    outlook = look_ahead(
        Schedule(rule=Cron("0 */2 * * *", zone=BERLIN)), anchor=since, since=since, count=2
    )
    assert [one.local for one in outlook.dropped] == ["2027-03-28T02:00:00"]
    assert outlook.dropped[0].reason == "the clock is put forward over it"


@pytest.mark.parametrize(
    "rule",
    [
        Recurrence(frequency=Frequency.MONTH, month_days=(31,), times=(time(9),)),
        Cron("0 9 31 * *"),
    ],
)
def test_short_months_are_told(rule: Cron | Recurrence) -> None:
    since = at("2027-01-31T09:00")
    outlook = look_ahead(Schedule(rule=rule), anchor=since, since=since, count=2)
    assert [one.time for one in outlook.occurrences] == [since, at("2027-03-31T09:00")]
    assert outlook.dropped == (
        Dropped(local="2027-02-31", time=None, reason="short month: February 2027 has no day 31"),
    )


def test_exclusions_are_told_and_long_ones_cut() -> None:
    schedule = Schedule(
        rule=Recurrence(frequency=Frequency.MINUTE),
        exclusions=Exclusions.parse(["2027-03-27 to 2027-03-28"]),
    )
    outlook = look_ahead(schedule, anchor=NOON, since=NOON, count=1)
    assert outlook.occurrences[0].time == at("2027-03-29T00:00")
    assert len(outlook.dropped) == MAX_DROPPED
    assert {one.reason for one in outlook.dropped} == {"excluded: 2027-03-27 to 2027-03-28"}


def test_a_first_sight_is_an_occurrence_only_with_run_at_start() -> None:
    rule = Recurrence(frequency=Frequency.HOUR)
    plain = look_ahead(Schedule(rule=rule), anchor=NOON, since=NOON, count=1)
    assert plain.occurrences[0].time == at("2027-03-27T13:00")
    eager = look_ahead(Schedule(rule=rule, run_at_start=True), anchor=NOON, since=NOON, count=2)
    assert [one.time for one in eager.occurrences] == [NOON, at("2027-03-27T13:00")]


def test_a_schedule_that_ends_has_fewer() -> None:
    schedule = Schedule(rule=Cron("0 * * * *"), end_time=at("2027-03-27T14:00"))
    assert len(look_ahead(schedule, anchor=NOON, since=NOON, count=9).occurrences) == 3


def test_a_schedule_that_is_over_has_none_and_is_not_searched_for_ever() -> None:
    schedule = Schedule(rule=Cron("* * * * *", zone=BERLIN), end_time=at("2027-03-01T00:00"))
    outlook = look_ahead(schedule, anchor=NOON, since=NOON, count=5)
    assert (outlook.occurrences, outlook.dropped) == ((), ())


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


def test_machines_get_instants_and_local_times(file: Path) -> None:
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


def test_what_is_counted_from_the_first_sight_says_so(file: Path) -> None:
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
def test_what_cannot_be_listed_is_told(file: Path, words: list[str], message: str) -> None:
    result = run(file, *words)
    assert result.exit_code != 0
    assert message in result.output
