"""What people decide about submissions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.errors import (
    InvalidRequest,
    NotAllowed,
    NotFound,
    RenderError,
    WorkspaceUnavailable,
)
from shared.core.events import BlobNotification, HttpEvent, Ignored
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import RunFacts
from shared.core.submissions import State, Submission
from shared.ledger.table.protocol import Merge
from shared.operations.listing import (
    MAX_LIST_PAGES,
    SubmissionFilter,
    SubmissionPage,
    list_submissions,
    write_cursor,
)
from shared.operations.submissions import cancel, drop, get_submission, replay
from shared.operations.submissions import start as start_event
from shared.operations.triggers import override, report_trigger, report_triggers

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
    result = start_event(bench.app.services, event)
    assert isinstance(result, Submission)
    return result


def test_a_replay_is_a_new_generation_with_a_stamp_of_its_own_and_keeps_the_history(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    bench.clock.advance(hours=1)
    replayed = replay(bench.app.services, dead.id)
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
    replay(bench.restarted(file=file).app.services, dead.id)
    body = json.loads(bench.workspace.bodies[-1])
    assert body["ParameterAssignments"] == {"day": "day monday"}


def test_a_template_that_failed_can_be_mended_and_replayed(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(TRIGGERS)
    bench.blobs.put("incoming/a.csv", bench.clock)
    dead = start_event(
        bench.app.services,
        BlobNotification(trigger="new-data", container="data", path="incoming/a.csv"),
    )
    assert isinstance(dead, Submission)
    assert dead.state is State.DEAD
    with pytest.raises(RenderError):
        replay(bench.app.services, dead.id)
    mended = write_triggers(TRIGGERS.replace("blob.metadata.team", "blob.name"))
    replayed = replay(bench.restarted(file=mended).app.services, dead.id)
    assert replayed.state is State.SUBMITTED


@pytest.mark.parametrize("outcome", [None, Outcome(kind=OutcomeKind.NOT_STARTED, message="x")])
def test_what_is_at_work_is_not_replayed(make_bench: MakeBench, outcome: Outcome | None) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, outcome)
    with pytest.raises(NotAllowed, match="only dead, held or skipped ones"):
        replay(bench.app.services, sent.id, confirmed=True)
    assert len(bench.workspace.bodies) == 1


def test_a_held_one_that_may_be_running_asks_for_confirmation(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    with pytest.raises(NotAllowed, match="may start a second one"):
        replay(bench.app.services, held.id)
    assert len(bench.workspace.bodies) == 1
    assert replay(bench.app.services, held.id, confirmed=True).generation == 2


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
    bench.app.tick()
    if allowed:
        assert replay(bench.app.services, sent.id).run_id == "run-2"
    else:
        with pytest.raises(NotAllowed):
            replay(bench.app.services, sent.id)


def test_two_people_who_replay_at_once_start_one_run(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    stale = get_submission(bench.app.services, dead.id)
    replay(bench.app.services, dead.id)
    taken = bench.app.services.ledger.submissions.take(stale, lambda row: row)
    assert taken == stale  # nothing was written
    with pytest.raises(NotAllowed):
        replay(bench.app.services, dead.id)
    assert len(bench.workspace.bodies) == 2


def test_a_late_run_of_an_older_generation_is_a_duplicate(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    held = start(bench, LOST, trigger="careful")
    replayed = replay(bench.app.services, held.id, confirmed=True)
    from shared.core.transitions import settle

    late = Outcome(kind=OutcomeKind.STARTED, run_id="late", request_id="late")
    after = settle(replayed, late, generation=1, now=bench.clock.now())
    assert (after.run_id, after.duplicates) == (replayed.run_id, ("late",))


def test_a_dropped_one_is_skipped_and_needs_no_attention(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    dropped = drop(bench.app.services, dead.id)
    assert dropped.state is State.SKIPPED
    assert dropped.reason == "dropped by a person; it was dead: no such pipeline"
    assert bench.table.page("attention:", "attention;").rows == []
    with pytest.raises(NotAllowed, match="only dead and held ones are dropped"):
        drop(bench.app.services, dead.id)
    assert replay(bench.app.services, dead.id).state is State.SUBMITTED


def test_a_run_is_canceled_and_followed_to_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    cancel(bench.app.services, sent.id)
    bench.clock.advance(minutes=2)
    bench.app.tick()
    found = get_submission(bench.app.services, sent.id)
    assert (found.state, found.run_status) == (State.FINISHED, "Canceled")
    with pytest.raises(NotAllowed, match="no run to cancel"):
        cancel(bench.app.services, sent.id)


def test_a_cancel_that_azure_ml_does_not_confirm_is_an_error(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench, None)
    bench.workspace.failure = WorkspaceUnavailable("down")
    with pytest.raises(WorkspaceUnavailable):
        cancel(bench.app.services, sent.id)


def test_what_is_not_there_cannot_be_decided_about(make_bench: MakeBench) -> None:
    services = make_bench(TRIGGERS).app.services
    for decide in (replay, drop, cancel):
        with pytest.raises(NotFound):
            decide(services, "0" * 32)


def test_submissions_are_listed_newest_first_by_trigger_and_state(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(5):
        start(bench, DEAD if number % 2 else None, key=str(number))
        bench.clock.advance(seconds=1)
    held = start(bench, LOST, trigger="careful")
    ledger = bench.app.services.ledger
    everything = list_submissions(ledger)
    assert [one.created for one in everything.submissions] == sorted(
        (one.created for one in everything.submissions), reverse=True
    )
    assert len(everything.submissions) == 6
    assert everything.cursor is None
    assert [
        one.id for one in list_submissions(ledger, SubmissionFilter(state=State.HELD)).submissions
    ] == [held.id]
    assert len(list_submissions(ledger, SubmissionFilter(state=State.DEAD)).submissions) == 2
    assert len(list_submissions(ledger, SubmissionFilter(state=State.SUBMITTED)).submissions) == 3
    assert list_submissions(ledger, SubmissionFilter(trigger="careful")).submissions == (held,)
    first = list_submissions(ledger, limit=2)
    assert len(first.submissions) == 2
    rest = list_submissions(ledger, limit=10, cursor=first.cursor)
    assert len(rest.submissions) == 4


def fill(bench: Bench, count: int) -> None:
    """Put rows straight into the table: submissions of trigger `call`, a second apart, the newest first."""
    keys = [f"log:{number:017d}:{number:032x}" for number in range(count)]
    values = {
        "trigger": "call",
        "state": "finished",
        "source": "http",
        "created": "2027-03-27T11:00:00Z",
        "run_id": "",
    }
    bench.table.load(dict.fromkeys(keys, values))
    template = start(bench, None)
    (row,) = bench.table.page(f"sub:{template.id}", f"sub:{template.id}~").rows
    identifiers = [key.rpartition(":")[2] for key in keys[:300]]
    bench.table.load({f"sub:{identifier}": row.values for identifier in identifiers})


@pytest.mark.large
def test_a_listing_of_100_among_a_million_costs_a_bounded_number_of_calls(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    fill(bench, 1_000_000)
    ledger = bench.app.services.ledger

    def calls(
        wanted: SubmissionFilter, cursor: str | None = None
    ) -> tuple[dict[str, int], SubmissionPage]:
        before = bench.table.calls.copy()
        page = list_submissions(ledger, wanted, limit=100, cursor=cursor)
        return dict(bench.table.calls - before), page

    counted, first = calls(SubmissionFilter())
    assert (counted, len(first.submissions)) == ({"page": 1, "get": 100}, 100)
    counted, second = calls(SubmissionFilter(), first.cursor)
    assert (counted, len(second.submissions)) == ({"page": 1, "get": 100}, 100)
    assert not {one.id for one in first.submissions} & {one.id for one in second.submissions}
    counted, some = calls(SubmissionFilter(trigger="call", state=State.FINISHED))
    assert (counted, len(some.submissions)) == ({"page": 1, "get": 100}, 100)
    for wanted in (SubmissionFilter(trigger="careful"), SubmissionFilter(state=State.SKIPPED)):
        counted, nothing = calls(wanted)
        assert (counted, nothing.submissions) == ({"page": MAX_LIST_PAGES}, ())
        assert nothing.cursor is not None
        counted, still = calls(wanted, nothing.cursor)
        assert (counted, still.submissions) == ({"page": MAX_LIST_PAGES}, ())
        assert still.cursor not in (None, nothing.cursor)
    later = SubmissionFilter(since=NOON + timedelta(days=1))
    counted, nothing = calls(later)
    assert (counted, nothing) == ({"page": 1}, SubmissionPage(submissions=(), cursor=None))
    counted, nothing = calls(SubmissionFilter(state=State.DEAD))
    assert (counted, nothing.cursor) == ({"page": 1}, None)


@pytest.mark.parametrize(
    "cursor", ["", "x", "ü", "../tick", "A" * 400, "bG9nOjE", write_cursor("sub:" + "0" * 32)]
)
@pytest.mark.parametrize("state", [None, State.DEAD])
def test_a_cursor_that_is_none_of_ours_is_refused(
    make_bench: MakeBench, cursor: str, state: State | None
) -> None:
    with pytest.raises(InvalidRequest):
        list_submissions(
            make_bench(TRIGGERS).app.services.ledger, SubmissionFilter(state=state), cursor=cursor
        )


def test_pages_follow_each_other_and_the_last_one_says_so(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    expected = {start(bench, DEAD, key=str(number)).id for number in range(7)}
    for wanted in (
        SubmissionFilter(),
        SubmissionFilter(state=State.DEAD),
        SubmissionFilter(trigger="call"),
    ):
        cursor, found = None, []
        for rest in (4, 1, None):
            page = list_submissions(bench.app.services.ledger, wanted, limit=3, cursor=cursor)
            found += [one.id for one in page.submissions]
            cursor = page.cursor
            assert (cursor is None) is (rest is None)
        assert (len(found), set(found)) == (7, expected)


def test_since_leaves_out_what_is_older(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, DEAD, key="1")
    bench.clock.advance(hours=1)
    new = start(bench, DEAD, key="2")
    for state in (None, State.DEAD):
        wanted = SubmissionFilter(state=state, since=bench.clock.now())
        (found,) = list_submissions(bench.app.services.ledger, wanted).submissions
        assert found.id == new.id


def test_an_edited_row_does_not_hide_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    good, bad = start(bench, None, key="1"), start(bench, None, key="2")
    bench.table.transact([Merge(f"sub:{bad.id}", {"generation": "many"})])
    page = list_submissions(bench.app.services.ledger)
    assert [one.id for one in page.submissions] == [good.id]
    assert page.unreadable == (bad.id,)


SWITCHED = """
call: {pipeline: scoring, http: {}}
hourly: {pipeline: scoring, schedule: {frequency: hour}}
off: {pipeline: scoring, http: {}, enabled: false}
new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}
"""


def call(bench: Bench, trigger: str) -> Submission | Ignored:
    key = ("key", str(len(bench.workspace.bodies)))
    return start_event(
        bench.app.services, HttpEvent(trigger=trigger, time=bench.clock.now(), key=key)
    )


def test_a_disabled_trigger_starts_nothing_in_any_process_within_a_minute(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(SWITCHED)
    other = bench.restarted()
    assert isinstance(call(other, "call"), Submission)
    report = override(bench.app.services, "call", False, by="ada")
    assert (report.enabled, report.since) == (False, bench.clock.now())
    assert report.state.overridden_by == "ada"
    assert isinstance(call(bench, "call"), Ignored)
    bench.clock.advance(seconds=31)
    found = call(other, "call")
    assert isinstance(found, Ignored)
    assert found.reason == "trigger call is disabled by a person"
    override(bench.app.services, "call", True)
    assert isinstance(call(bench, "call"), Submission)


def test_null_returns_to_what_the_file_says(make_bench: MakeBench) -> None:
    bench = make_bench(SWITCHED)
    found = call(bench, "off")
    assert isinstance(found, Ignored)
    assert found.reason == "trigger off is disabled by the triggers file"
    assert override(bench.app.services, "off", True).enabled
    assert isinstance(call(bench, "off"), Submission)
    assert not override(bench.app.services, "off", None).enabled
    assert isinstance(call(bench, "off"), Ignored)


def test_switching_twice_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(SWITCHED)
    first = override(bench.app.services, "call", False, by="ada")
    bench.clock.advance(hours=1)
    assert override(bench.app.services, "call", False, by="bob").state == first.state


def test_a_switch_whose_answer_is_lost_is_recorded_once(make_bench: MakeBench) -> None:
    mark_ambiguous: list[Fault] = []
    bench = make_bench(
        SWITCHED,
        fault=lambda name: mark_ambiguous.pop() if name == "transact" and mark_ambiguous else None,
    )
    bench.app.tick()
    for fault in (Fault.ANSWER_LOST, Fault.NOT_CARRIED_OUT, Fault.SENT_TWICE):
        mark_ambiguous.append(fault)
        off = override(bench.app.services, "call", False)
        assert not off.enabled
        assert override(bench.app.services, "call", True).enabled
        bench.clock.advance(minutes=1)
    assert len(report_trigger(bench.app.services, "call").state.disabled_periods) == 3


def test_what_comes_while_a_schedule_is_disabled_is_not_made_up_for(make_bench: MakeBench) -> None:
    bench = make_bench(SWITCHED)
    bench.app.tick()
    override(bench.app.services, "hourly", False)
    for _ in range(150):
        bench.clock.advance(minutes=1)
        bench.app.tick()
    override(bench.app.services, "hourly", True)
    bench.app.tick()
    assert bench.workspace.bodies == []
    bench.clock.advance(minutes=30)
    bench.app.tick()
    assert len(bench.workspace.bodies) == 1


def test_not_even_when_the_app_slept_all_the_while(make_bench: MakeBench) -> None:
    bench = make_bench(SWITCHED)
    bench.app.tick()
    override(bench.app.services, "hourly", False)
    bench.clock.advance(minutes=150)
    override(bench.app.services, "hourly", True)
    bench.app.tick()
    assert bench.workspace.bodies == []


def test_a_blob_that_was_written_while_its_trigger_was_disabled_starts_nothing_later(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(SWITCHED)
    start_blob = partial(start_event, bench.app.services)
    bench.blobs.put("incoming/before.csv", bench.clock)
    bench.clock.advance(minutes=1)
    override(bench.app.services, "new-data", False)
    bench.blobs.put("incoming/during.csv", bench.clock)
    bench.clock.advance(minutes=1)
    override(bench.app.services, "new-data", None)
    bench.blobs.put("incoming/after.csv", bench.clock)
    found = {
        name: start_blob(
            BlobNotification(trigger="new-data", container="data", path=f"incoming/{name}.csv")
        )
        for name in ("before", "during", "after")
    }
    assert [name for name, one in found.items() if isinstance(one, Submission)] == [
        "before",
        "after",
    ]


def test_a_report_tells_what_comes_next_and_what_came_last_and_records_nothing(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(SWITCHED)
    reports = {report.trigger.name: report for report in report_triggers(bench.app.services)}
    assert bench.table.calls["transact"] == 0
    assert reports["hourly"].next[0] == NOON + timedelta(hours=1)
    assert len(reports["hourly"].next) == 5
    call(bench, "call")
    override(bench.app.services, "hourly", False)
    assert report_trigger(bench.app.services, "hourly").next == ()
    (latest,) = report_trigger(bench.app.services, "call").latest
    assert latest.values["state"] == "submitted"


def test_decisions_are_written_down_with_who_made_them(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    dead = start(bench, DEAD)
    replay(bench.app.services, dead.id, by="ada")
    cancel(bench.app.services, dead.id, by="bob")
    found = get_submission(bench.app.services, dead.id)
    assert [(one.action, one.by) for one in found.decisions] == [
        ("replay", "ada"),
        ("cancel", "bob"),
    ]
