"""What people decide about submissions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from local.doubles import NOON, Bench
from shared.accepting import BlobNotice
from shared.errors import NotAllowed, NotFound, RenderError, WorkspaceUnavailable
from shared.events import HttpEvent
from shared.outcomes import Outcome, OutcomeKind
from shared.runs import RunFacts
from shared.submissions import State, Submission

type MakeBench = Callable[..., Bench]

TRIGGERS = """
call: {pipeline: scoring, http: {}, parameters: {day: "{{ http.body.day }}"}}
careful: {pipeline: scoring, http: {}, on_unknown: hold}
new-data:
  pipeline: scoring
  blob: {datastore: lake, path: incoming}
  tags: {team: "{{ blob.metadata.team }}"}
"""

DEAD = Outcome(kind=OutcomeKind.REFUSED, message="no such pipeline")
LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")


def start(
    bench: Bench, outcome: Outcome | None, *, trigger: str = "call", key: str = "k"
) -> Submission:
    bench.workspace.outcomes = [outcome] if outcome else []
    event = HttpEvent(
        trigger=trigger, time=bench.clock.now(), key=("key", key), body={"day": "monday"}
    )
    result = bench.app.operations.start(event)
    assert isinstance(result, Submission)
    return result


def test_a_replay_is_a_new_generation_with_a_stamp_of_its_own_and_keeps_the_history(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    bench.clock.advance(hours=1)
    replayed = bench.app.operations.replay(dead.id)
    assert (replayed.state, replayed.generation, replayed.run_id) == (
        State.SUBMITTED,
        2,
        "run-2",
    )
    assert [attempt.generation for attempt in replayed.attempts] == [1, 2]
    bodies = [json.loads(body) for body in bench.workspace.bodies]
    assert [body["tags"]["submission"] for body in bodies] == [f"{dead.id}-1", f"{dead.id}-2"]
    assert replayed.started_trying == NOON.replace(hour=13)
    assert bench.table.page("attention:", "attention;").rows == []


def test_a_replay_renders_the_stored_event_with_todays_file(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    file = write_triggers(TRIGGERS.replace('"{{ http.body.day }}"', '"day {{ http.body.day }}"'))
    bench.restarted(file=file).app.operations.replay(dead.id)
    body = json.loads(bench.workspace.bodies[-1])
    assert body["ParameterAssignments"] == {"day": "day monday"}


def test_a_template_that_failed_can_be_mended_and_replayed(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    bench.blobs.put("incoming/a.csv", bench.clock)
    dead = bench.app.operations.start(
        BlobNotice(trigger="new-data", container="data", path="incoming/a.csv")
    )
    assert isinstance(dead, Submission)
    assert dead.state is State.DEAD
    with pytest.raises(RenderError):
        bench.app.operations.replay(dead.id)
    mended = write_triggers(TRIGGERS.replace("blob.metadata.team", "blob.name"))
    replayed = bench.restarted(file=mended).app.operations.replay(dead.id)
    assert replayed.state is State.SUBMITTED


@pytest.mark.parametrize("outcome", [None, Outcome(kind=OutcomeKind.NOT_STARTED, message="x")])
def test_what_is_at_work_is_not_replayed(make_bench: MakeBench, outcome: Outcome | None) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, outcome)
    with pytest.raises(NotAllowed, match="only dead, held or skipped ones"):
        bench.app.operations.replay(sent.id, confirmed=True)
    assert len(bench.workspace.bodies) == 1


def test_a_held_one_that_may_be_running_asks_for_confirmation(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    with pytest.raises(NotAllowed, match="may start a second one"):
        bench.app.operations.replay(held.id)
    assert len(bench.workspace.bodies) == 1
    assert bench.app.operations.replay(held.id, confirmed=True).generation == 2


@pytest.mark.parametrize(
    ("status", "allowed"),
    [("Failed", True), ("Canceled", True), ("Finished", False), ("Completed", False)],
)
def test_a_finished_one_is_replayed_only_if_its_run_failed(
    make_bench: MakeBench, status: str, allowed: bool
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.workspace.runs["run-1"] = RunFacts(id="run-1", status=status)
    bench.clock.advance(minutes=2)
    bench.app.ticking.run()
    if allowed:
        assert bench.app.operations.replay(sent.id).run_id == "run-2"
    else:
        with pytest.raises(NotAllowed):
            bench.app.operations.replay(sent.id)


def test_two_people_who_replay_at_once_start_one_run(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    stale = bench.app.operations.submission(dead.id)
    bench.app.operations.replay(dead.id)
    taken = bench.app.operations.ledger.take(stale, lambda row: row)
    assert taken == stale  # nothing was written
    with pytest.raises(NotAllowed):
        bench.app.operations.replay(dead.id)
    assert len(bench.workspace.bodies) == 2


def test_a_late_run_of_an_older_generation_is_a_duplicate(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    replayed = bench.app.operations.replay(held.id, confirmed=True)
    from shared.transitions import settle

    late = Outcome(kind=OutcomeKind.STARTED, run_id="late", request_id="late")
    after = settle(replayed, late, generation=1, now=bench.clock.now())
    assert (after.run_id, after.duplicates) == (replayed.run_id, ("late",))


def test_a_dropped_one_is_skipped_and_needs_no_attention(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    dropped = bench.app.operations.drop(dead.id)
    assert dropped.state is State.SKIPPED
    assert dropped.reason == "dropped by a person; it was dead: no such pipeline"
    assert bench.table.page("attention:", "attention;").rows == []
    with pytest.raises(NotAllowed, match="only dead and held ones are dropped"):
        bench.app.operations.drop(dead.id)
    assert bench.app.operations.replay(dead.id).state is State.SUBMITTED


def test_a_run_is_canceled_and_followed_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.app.operations.cancel(sent.id)
    bench.clock.advance(minutes=2)
    bench.app.ticking.run()
    found = bench.app.operations.submission(sent.id)
    assert (found.state, found.run_status) == (State.FINISHED, "Canceled")
    with pytest.raises(NotAllowed, match="no run to cancel"):
        bench.app.operations.cancel(sent.id)


def test_a_cancel_that_azure_ml_does_not_confirm_is_an_error(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.workspace.failure = WorkspaceUnavailable("down")
    with pytest.raises(WorkspaceUnavailable):
        bench.app.operations.cancel(sent.id)


def test_what_is_not_there_cannot_be_decided_about(make_bench: MakeBench) -> None:
    operations = make_bench(TRIGGERS).app.operations
    for decide in (operations.replay, operations.drop, operations.cancel):
        with pytest.raises(NotFound):
            decide("0" * 32)


def test_submissions_are_listed_newest_first_by_trigger_and_state(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(5):
        start(bench, DEAD if number % 2 else None, key=str(number))
        bench.clock.advance(seconds=1)
    held = start(bench, LOST, trigger="careful")
    operations = bench.app.operations
    everything = operations.submissions()
    assert [one.created for one in everything.submissions] == sorted(
        (one.created for one in everything.submissions), reverse=True
    )
    assert len(everything.submissions) == 6
    assert everything.cursor is None
    assert [one.id for one in operations.submissions(state=State.HELD).submissions] == [held.id]
    assert len(operations.submissions(state=State.DEAD).submissions) == 2
    assert len(operations.submissions(state=State.SUBMITTED).submissions) == 3
    assert operations.submissions(trigger="careful").submissions == (held,)
    first = operations.submissions(limit=2)
    assert len(first.submissions) == 2
    rest = operations.submissions(limit=10, cursor=first.cursor)
    assert len(rest.submissions) == 4


def test_a_listing_that_matches_nothing_costs_a_bounded_number_of_calls(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(300):
        start(bench, None, key=str(number))
    before = bench.table.calls.copy()
    page = bench.app.operations.submissions(trigger="careful", limit=10)
    assert (page.submissions, page.cursor is not None) == ((), True)
    assert bench.table.calls - before == {"page": 20}
