"""Starting an event again needs a confirmation whenever one of its runs may be at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.decisions import check_replay
from shared.core.errors import NotAllowed
from shared.core.submissions import State, Submission
from shared.operations.backfill import Backfilled, preview_backfill, run_backfill
from shared.operations.triggers import override
from tests.examples import submission

type MakeBench = Callable[..., Bench]

HOURLY = 't: {pipeline: scoring, schedule: {cron: "0 * * * *", catch_up: none}}'
DISABLED = HOURLY.replace("t: {", "t: {enabled: false, ")
AGAIN = [State.DEAD, State.HELD, State.SKIPPED]


@pytest.mark.parametrize("state", AGAIN)
@pytest.mark.parametrize("status", [None, "NotStarted", "Running", "CancelRequested", "Levitating"])
def test_a_run_that_may_be_at_work_needs_confirmation_in_any_state(
    state: State, status: str | None
) -> None:
    row = submission(state=state, run_id="run-1", run_status=status)
    with pytest.raises(NotAllowed, match="run run-1 may be at work"):
        check_replay(row, confirmed=False)
    check_replay(row, confirmed=True)


@pytest.mark.parametrize("state", AGAIN)
@pytest.mark.parametrize("status", ["Finished", "Completed", "Failed", "Canceled"])
def test_a_run_that_has_ended_needs_none(state: State, status: str) -> None:
    check_replay(submission(state=state, run_id="run-1", run_status=status), confirmed=False)


@pytest.mark.parametrize("state", AGAIN)
def test_a_lost_answer_needs_confirmation_in_any_state(state: State) -> None:
    row = submission(state=state, unknown_since=NOON)
    with pytest.raises(NotAllowed, match="a run that no search has found may be at work"):
        check_replay(row, confirmed=False)
    check_replay(row, confirmed=True)


def test_a_lost_answer_beside_a_run_that_failed_needs_confirmation_too() -> None:
    row = submission(state=State.FINISHED, run_id="run-1", run_status="Failed", unknown_since=NOON)
    with pytest.raises(NotAllowed, match="a run that no search has found may be at work"):
        check_replay(row, confirmed=False)


# Backfill


def backfill(bench: Bench) -> list[Backfilled]:
    services = bench.app.services
    since = NOON - timedelta(hours=1)
    return list(run_backfill(services, preview_backfill(services, "t", since=since, until=NOON)))


def dropped_with_run(row: Submission) -> Submission:
    return replace(row, state=State.SKIPPED, reason="dropped", due=None, run_status="Running")


def test_a_backfill_does_not_start_what_may_be_at_work(make_bench: MakeBench) -> None:
    bench = make_bench(HOURLY)
    assert len(backfill(bench)) == 2
    for one in bench.submissions():
        bench.app.services.ledger.submissions.update(one, dropped_with_run)
    refusals = [str(one.refusal) for one in backfill(bench)]
    assert len(refusals) == 2
    assert all("may be at work" in refusal for refusal in refusals)
    assert len(bench.workspace.bodies) == 2


def test_a_trigger_that_is_disabled_in_the_file_is_not_backfilled(make_bench: MakeBench) -> None:
    bench = make_bench(DISABLED)
    message = "trigger t is disabled in the triggers file; enable it first"
    with pytest.raises(NotAllowed, match=message):
        backfill(bench)
    bench.app.tick()  # the trigger is registered now
    with pytest.raises(NotAllowed, match=message):
        backfill(bench)


@pytest.mark.parametrize("file", [HOURLY, DISABLED])
def test_what_a_person_decided_wins_over_the_file(make_bench: MakeBench, file: str) -> None:
    bench = make_bench(file)
    bench.app.tick()
    override(bench.app.services, "t", True)
    assert len(backfill(bench)) == 2
    override(bench.app.services, "t", False)
    with pytest.raises(NotAllowed, match="trigger t is disabled; enable it first"):
        backfill(bench)
