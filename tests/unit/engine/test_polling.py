"""Runs that Azure ML does not know, statuses that it does not document, and runs that do not end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import NotAllowed, WorkspaceUnavailable
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts
from shared.core.submissions import State, Submission
from shared.operations.submissions import drop, replay, resume
from tests.unit.engine.calls import LOST, TRIGGERS, start, stored, ticks

type MakeBench = Callable[..., Bench]

DAY = timedelta(days=1)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.__dict__.get("action")) for record in caplog.records]


def lose_the_run(bench: Bench) -> tuple[Submission, RunFacts]:
    """Start a run that Azure ML does not know any more."""
    sent = start(bench)
    return sent, bench.workspace.runs.pop("run-1")


def hold_with_run(bench: Bench) -> tuple[Submission, RunFacts]:
    """Start a run that Azure ML does not know for longer than a day."""
    sent, run = lose_the_run(bench)
    ticks(bench, bench.clock.now() + 1.1 * DAY, every=timedelta(minutes=10))
    held = stored(bench, sent)
    assert held.state is State.HELD
    return held, run


# A run that is not known


def test_a_run_that_azure_ml_does_not_know_is_polled_for_24_hours_and_then_held(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    sent, _ = lose_the_run(bench)
    ticks(bench, NOON + 0.95 * DAY, every=timedelta(minutes=10))
    waiting = stored(bench, sent)
    assert (waiting.state, waiting.run_id) == (State.SUBMITTED, "run-1")
    assert waiting.reason == "Azure ML does not know run run-1"
    assert len(bench.workspace.asked) > 100
    ticks(bench, NOON + 1.1 * DAY, every=timedelta(minutes=10))
    held = stored(bench, sent)
    assert (held.state, held.due, held.run_id) == (State.HELD, None, "run-1")
    assert held.reason == "Azure ML does not know run run-1, and has not for 1d"


def test_polls_of_a_run_that_is_not_known_wait_longer_and_longer(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    lose_the_run(bench)
    ticks(bench, NOON + timedelta(hours=2))
    assert 10 < len(bench.workspace.asked) < 25


def test_a_run_that_is_known_again_is_polled_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent, run = lose_the_run(bench)
    ticks(bench, NOON + timedelta(hours=20), every=timedelta(minutes=10))
    bench.workspace.runs["run-1"] = run
    ticks(bench, NOON + timedelta(hours=21), every=timedelta(minutes=10))
    found = stored(bench, sent)
    assert (found.reason, found.gone_since) == (None, None)
    del bench.workspace.runs["run-1"]
    ticks(bench, NOON + timedelta(hours=40), every=timedelta(minutes=10))
    assert stored(bench, sent).state is State.SUBMITTED  # the 24 hours begin again
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Finished")
    ticks(bench, NOON + timedelta(hours=41), every=timedelta(minutes=10))
    assert stored(bench, sent).state is State.FINISHED


# A status that is not documented


def test_an_undocumented_status_is_recorded_logged_once_and_polled_on(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Levitating")
    ticks(bench, NOON + timedelta(hours=2))
    found = stored(bench, sent)
    assert (found.state, found.run_status, found.reason) == (State.SUBMITTED, "Levitating", None)
    (record,) = [
        one for one in caplog.records if one.__dict__.get("action") == "run_status_undocumented"
    ]
    assert record.levelno == logging.WARNING
    assert "'Levitating'" in record.getMessage()
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Finished")
    ticks(bench, NOON + timedelta(hours=3))
    assert stored(bench, sent).state is State.FINISHED


# A run that does not end


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_that_does_not_end_is_held_after_30_days(
    make_bench: MakeBench, answers: bool
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Running")
    ticks(bench, NOON + timedelta(minutes=5))
    bench.workspace.failure = None if answers else WorkspaceUnavailable("down")
    ticks(bench, NOON + 29.9 * DAY, every=timedelta(hours=6))
    assert stored(bench, sent).state is State.SUBMITTED
    ticks(bench, NOON + 30.5 * DAY, every=timedelta(hours=6))
    held = stored(bench, sent)
    assert (held.state, held.due) == (State.HELD, None)
    assert held.reason == (
        "its run has not ended in 30d of polling; its last known status is Running"
    )


# What a person does with it


def test_a_held_submission_with_a_run_is_resumed(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = make_bench(TRIGGERS)
    held, run = hold_with_run(bench)
    bench.workspace.runs["run-1"] = run
    resumed = resume(bench.app.services, held.id, by="ada")
    assert (resumed.state, resumed.reason, resumed.due) == (
        State.SUBMITTED,
        None,
        bench.clock.now(),
    )
    assert (resumed.decisions[-1].action, resumed.decisions[-1].by) == ("resume", "ada")
    assert "submission_resumed" in actions(caplog)
    assert bench.table.page("attention:", "attention;").rows == []
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Finished")
    bench.app.tick()
    assert stored(bench, held).state is State.FINISHED


def test_a_resumed_run_is_polled_as_long_as_a_new_one(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held, _ = hold_with_run(bench)
    resume(bench.app.services, held.id)
    again = bench.clock.now()
    ticks(bench, again + 0.9 * DAY, every=timedelta(minutes=10))
    assert stored(bench, held).state is State.SUBMITTED
    ticks(bench, again + 1.1 * DAY, every=timedelta(minutes=10))
    assert stored(bench, held).state is State.HELD


@pytest.mark.parametrize(
    ("outcomes", "trigger"),
    [
        ([], "call"),
        ([Outcome(kind=OutcomeKind.REFUSED, message="no")], "call"),
        ([LOST], "careful"),
    ],
)
def test_only_a_held_submission_with_a_run_is_resumed(
    make_bench: MakeBench, outcomes: list[Outcome], trigger: str
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, *outcomes, trigger=trigger)
    with pytest.raises(NotAllowed, match="only held submissions with a run are resumed"):
        resume(bench.app.services, sent.id)
    assert stored(bench, sent) == sent


def test_a_drop_says_what_happens_to_the_run(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held, _ = hold_with_run(bench)
    dropped = drop(bench.app.services, held.id)
    assert dropped.state is State.SKIPPED
    assert (dropped.reason or "").endswith(". Run run-1 goes on, and the app no longer polls it")


def test_a_dropped_submission_whose_run_may_be_at_work_is_replayed_only_with_confirmation(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    held, _ = hold_with_run(bench)
    drop(bench.app.services, held.id)
    with pytest.raises(NotAllowed, match="run run-1 may be at work"):
        replay(bench.app.services, held.id)
    assert replay(bench.app.services, held.id, confirmed=True).generation == 2


# What the log says


def test_the_log_of_a_held_submission_with_a_run_says_why(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TRIGGERS)
    hold_with_run(bench)
    (record,) = [one for one in caplog.records if one.__dict__.get("action") == "submission_held"]
    assert (
        "is held: run run-1: Azure ML does not know run run-1, and has not" in record.getMessage()
    )


def test_the_log_of_a_failed_run_says_why(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = make_bench(TRIGGERS)
    start(bench)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status="Failed", error="a step failed")
    ticks(bench, NOON + timedelta(minutes=2))
    (record,) = [
        one for one in caplog.records if one.__dict__.get("action") == "submission_finished"
    ]
    assert "is finished: run run-1 (Failed): a step failed" in record.getMessage()
