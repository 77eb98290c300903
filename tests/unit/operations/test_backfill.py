"""A past range: previewed, started once, and skipped or dead occurrences taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import InvalidRequest, NotAllowed, NotFound, WrongSource
from shared.core.events import ScheduleEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.ledger.table.protocol import Merge
from shared.operations.backfill import (
    MAX_OCCURRENCES,
    Backfilled,
    Step,
    preview_backfill,
    run_backfill,
)

type MakeBench = Callable[..., Bench]


HOURLY = """
t:
  pipeline: scoring
  schedule: {cron: "0 * * * *", catch_up: none}
  tags: {from: "{{ schedule.window_start }}"}
other: {pipeline: scoring, http: {}}
counted: {pipeline: scoring, schedule: {frequency: hour, interval: 5}}
"""


def do(found: Bench, since: datetime, until: datetime) -> list[Backfilled]:
    services = found.app.services
    return list(run_backfill(services, preview_backfill(services, "t", since=since, until=until)))


def test_a_past_range_is_started_under_the_ids_it_always_had(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY)
    since = NOON - timedelta(days=40)
    done = do(bench, since, since + timedelta(hours=3))
    assert [one.event.time for one in done] == [since + timedelta(hours=n) for n in range(4)]
    assert {one.submission.state for one in done if one.submission} == {State.SUBMITTED}
    assert len(bench.workspace.bodies) == 4
    events = [one.event for one in done]
    assert all(one.time == two.window_start for one, two in pairwise(events))
    assert events[0].window_start == since - timedelta(hours=1)


def test_a_repeated_backfill_starts_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY)
    since = NOON - timedelta(hours=5)
    do(bench, since, NOON)
    again = preview_backfill(bench.app.services, "t", since=since, until=NOON)
    assert {one.step for one in again} == {Step.LEAVE}
    assert do(bench, since, NOON) == []
    assert len(bench.workspace.bodies) == 6


def test_two_backfills_at_once_start_each_occurrence_once(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY)
    other = bench.restarted()
    since = NOON - timedelta(hours=5)
    plans = [
        preview_backfill(one.app.services, "t", since=since, until=NOON) for one in (bench, other)
    ]
    for found, plan in zip((bench, other), plans, strict=True):
        list(run_backfill(found.app.services, plan))
    assert len(bench.workspace.bodies) == 6


def test_a_skipped_or_dead_occurrence_is_taken_over_and_rendered_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HOURLY)
    bench.app.tick()
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no", request_id="r")]
    bench.clock.advance(hours=1)
    bench.app.tick()
    bench.clock.advance(hours=2, minutes=30)
    bench.app.tick()
    states = sorted(one.state for one in bench.submissions())
    assert states == [State.DEAD, State.SKIPPED, State.SKIPPED]
    done = do(bench, NOON + timedelta(minutes=1), bench.clock.now())
    assert [one.submission.generation for one in done if one.submission] == [2, 2, 2]
    assert {one.submission.state for one in done if one.submission} == {State.SUBMITTED}
    assert any(b'"from":"2027-03-27T13:00:00Z"' in body for body in bench.workspace.bodies)
    assert do(bench, NOON, bench.clock.now())[1:] == []


def test_a_tick_after_a_backfill_starts_nothing_again(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY.replace("catch_up: none", "catch_up: all"))
    bench.app.tick()
    bench.clock.advance(hours=3)
    do(bench, NOON, bench.clock.now())
    count = len(bench.workspace.bodies)
    bench.app.tick()
    assert len(bench.workspace.bodies) == count == 4


def test_an_occurrence_that_cannot_be_started_is_reported_and_the_others_go_on(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HOURLY)
    do(bench, NOON - timedelta(hours=1), NOON)
    for one in bench.submissions():
        bench.app.services.ledger.submissions.update(one, dead_though_an_answer_was_lost)
    done = do(bench, NOON - timedelta(hours=2), NOON)
    assert [one.refusal is not None for one in done] == [False, True, True]


def dead_though_an_answer_was_lost(row: Submission) -> Submission:
    return replace(row, state=State.DEAD, due=None, run_id=None, unknown_since=NOON)


@pytest.mark.parametrize(
    ("name", "since", "until", "error", "message"),
    [
        ("t", NOON, NOON - timedelta(hours=1), InvalidRequest, "end is before its start"),
        ("t", NOON, NOON + timedelta(hours=1), InvalidRequest, "a backfill is for the past"),
        ("t", NOON - timedelta(days=999), NOON, InvalidRequest, f"more than {MAX_OCCURRENCES}"),
        ("other", NOON, NOON, WrongSource, "starts from http, not from a schedule"),
        ("none", NOON, NOON, NotFound, "there is no trigger of that name"),
        ("counted", NOON, NOON, NotAllowed, "counted from when the app first sees this schedule"),
    ],
)
def test_a_range_that_cannot_be_backfilled_is_an_error(
    make_bench: MakeBench,
    name: str,
    since: datetime,
    until: datetime,
    error: type[Exception],
    message: str,
) -> None:
    bench = make_bench(HOURLY)
    with pytest.raises(error, match=message):
        preview_backfill(bench.app.services, name, since=since, until=until)
    assert list(bench.table.view().page("trigger:", "trigger;").rows) == []


def test_a_schedule_counted_from_its_registration_goes_back_beyond_it(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HOURLY)
    bench.app.tick()
    found = preview_backfill(
        bench.app.services, "counted", since=NOON - timedelta(hours=11), until=NOON
    )
    assert [one.event.time for one in found] == [
        NOON - timedelta(hours=10), NOON - timedelta(hours=5), NOON,
    ]  # fmt: skip


def test_a_disabled_trigger_is_refused(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY)
    bench.app.tick()
    bench.table.view().transact([Merge("trigger:t", {"override": "false"})])
    with pytest.raises(NotAllowed, match="trigger t is disabled; enable it first"):
        preview_backfill(bench.app.services, "t", since=NOON, until=NOON)


def test_the_events_of_a_backfill_are_the_ticks(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = make_bench(HOURLY)
    bench.app.tick()
    bench.clock.advance(hours=1)
    bench.app.tick()
    (ticked,) = bench.submissions()
    (previewed,) = preview_backfill(
        bench.app.services, "t", since=NOON + timedelta(minutes=1), until=bench.clock.now()
    )
    assert isinstance(ticked.event, ScheduleEvent)
    assert previewed.event == ticked.event
    assert previewed.step is Step.LEAVE
