"""How a lost run is searched, and how a started one is polled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import WorkspaceUnavailable
from shared.core.events import HttpEvent
from shared.core.runs import RunFacts, SearchResult
from shared.core.submissions import State
from shared.engine.accept import accept
from shared.engine.runs import search
from tests.unit.engine.calls import LOST, TRIGGERS, start, stored, ticks

type MakeBench = Callable[..., Bench]


BLIND = SearchResult()


EMPTY = SearchResult(saw_reference=True)


def test_a_lost_run_that_is_found_is_adopted_and_nothing_is_sent_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST)
    bench.workspace.runs["found"] = RunFacts(
        id="found", status="Running", correlation_id=lost.correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=2))
    found = stored(bench, lost)
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
    found = stored(bench, lost)
    assert (found.run_id, found.duplicates) == ("r1", ("r2", "r3"))
    assert "run_duplicated" in {record.__dict__.get("action") for record in caplog.records}


def test_three_conclusive_searches_the_last_15_minutes_after_the_posts_end_send_it_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="reference")
    lost = start(bench, LOST)
    quiet_from = NOON + timedelta(minutes=3 + 15)  # 60 s of claim, 120 s of POST, 15 min
    ticks(bench, quiet_from - timedelta(minutes=1))
    assert len(bench.workspace.bodies) == 2
    assert stored(bench, lost).conclusive_searches >= 3
    ticks(bench, quiet_from + timedelta(minutes=12))
    assert stored(bench, lost).state in {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 3


def test_a_search_that_does_not_show_the_reference_run_is_not_conclusive(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="reference")
    lost = start(bench, LOST)
    bench.workspace.search_results = [BLIND] * 10_000
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    held = stored(bench, lost)
    assert held.state is State.HELD
    assert (held.reason or "").startswith("an answer was lost, and 1d of searching did not show")
    assert held.may_have_run
    assert len(bench.workspace.bodies) == 2


def test_without_a_reference_run_no_search_is_conclusive(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST)
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    assert stored(bench, lost).state is State.HELD
    assert len(bench.workspace.bodies) == 1


def test_two_conclusive_searches_are_not_enough(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="reference")
    lost = start(bench, LOST)
    bench.workspace.search_results = [EMPTY, EMPTY, *[BLIND] * 10_000]
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=5))
    assert stored(bench, lost).state is State.HELD


def test_two_instances_that_search_at_once_count_one_search(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, key="reference")
    lost = start(bench, LOST)
    ticks(bench, NOON + timedelta(minutes=1))
    bench.clock.advance(minutes=5)
    seen = stored(bench, lost)
    assert seen.conclusive_searches == 0
    search(bench.app.services, seen)
    search(bench.app.services, seen)
    assert stored(bench, lost).conclusive_searches == 1


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


def test_a_run_is_polled_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    correlation_id = sent.correlation_id
    bench.workspace.runs["run-1"] = RunFacts(
        id="run-1", status="Running", correlation_id=correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=3))
    assert (stored(bench, sent).state, stored(bench, sent).run_status) == (
        State.SUBMITTED,
        "Running",
    )
    bench.workspace.runs["run-1"] = RunFacts(
        id="run-1", status="Finished", correlation_id=correlation_id
    )
    ticks(bench, NOON + timedelta(minutes=30))
    done = stored(bench, sent)
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
    done = stored(bench, sent)
    assert (done.state, done.run_status, done.reason) == (
        State.FINISHED,
        "Failed",
        "a step failed",
    )


def test_a_run_is_polled_less_and_less_often(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Running")
    ticks(bench, NOON + timedelta(hours=2))
    asked = sum(verb == "status" for verb, _ in bench.workspace.asked)
    assert 10 < asked < 25
    before = len(bench.workspace.asked)
    ticks(bench, NOON + timedelta(hours=3))
    assert len(bench.workspace.asked) - before == 6


def test_a_workspace_that_does_not_answer_is_asked_again(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.failure = WorkspaceUnavailable("down")
    ticks(bench, NOON + timedelta(minutes=5))
    assert stored(bench, sent).state is State.SUBMITTED
    bench.workspace.failure = None
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Completed")
    ticks(bench, NOON + timedelta(minutes=20))
    assert stored(bench, sent).run_status == "Completed"
