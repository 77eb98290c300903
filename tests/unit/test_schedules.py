"""What a schedule adds to its rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.cron import Cron
from shared.recurrence import Frequency, Recurrence
from shared.schedules import Schedule

ANCHOR = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
QUARTERLY = Schedule(rule=Recurrence(frequency=Frequency.MINUTE, interval=15))
HOURLY = Schedule(rule=Cron("0 * * * *"))


@pytest.mark.parametrize("schedule", [QUARTERLY, HOURLY])
def test_instants_of_any_zone_give_occurrences_in_utc(schedule: Schedule) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    after, until = ANCHOR, ANCHOR + timedelta(hours=3)
    here = schedule.latest(anchor=ANCHOR, after=after, until=until)
    there = schedule.latest(
        anchor=ANCHOR.astimezone(zone),
        after=after.astimezone(zone),
        until=until.astimezone(zone),
    )
    assert here == there
    assert there is not None
    assert there.tzinfo is UTC
    every = list(schedule.occurrences(anchor=ANCHOR, after=after, until=until))
    assert every[-1] == here


@pytest.mark.parametrize("name", ["anchor", "after", "until"])
def test_a_naive_instant_is_an_error(name: str) -> None:
    instants = {"anchor": ANCHOR, "after": ANCHOR, "until": ANCHOR}
    instants[name] = ANCHOR.replace(tzinfo=None)
    with pytest.raises(ValueError, match="has no time zone"):
        HOURLY.latest(**instants)
    with pytest.raises(ValueError, match="has no time zone"):
        HOURLY.occurrences(**instants)


def test_run_at_start_adds_nothing_by_itself() -> None:
    """The caller adds the anchor: only it knows that it has just been set."""
    eager = Schedule(rule=QUARTERLY.rule, run_at_start=True)
    until = ANCHOR + timedelta(minutes=14)
    early = ANCHOR - timedelta(minutes=1)
    assert eager.latest(anchor=ANCHOR, after=early, until=until) is None


def test_the_definition_is_the_rules_alone() -> None:
    assert QUARTERLY.definition == "every 15 minute"
    assert Schedule(rule=QUARTERLY.rule, run_at_start=True).definition == "every 15 minute"
    assert HOURLY.definition == "cron 0 * * * *"


@pytest.mark.parametrize("schedule", [QUARTERLY, HOURLY])
def test_a_far_anchor_costs_no_more(schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest occurrence is computed, never counted up to."""

    def count_up(*_: object, **__: object) -> None:
        pytest.fail("latest went through the occurrences")

    monkeypatch.setattr(Cron, "occurrences", count_up)
    monkeypatch.setattr(Recurrence, "occurrences", count_up)
    far = datetime(1, 1, 2, tzinfo=UTC)
    assert schedule.latest(anchor=far, after=far, until=ANCHOR) is not None
