"""What a tick does with submissions that are due: sending again, searching, following; fairly, and each on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable, WorkspaceUnavailable
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts, SearchResult
from shared.core.submissions import State, Submission
from shared.engine.accept import accept
from shared.engine.runs import search
from shared.engine.send import resend
from shared.engine.tick.due import fair
from shared.ledger.table.protocol import Delete, Merge, Row
from shared.operations.submissions import start as start_event

type MakeBench = Callable[..., Bench]

TRIGGERS = """
call: {pipeline: scoring, http: {}}
patient: {pipeline: scoring, http: {}, give_up_after: 2h}
careful: {pipeline: scoring, http: {}, on_unknown: hold}
eager: {pipeline: scoring, http: {}, on_unknown: resend}
"""

REFUSED = Outcome(kind=OutcomeKind.NOT_STARTED, message="refused")
LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")
BLIND = SearchResult()
EMPTY = SearchResult(saw_reference=True)


def start(bench: Bench, *outcomes: Outcome, trigger: str = "call", key: str = "k") -> Submission:
    bench.workspace.outcomes = list(outcomes)
    event = HttpEvent(trigger=trigger, time=bench.clock.now(), key=("key", key))
    result = start_event(bench.app.services, event)
    assert isinstance(result, Submission)
    return result


def now(bench: Bench, submission: Submission) -> Submission:
    found = bench.app.services.ledger.submissions.get(submission.id)
    assert found is not None
    return found


def ticks(bench: Bench, until: datetime, *, every: timedelta = timedelta(minutes=1)) -> None:
    while bench.clock.now() < until:
        bench.clock.time = min(bench.clock.now() + every, until)
        bench.app.tick()


# Sending again


def test_what_was_not_started_is_sent_again_when_it_is_due_and_not_before(
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
    assert now(bench, sent).state is State.SUBMITTED
    assert len(bench.workspace.bodies) == 2
    assert bench.workspace.bodies[0] == bench.workspace.bodies[1]


def test_tries_wait_longer_and_longer_until_it_is_given_up(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, *[REFUSED] * 500, trigger="patient")
    ticks(bench, NOON + timedelta(hours=3))
    dead = now(bench, sent)
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
    assert now(bench, sent).state is State.SUBMITTED


def test_two_instances_that_tick_at_once_send_it_once(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, REFUSED)
    bench.clock.advance(minutes=1)
    pending = now(bench, sent)
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
    assert now(bench, sent).state is State.HELD
    assert len(bench.workspace.bodies) == 1


# Searching


def test_a_lost_run_that_is_found_is_adopted_and_nothing_is_sent_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST)
    bench.workspace.runs["found"] = RunFacts(
        id="found", status="Running", correlation_id=lost.correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=2))
    found = now(bench, lost)
    assert (found.state, found.run_id, found.run_status) == (State.SUBMITTED, "found", "Running")
    assert len(bench.workspace.bodies) == 1


def test_of_several_runs_the_oldest_is_adopted_and_the_others_are_duplicates(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST)
    for number in (2, 1, 3):
        bench.workspace.runs[f"r{number}"] = RunFacts(
            id=f"r{number}",
            correlation_id=lost.correlation_id,
            created=NOON + timedelta(seconds=number),
        )
    ticks(bench, NOON + timedelta(minutes=2))
    found = now(bench, lost)
    assert (found.run_id, found.duplicates) == ("r1", ("r2", "r3"))
    assert "run_duplicated" in {record.__dict__.get("action") for record in caplog.records}


def test_three_searches_that_count_the_last_15_minutes_after_the_posts_end_send_it_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="neighbour")
    lost = start(bench, LOST)
    quiet_from = NOON + timedelta(minutes=3 + 15)  # 60 s of claim, 120 s of POST, 15 min
    ticks(bench, quiet_from - timedelta(minutes=1))
    assert len(bench.workspace.bodies) == 2
    assert now(bench, lost).conclusive_searches >= 3
    ticks(bench, quiet_from + timedelta(minutes=12))
    assert now(bench, lost).state in {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 3


def test_a_search_that_does_not_see_the_newest_known_run_proves_nothing(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="neighbour")
    lost = start(bench, LOST)
    bench.workspace.conclusive_searches = [BLIND] * 10_000
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    held = now(bench, lost)
    assert held.state is State.HELD
    assert (held.reason or "").startswith("an answer was lost, and 1d of searching did not show")
    assert held.may_have_run
    assert len(bench.workspace.bodies) == 2


def test_without_any_known_run_in_the_experiment_no_search_counts(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST)
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    assert now(bench, lost).state is State.HELD
    assert len(bench.workspace.bodies) == 1


def test_two_searches_that_count_are_not_enough(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="neighbour")
    lost = start(bench, LOST)
    bench.workspace.conclusive_searches = [EMPTY, EMPTY, *[BLIND] * 10_000]
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    assert now(bench, lost).state is State.HELD


def test_two_instances_that_search_at_once_count_one_look(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="neighbour")
    lost = start(bench, LOST)
    ticks(bench, NOON + timedelta(minutes=1))
    bench.clock.advance(minutes=5)
    seen = now(bench, lost)
    assert seen.conclusive_searches == 0
    search(bench.app.services, seen)
    search(bench.app.services, seen)
    assert now(bench, lost).conclusive_searches == 1


def test_a_crash_between_claim_and_settle_is_searched_when_its_lease_runs_out(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    event = HttpEvent(trigger="call", time=NOON, key=("key", "k"))
    claimed = accept(bench.app.services, event)
    assert bench.submissions()[0].state is State.SUBMITTING
    ticks(bench, NOON + timedelta(minutes=9))
    assert bench.submissions()[0].state is State.SUBMITTING
    bench.workspace.runs["r"] = RunFacts(
        id="r", correlation_id=bench.submissions()[0].correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=12))
    assert bench.submissions()[0].run_id == "r"
    assert bench.workspace.bodies == []
    assert claimed is not None


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
    assert now(bench, lost).state in {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 2


# Following


def test_a_run_is_followed_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    correlation_id = sent.correlation_id
    bench.workspace.runs["run-1"] = RunFacts(
        id="run-1", status="Running", correlation_id=correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=3))
    assert (now(bench, sent).state, now(bench, sent).run_status) == (State.SUBMITTED, "Running")
    bench.workspace.runs["run-1"] = RunFacts(
        id="run-1", status="Finished", correlation_id=correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=30))
    done = now(bench, sent)
    assert (done.state, done.run_status, done.reason, done.due) == (
        State.FINISHED,
        "Finished",
        None,
        None,
    )


def test_a_failed_run_is_finished_with_its_error(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Failed", error="a step failed")
    ticks(bench, NOON + timedelta(minutes=2))
    done = now(bench, sent)
    assert (done.state, done.run_status, done.reason) == (
        State.FINISHED,
        "Failed",
        "a step failed",
    )


def test_a_run_is_asked_for_less_and_less_often(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Running")
    ticks(bench, NOON + timedelta(hours=2))
    asked = sum(verb == "status" for verb, _ in bench.workspace.asked)
    assert 10 < asked < 25
    before = len(bench.workspace.asked)
    ticks(bench, NOON + timedelta(hours=3))
    assert len(bench.workspace.asked) - before == 6


def test_a_run_that_azure_ml_no_longer_knows_is_held(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.runs.clear()
    ticks(bench, NOON + timedelta(minutes=2))
    held = now(bench, sent)
    assert held.state is State.HELD
    assert held.reason == "its run cannot be polled: Azure ML does not know run run-1"


def test_a_status_that_nobody_documented_is_held(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Levitating")
    ticks(bench, NOON + timedelta(minutes=2))
    held = now(bench, sent)
    assert held.state is State.HELD
    assert held.reason == "the run's status 'Levitating' is not documented"


def test_a_workspace_that_does_not_answer_is_asked_again(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.failure = WorkspaceUnavailable("down")
    ticks(bench, NOON + timedelta(minutes=5))
    assert now(bench, sent).state is State.SUBMITTED
    bench.workspace.failure = None
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Completed")
    ticks(bench, NOON + timedelta(minutes=20))
    assert now(bench, sent).run_status == "Completed"


# The tick


def test_an_edited_row_is_held_with_the_reason_and_the_others_go_on(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    broken = start(bench, REFUSED, key="broken")
    other = start(bench, REFUSED, key="other")
    bench.table.transact([Merge(f"sub:{broken.id}", {"state": "dreaming"})])
    bench.clock.advance(minutes=1)
    bench.app.tick()
    held = now(bench, broken)
    assert held.state is State.HELD
    assert "cannot be read" in (held.reason or "")
    assert now(bench, other).state is State.SUBMITTED


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
    assert now(bench, other).state is State.SUBMITTED


def test_a_due_row_that_leads_nowhere_is_removed(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    gone = start(bench, REFUSED)
    bench.table.transact([Delete(f"sub:{gone.id}")])
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert list(bench.app.services.ledger.due.page(bench.clock.now()).rows) == []


def test_an_unexpected_error_of_one_does_not_keep_the_others_and_is_loud(
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
    assert now(bench, first).state is State.SUBMITTED
    assert now(bench, second).state is State.SUBMITTED


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
    assert now(bench, sent).state is State.SUBMITTED


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
    assert pages <= 10 + 3  # due rows, triggers, the repair walk, the count of attention rows
    assert bench.table.rows_read - read <= 10_000 + 100 + 4
    assert bench.table.calls["get"] - calls["get"] <= 10_000 + 1
    assert (
        bench.table.calls["transact"] - calls["transact"] <= 20_000 + 2
    )  # the end of the tick, and the first sight


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
    assert now(bench, sent).state is State.PENDING
    bench.clock.advance(hours=2)
    bench.app.tick()
    assert now(bench, sent).state is State.SUBMITTED
