"""How a tick works off what is due: in time, fairly, and each submission on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.engine.send import resend
from shared.engine.tick.due import fair
from shared.ledger.table.protocol import Delete, Merge, Row
from tests.unit.engine.calls import LOST, REFUSED, TRIGGERS, start, stored, ticks

type MakeBench = Callable[..., Bench]


def test_a_submission_that_was_not_started_is_sent_again_when_it_is_due_and_not_before(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    throttled = Outcome(
        kind=OutcomeKind.THROTTLED, message="slow", retry_after=timedelta(minutes=5)
    )
    sent = start(bench, throttled)
    assert sent.due == NOON + timedelta(minutes=5)
    ticks(bench, NOON + timedelta(minutes=4))
    assert len(bench.workspace.bodies) == 1
    ticks(bench, NOON + timedelta(minutes=5))
    assert stored(bench, sent).state is State.SUBMITTED
    assert len(bench.workspace.bodies) == 2
    assert bench.workspace.bodies[0] == bench.workspace.bodies[1]


def test_waits_between_tries_grow_until_the_app_gives_up(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, *[REFUSED] * 500, trigger="patient")
    ticks(bench, NOON + timedelta(hours=3))
    dead = stored(bench, sent)
    assert dead.state is State.DEAD
    assert dead.reason == "given up after 2h: refused"
    assert dead.updated == NOON + timedelta(hours=2)
    assert 5 < len(bench.workspace.bodies) < 121
    assert dead.due is None


def test_a_restart_in_between_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, REFUSED)
    bench.clock.advance(minutes=1)
    bench.restarted().app.tick()
    assert stored(bench, sent).state is State.SUBMITTED


def test_two_instances_that_tick_at_once_send_it_once(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, REFUSED)
    bench.clock.advance(minutes=1)
    pending = stored(bench, sent)
    assert resend(bench.app.services, pending) is not None
    assert resend(bench.app.services, pending) is None
    assert len(bench.workspace.bodies) == 2


def test_a_pending_submission_whose_endpoint_changed_is_held(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, REFUSED)
    file = write_triggers(TRIGGERS)
    file.write_text(file.read_text().replace("/PipelineSubmit/1", "/PipelineSubmit/2"))
    bench.clock.advance(minutes=1)
    bench.restarted(file=file).app.tick()
    assert stored(bench, sent).state is State.HELD
    assert len(bench.workspace.bodies) == 1


def test_on_unknown_hold_lets_a_person_decide_at_once(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    assert (held.state, held.reason) == (State.HELD, "lost (the trigger says on_unknown: hold)")
    assert held.may_have_run


def test_on_unknown_resend_sends_again(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="eager")
    assert lost.state is State.PENDING
    ticks(bench, NOON + timedelta(minutes=2))
    assert stored(bench, lost).state in {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 2


def test_an_edited_row_is_held_with_the_reason_and_the_others_go_on(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    broken = start(bench, REFUSED, key="broken")
    other = start(bench, REFUSED, key="other")
    bench.table.transact([Merge(f"sub:{broken.id}", {"state": "dreaming"})])
    bench.clock.advance(minutes=1)
    bench.app.tick()
    held = stored(bench, broken)
    assert held.state is State.HELD
    assert "cannot be read" in (held.reason or "")
    assert stored(bench, other).state is State.SUBMITTED


def test_a_row_of_a_newer_version_is_left_alone_and_counted(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    newer = start(bench, REFUSED, key="newer")
    other = start(bench, REFUSED, key="other")
    bench.table.transact([Merge(f"sub:{newer.id}", {"schema": 99})])
    before = bench.table.get(f"sub:{newer.id}")
    bench.clock.advance(minutes=1)
    report = bench.app.tick()
    assert (report.due.newer, report.due.done) == (1, 1)
    assert bench.table.get(f"sub:{newer.id}") == before
    assert stored(bench, other).state is State.SUBMITTED


def test_a_due_row_that_leads_nowhere_is_removed(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    gone = start(bench, REFUSED)
    bench.table.transact([Delete(f"sub:{gone.id}")])
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert list(bench.app.services.ledger.due.page(bench.clock.now()).rows) == []


def test_an_unexpected_error_of_one_submission_does_not_stop_the_others_and_is_raised(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(TRIGGERS)
    first = start(bench, key="first")
    second = start(bench, REFUSED, key="second")
    bench.workspace.failure = ZeroDivisionError("a bug")
    bench.clock.advance(minutes=1)
    with pytest.raises(ExceptionGroup, match="unexpected errors") as raised:
        bench.app.tick()
    assert [type(error) for error in raised.value.exceptions] == [ZeroDivisionError]
    assert stored(bench, first).state is State.SUBMITTED
    assert stored(bench, second).state is State.SUBMITTED


def test_a_ledger_that_fails_in_the_middle_fails_the_tick_and_loses_nothing(
    make_bench: MakeBench,
) -> None:
    broken: list[Fault] = []
    bench = make_bench(TRIGGERS, fault=lambda call: broken[0] if broken and call == "get" else None)
    sent = start(bench, REFUSED)
    bench.clock.advance(minutes=1)
    broken.append(Fault.NOT_CARRIED_OUT)
    with pytest.raises(LedgerUnavailable):
        bench.app.tick()
    broken.clear()
    bench.app.tick()
    assert stored(bench, sent).state is State.SUBMITTED


def test_a_tick_stops_when_its_time_is_over_and_the_next_one_goes_on(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(40):
        start(bench, REFUSED, key=str(number))
    bench.clock.advance(minutes=1)
    bench.workspace.slowness = (bench.clock, 5)
    report = bench.app.tick()
    assert report.due.left
    assert 0 < report.due.done < 40
    for _ in range(10):
        bench.clock.advance(minutes=1)
        report = bench.app.tick()
    assert {found.state for found in bench.submissions()} <= {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 80


@pytest.mark.large
def test_a_backlog_of_10000_is_worked_off_without_reading_a_row_twice(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="shared")
    bench = make_bench(TRIGGERS)
    for number in range(10_000):
        start(bench, REFUSED, key=str(number))
    bench.clock.advance(minutes=1)
    calls, read = bench.table.calls.copy(), bench.table.rows_read
    report = bench.app.tick()
    assert (report.due.done, report.due.left) == (10_000, False)
    pages = bench.table.calls["page"] - calls["page"]
    assert (
        pages <= 10 + 4
    )  # due rows, ticks, triggers, the repair walk, the count of attention rows
    assert bench.table.rows_read - read <= 10_000 + 100 + 4
    assert bench.table.calls["get"] - calls["get"] <= 10_000 + 1
    assert (
        bench.table.calls["transact"] - calls["transact"] <= 20_000 + 2
    )  # the end of the tick, and the registration


def test_a_triggers_backlog_does_not_hold_up_the_others() -> None:
    rows = [Row(f"due:1:{n:03}", {"trigger": "busy", "state": "pending"}, "") for n in range(100)]
    rows.append(Row("due:2:a", {"trigger": "quiet", "state": "pending"}, ""))
    rows.append(Row("due:2:b", {"trigger": "quiet", "state": "submitted"}, ""))
    order = [row.key for row in fair(rows)]
    assert order.index("due:2:a") <= 1
    assert sorted(order) == sorted(row.key for row in rows)


def test_a_clock_that_jumps_back_an_hour_breaks_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, REFUSED)
    bench.clock.advance(hours=-1)
    bench.app.tick()
    assert stored(bench, sent).state is State.PENDING
    bench.clock.advance(hours=2)
    bench.app.tick()
    assert stored(bench, sent).state is State.SUBMITTED
