"""What is within the catch-up window when the app comes back runs, however long catching up takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.submissions import State
from shared.core.trigger_state import TriggerState
from shared.engine.tick import occurrences
from shared.ledger.table.protocol import Merge

type MakeBench = Callable[..., Bench]

HOUR_WINDOW = (
    't: {pipeline: scoring, schedule: {cron: "* * * * *", catch_up: all, catch_up_window: 1h}}\n'
)


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tick catch up two runs and nine skipped occurrences."""
    monkeypatch.setattr(occurrences, "RUNS_PER_TICK", 2)
    monkeypatch.setattr(occurrences, "SKIPS_PER_TICK", 9)


def minutes(found: Bench, state: State) -> set[int]:
    return {
        int((one.event.time - NOON).total_seconds()) // 60
        for one in found.submissions()
        if one.state is state
    }


def state_of(found: Bench) -> TriggerState:
    triggers = found.app.services.ledger.triggers
    return triggers.read_states([found.config.triggers["t"].registration(NOON)])["t"]


def catch_up(found: Bench, *, every: int) -> datetime:
    """Tick every so many minutes until nothing is left."""
    for _ in range(400):
        found.app.tick()
        if state_of(found).watermark is None:
            return found.clock.now()
        found.clock.advance(minutes=every)
    pytest.fail("it never caught up")


def test_ticks_that_come_slowly_pass_by_nothing_that_was_within_the_window(
    make_bench: MakeBench,
) -> None:
    found = make_bench(HOUR_WINDOW)
    found.app.tick()
    found.clock.advance(minutes=90)
    for _ in range(30):
        found.app.tick()
        found.clock.advance(minutes=3)
    ran = minutes(found, State.SUBMITTED)
    assert min(ran) == 30
    assert set(range(30, 30 + len(ran))) == ran
    assert minutes(found, State.SKIPPED) == set(range(1, 30))
    start = state_of(found).catch_up_from
    assert start == NOON + timedelta(minutes=30)
    for _ in range(150):
        found.app.tick()
        found.clock.advance(minutes=1)
    assert minutes(found, State.SUBMITTED) >= set(range(30, 91))


def test_the_windows_start_is_forgotten_with_the_watermark(make_bench: MakeBench) -> None:
    found = make_bench(HOUR_WINDOW)
    found.app.tick()
    found.clock.advance(minutes=20)
    found.app.tick()
    assert state_of(found).catch_up_from == NOON - timedelta(minutes=40)
    catch_up(found, every=1)
    assert state_of(found).catch_up_from is None


def test_a_second_outage_has_a_window_of_its_own_and_keeps_what_was_promised(
    make_bench: MakeBench,
) -> None:
    found = make_bench(HOUR_WINDOW)
    found.app.tick()
    found.clock.advance(minutes=90)
    found.app.tick()
    while min(minutes(found, State.SUBMITTED), default=0) == 0:
        found.app.tick()
    found.clock.advance(minutes=300)  # it is 18:30, and 12:30 to 13:30 was promised
    catch_up(found, every=0)
    assert minutes(found, State.SUBMITTED) == {*range(30, 91), *range(330, 391)}
    assert minutes(found, State.SKIPPED) == {*range(1, 30), *range(91, 330)}


def test_a_trigger_that_could_not_be_evaluated_has_the_window_of_its_return(
    make_bench: MakeBench,
) -> None:
    found = make_bench(HOUR_WINDOW)
    found.app.tick()
    (row,) = found.table.rows("trigger:t:")
    registered_at = str(row.values["registered_at"])
    found.table.view().transact([Merge(row.key, {"registered_at": "yesterday"})])
    found.clock.advance(minutes=10)
    found.app.tick()
    found.clock.advance(minutes=290)
    found.table.view().transact([Merge(row.key, {"registered_at": registered_at})])
    catch_up(found, every=0)
    assert minutes(found, State.SUBMITTED) == set(range(240, 301))


@pytest.mark.parametrize("policy", ["latest", "none"])
def test_other_policies_are_as_they_were(make_bench: MakeBench, policy: str) -> None:
    window = "" if policy == "none" else ", catch_up_window: 1h"
    found = make_bench(
        f't: {{pipeline: scoring, schedule: {{cron: "* * * * *", catch_up: {policy}{window}}}}}\n'
    )
    found.app.tick()
    found.clock.advance(minutes=90)
    end = catch_up(found, every=1)
    count = int((end - NOON).total_seconds()) // 60
    ran = minutes(found, State.SUBMITTED)
    assert ran | minutes(found, State.SKIPPED) == set(range(1, count + 1))
    assert min(ran) >= 88
