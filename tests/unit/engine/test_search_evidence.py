"""What shows that a search is current: the reference run of the experiment, or a newer run of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from local.testing.app import ENDPOINT, NOON, Bench
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts, SearchResult
from shared.core.submissions import State
from shared.engine.runs import search
from shared.operations.submissions import drop, replay
from tests.unit.engine.calls import LOST, start, stored, ticks

type MakeBench = Callable[..., Bench]

TRIGGERS = """
daily: {pipeline: scoring, http: {}, experiment: daily}
hourly: {pipeline: scoring, http: {}, experiment: hourly}
"""
ELSEWHERE = "elsewhere: {pipeline: elsewhere, http: {}, experiment: elsewhere}"
WHY = "run history: Azure ML answered 503; the run list: shows no run that is known to exist"


def finish_runs(bench: Bench) -> None:
    """Let all runs have ended, so that ticks need not poll them."""
    for run_id, run in bench.workspace.runs.items():
        bench.workspace.runs[run_id] = RunFacts(
            id=run_id, status="Finished", correlation_id=run.correlation_id
        )


def test_a_daily_pipeline_is_sent_again_if_another_run_shows_that_the_search_is_current(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, trigger="daily", key="yesterday")
    finish_runs(bench)
    bench.clock.advance(days=1)
    lost = start(bench, LOST, trigger="daily", key="today")
    ticks(bench, bench.clock.now() + timedelta(minutes=30))
    assert stored(bench, lost).state is State.UNKNOWN  # yesterday's run shows nothing about today
    start(bench, trigger="hourly")
    finish_runs(bench)
    ticks(bench, bench.clock.now() + timedelta(minutes=40))
    again = stored(bench, lost)
    assert again.state in {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 4


def test_the_first_run_of_an_experiment_is_sent_again_too(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    bench.clock.advance(minutes=5)
    start(bench, trigger="hourly")
    ticks(bench, NOON + timedelta(minutes=60))
    assert stored(bench, lost).run_id is not None


def test_a_run_that_started_before_the_post_ended_shows_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    bench.clock.advance(minutes=2)  # the POST may last until minute 3
    start(bench, trigger="hourly")
    finish_runs(bench)
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=10))
    assert stored(bench, lost).state is State.HELD
    assert len(bench.workspace.bodies) == 2


def test_a_run_of_another_workspace_shows_nothing(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    file = write_triggers(TRIGGERS + ELSEWHERE)
    endpoint = ENDPOINT.replace("/workspaces/w/", "/workspaces/other/")
    pipeline = f"pipelines:\n  elsewhere: {{kind: published_pipeline, endpoint: {endpoint}}}\n"
    file.write_text(file.read_text().replace("pipelines:\n", pipeline))
    after = bench.restarted(file=file)
    after.clock.advance(minutes=5)
    start(after, trigger="elsewhere")
    finish_runs(after)
    ticks(after, NOON + timedelta(hours=25), every=timedelta(minutes=10))
    assert stored(after, lost).state is State.HELD


def test_the_newer_run_is_not_asked_for_if_the_experiments_own_reference_is_newer(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(TRIGGERS)
    asked: list[object] = []

    def record(*_: object, **query: object) -> SearchResult:
        asked.append(query["newer"])
        return SearchResult()

    monkeypatch.setattr(bench.workspace, "search", record)
    lost = start(bench, LOST, trigger="daily")
    bench.clock.advance(minutes=10)
    newer = start(bench, trigger="hourly")
    search(bench.app.services, stored(bench, lost))
    own = start(bench, trigger="daily", key="another")
    search(bench.app.services, stored(bench, lost))
    assert own.run_id is not None
    assert [getattr(one, "correlation_id", None) for one in asked] == [newer.correlation_id, None]


# A person sees why it waits


def test_the_reason_says_why_the_last_search_was_not_conclusive(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    bench.workspace.search_results = [SearchResult(inconclusive=WHY)] * 1000
    ticks(bench, NOON + timedelta(minutes=5))
    waiting = stored(bench, lost)
    assert waiting.reason == f"lost; the last search was not conclusive: {WHY}"
    ticks(bench, NOON + timedelta(minutes=15))
    assert stored(bench, lost).reason == waiting.reason
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=10))
    held = stored(bench, lost)
    assert held.state is State.HELD
    assert (held.reason or "").endswith(f"The cause: {waiting.reason}")


def test_the_reason_says_that_the_post_ended_too_short_a_time_ago(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, trigger="daily", key="before")
    bench.clock.advance(minutes=60)
    finish_runs(bench)
    lost = start(bench, LOST, trigger="daily")
    bench.clock.advance(minutes=10)
    search(bench.app.services, stored(bench, lost))
    assert stored(bench, lost).reason == (
        "lost; the last search was not conclusive: "
        "the youngest run that one showed was 70 min old, and the POST ended 7 min ago"
    )


def test_a_cause_of_1000_characters_does_not_hide_why_it_waits(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    cause = Outcome(kind=OutcomeKind.UNKNOWN, message="x" * 1000)
    lost = start(bench, cause, trigger="daily")
    bench.workspace.search_results = [SearchResult(inconclusive=WHY)]
    bench.clock.advance(minutes=10)
    search(bench.app.services, stored(bench, lost))
    reason = stored(bench, lost).reason or ""
    assert reason.endswith(WHY)
    assert len(reason) < 1000


# Runs that a search finds


def test_runs_found_after_a_replay_are_duplicates_of_the_new_generation(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    seen = stored(bench, lost)
    bench.workspace.search_results = [SearchResult(inconclusive=WHY)] * 1000
    ticks(bench, NOON + timedelta(hours=25), every=timedelta(minutes=10))
    drop(bench.app.services, lost.id)
    replayed = replay(bench.app.services, lost.id, confirmed=True)
    found = RunFacts(id="late", correlation_id=f"{lost.id}-1")
    bench.workspace.search_results = [SearchResult(runs=(found,))]
    search(bench.app.services, seen)  # as a process does that was asleep meanwhile
    after = stored(bench, lost)
    assert (after.generation, after.run_id, after.duplicates) == (2, replayed.run_id, ("late",))


def test_a_run_that_is_known_is_not_overwritten_and_others_are_duplicates(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    lost = start(bench, LOST, trigger="daily")
    seen = stored(bench, lost)
    first = RunFacts(id="first", correlation_id=lost.correlation_id)
    bench.workspace.search_results = [SearchResult(runs=(first,))] * 2
    search(bench.app.services, seen)
    search(bench.app.services, seen)
    assert stored(bench, lost).duplicates == ()
    other = RunFacts(id="other", correlation_id=lost.correlation_id)
    bench.workspace.search_results = [SearchResult(runs=(other, first))] * 2
    search(bench.app.services, seen)
    search(bench.app.services, seen)
    after = stored(bench, lost)
    assert (after.run_id, after.duplicates) == ("first", ("other",))
