"""One call of the timer function: the occurrences that it claims, and those that it leaves to the next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.testing.app import HEAD, NOON, Bench, bench
from local.testing.memory_table import Fault
from local.testing.threads import start_inline
from shared.core.errors import LedgerUnavailable
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.engine.accept import accept as accept_event
from shared.engine.services import Services
from shared.engine.tick import tick as tick_module
from shared.engine.tick.housekeeping import REPAIR_ROWS
from shared.ledger.table.guarded import WRITE_TRIES
from shared.ledger.table.protocol import Insert, Merge, Value

type MakeBench = Callable[..., Bench]

EVERY_15 = """
every-15-minutes:
  pipeline: scoring
  schedule: {frequency: minute, interval: 15}
"""
AT_START = EVERY_15.replace("interval: 15", "interval: 15, run_at_start: true")
CRON = """
half-past:
  pipeline: scoring
  schedule: {cron: "30 * * * *"}
"""


def times(found: Bench) -> list[datetime]:
    """The occurrences that run."""
    ran = [one for one in found.submissions() if one.state is not State.SKIPPED]
    return sorted(submission.event.time for submission in ran)


def ticks(found: Bench, minutes: int, *, every: int = 1) -> None:
    for _ in range(0, minutes, every):
        found.clock.advance(minutes=every)
        found.app.tick()


def test_an_interval_counts_from_the_registration_cut_to_the_minute(make_bench: MakeBench) -> None:
    bench = make_bench(EVERY_15)
    bench.clock.advance(seconds=20)
    bench.app.tick()
    ticks(bench, 45)
    assert times(bench) == [NOON + timedelta(minutes=15 * n) for n in (1, 2, 3)]
    assert len(bench.workspace.bodies) == 3


def test_run_at_start_runs_once_at_the_registration(make_bench: MakeBench) -> None:
    bench = make_bench(AT_START)
    bench.clock.advance(seconds=20)
    bench.app.tick()
    ticks(bench, 16)
    assert times(bench) == [NOON, NOON + timedelta(minutes=15)]


def test_run_at_start_does_not_run_again_after_a_restart(make_bench: MakeBench) -> None:
    bench = make_bench(AT_START)
    bench.app.tick()
    again = bench.restarted()
    bench.clock.advance(seconds=30)
    again.app.tick()
    assert times(bench) == [NOON]


def test_run_at_start_of_a_trigger_that_came_later_runs_though_ticks_went_before(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(CRON)
    bench.clock.advance(seconds=30)
    bench.app.tick()
    bench.clock.advance(seconds=20)
    later = bench.restarted(file=write_triggers(CRON + AT_START))
    later.app.tick()
    assert times(bench) == [NOON]


def test_a_cron_fires_at_its_minutes_and_not_before_its_registration(make_bench: MakeBench) -> None:
    bench = make_bench(CRON)
    bench.app.tick()
    ticks(bench, 120)
    assert times(bench) == [NOON + timedelta(minutes=30), NOON + timedelta(minutes=90)]


def test_of_missed_occurrences_the_latest_runs(make_bench: MakeBench) -> None:
    bench = make_bench(EVERY_15)
    bench.app.tick()
    bench.clock.advance(days=2, minutes=5)
    bench.app.tick()
    assert times(bench) == [NOON + timedelta(days=2)]


def test_two_instances_that_tick_at_once_start_one_run(make_bench: MakeBench) -> None:
    bench = make_bench(EVERY_15)
    other = bench.restarted()
    bench.app.tick()
    bench.clock.advance(minutes=15)
    bench.app.tick()
    other.app.tick()
    assert len(bench.workspace.bodies) == 1


def test_a_clock_that_jumps_back_repeats_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(EVERY_15)
    bench.app.tick()
    ticks(bench, 30)
    bench.clock.advance(hours=-1)
    ticks(bench, 60)
    assert times(bench) == [NOON + timedelta(minutes=15), NOON + timedelta(minutes=30)]
    assert len(bench.workspace.bodies) == 2


def test_an_occurrence_that_a_tick_could_not_claim_is_claimed_by_the_next(
    make_bench: MakeBench,
) -> None:
    broken: list[Fault] = []
    bench = make_bench(
        EVERY_15, fault=lambda call: broken[0] if broken and call == "transact" else None
    )
    bench.app.tick()
    bench.clock.advance(minutes=15)
    broken.append(Fault.NOT_CARRIED_OUT)
    with pytest.raises(LedgerUnavailable):
        bench.app.tick()
    broken.clear()
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert times(bench) == [NOON + timedelta(minutes=15)]


def test_a_claim_from_before_the_ledger_failed_is_sent(make_bench: MakeBench) -> None:
    transactions: list[int] = []
    due = [False]

    def fault(call: str) -> Fault | None:
        if call != "transact" or not due[0]:
            return None
        transactions.append(1)
        second_claim = 1 < len(transactions) <= 1 + WRITE_TRIES
        return Fault.NOT_CARRIED_OUT if second_claim else None

    found = make_bench(
        """
        first: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
        second: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
        """,
        fault=fault,
    )
    found.app.tick()
    found.clock.advance(minutes=30)
    due[0] = True
    with pytest.raises(LedgerUnavailable):
        found.app.tick()
    assert [row.trigger for row in found.submissions()] == ["first"]
    assert len(found.workspace.bodies) == 1
    found.app.tick()
    assert {row.trigger for row in found.submissions()} == {"first", "second"}


def test_a_refused_post_of_one_trigger_does_not_delay_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(
        """
        first: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
        second: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
        """
    )
    bench.app.tick()
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no", request_id="r")]
    bench.clock.advance(minutes=30)
    report = bench.app.tick()
    assert {found.state for found in report.sent} == {State.DEAD, State.SUBMITTED}


def test_a_changed_schedule_starts_nothing_of_the_past(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(EVERY_15)
    bench.app.tick()
    bench.clock.advance(minutes=50)
    changed = bench.restarted(
        file=write_triggers(EVERY_15.replace("15", "20").replace("every-20", "every-15"))
    )
    changed.app.tick()
    assert times(bench) == []
    ticks(changed, 20)
    assert times(bench) == [NOON + timedelta(minutes=70)]


def test_an_idle_tick_with_1000_triggers_takes_few_storage_calls(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(
        HEAD
        + "".join(
            f'  t-{n}: {{pipeline: scoring, schedule: {{cron: "0 0 1 1 *"}}}}\n'
            for n in range(1000)
        )
    )
    found = bench(file)
    found.app.tick()
    before = found.table.calls.copy()
    found.clock.advance(minutes=1)
    found.app.tick()
    assert found.table.calls - before == {"page": 5, "transact": 1}


# Threads would make thousands of ticks slow on a busy machine, and the law does not depend on them.
@mock.patch("shared.engine.threads.Threads.start", start_inline)
@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(1, 500), min_size=1, max_size=12),
    restarts=st.sets(st.integers(0, 11)),
)
@pytest.mark.large
def test_no_cut_of_time_into_ticks_makes_an_occurrence_run_twice_or_off_schedule(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], restarts: set[int]
) -> None:
    file = tmp_path_factory.mktemp("file") / "triggers.yaml"
    file.write_text(HEAD + "  t: {pipeline: scoring, schedule: {frequency: minute, interval: 7}}\n")
    found = bench(file)
    found.app.tick()
    for number, minutes in enumerate(cuts):
        if number in restarts:
            found = found.restarted()
        found.clock.advance(minutes=minutes)
        found.app.tick()
        latest = NOON + (found.clock.now() - NOON) // timedelta(minutes=7) * timedelta(minutes=7)
        if latest > NOON:
            assert times(found)[-1] == latest
    assert len(set(times(found))) == len(times(found)) == len(found.workspace.bodies)
    every = [submission.event.time for submission in found.submissions()]
    assert sorted(every) == [NOON + k * timedelta(minutes=7) for k in range(1, len(every) + 1)]
    assert max(every, default=NOON) + timedelta(minutes=7) > found.clock.now()


def test_a_tick_records_when_it_was(make_bench: MakeBench) -> None:
    bench = make_bench(EVERY_15)
    bench.app.tick()
    tick = bench.app.services.ledger.tick.read()
    assert tick.last == NOON
    assert [one.watermark for one in tick.versions.values()] == [NOON]
    assert NOON.tzinfo is UTC


TWO = """
first: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
second: {pipeline: scoring, schedule: {cron: "30 * * * *"}}
"""


def test_a_trigger_with_an_edited_row_does_not_stop_the_others(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    (key,) = [row.key for row in bench.table.page("trigger:first:", "trigger:first;").rows]
    bench.table.transact([Merge(key, {"registered_at": "yesterday"})])
    bench.clock.advance(minutes=30)
    bench.app.tick()
    assert [found.trigger for found in bench.submissions()] == ["second"]
    actions = {record.__dict__.get("action") for record in caplog.records}
    assert "trigger_unreadable" in actions


def test_an_occurrence_with_an_edited_row_does_not_stop_the_others(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    event = ScheduleEvent(trigger="first", time=NOON + timedelta(minutes=30))
    bench.table.transact(
        [Insert(f"sub:{deduplication_key(event)}", {"schema": 1, "state": "dreaming"})]
    )
    bench.clock.advance(minutes=30)
    report = bench.app.tick()
    assert [found.trigger for found in report.sent] == ["second"]


def test_an_unexpected_error_of_one_trigger_does_not_stop_the_others_and_is_retried(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    real = accept_event

    def accept(services: Services, event: ScheduleEvent) -> object:
        if event.trigger == "first":
            raise ZeroDivisionError("a bug")
        return real(services, event)

    monkeypatch.setattr(tick_module, "accept", accept)
    bench.clock.advance(minutes=30)
    with pytest.raises(ExceptionGroup, match="unexpected errors"):
        bench.app.tick()
    assert [found.trigger for found in bench.submissions()] == ["second"]
    monkeypatch.undo()
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert {found.trigger for found in bench.submissions()} == {"first", "second"}
    assert len(bench.workspace.bodies) == 2


@pytest.mark.large
def test_an_idle_tick_costs_the_same_with_a_million_past_submissions(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(
        HEAD
        + "".join(
            f'  t-{n}: {{pipeline: scoring, schedule: {{cron: "0 0 1 1 *"}}}}\n'
            for n in range(1000)
        )
    )
    found = bench(file)
    found.app.tick()
    past: dict[str, Value] = {"schema": 1, "state": "finished"}
    found.table.load({f"{kind}:{n:08}": past for n in range(1_000_000) for kind in ("sub", "log")})
    before, read = found.table.calls.copy(), found.table.rows_read
    found.clock.advance(minutes=1)
    found.app.tick()
    assert (found.table.calls - before).total() <= 6
    assert found.table.rows_read - read <= 2 + 1000 + REPAIR_ROWS
