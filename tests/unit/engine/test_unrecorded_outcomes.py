"""The ledger fails between a won claim and the outcome: the caller still gets an answer that starts no second run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.events import BlobNotification, ScheduleEvent
from shared.core.leases import LEASE
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.ledger.table.protocol import Merge
from shared.operations.submissions import replay, start
from shared.web.api import routes
from shared.web.exchange import Reply, Request

type MakeBench = Callable[..., Bench]

TRIGGERS = """
call: {pipeline: scoring, http: {}}
nightly: {pipeline: scoring, schedule: {frequency: day}}
new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}
"""
URL = "https://app.azurewebsites.net/api/v1/triggers/call/submissions"


class Outage:
    """Makes the ledger fail from the next POST on, until it is over."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._posts = 0
        self.over = False
        self.bench: Bench | None = None

    def __call__(self, _call: str) -> Fault | None:
        posted = self.bench is not None and len(self.bench.workspace.bodies) > self._posts
        return self._fault if posted and not self.over else None

    def begin_after_the_next_post(self, bench: Bench) -> None:
        self.bench, self._posts = bench, len(bench.workspace.bodies)


def post(bench: Bench) -> Reply:
    request = Request(url=URL, body=b"{}", params={"name": "call"})
    return routes.submit(bench.app.api, request)


def find(bench: Bench) -> Submission:
    (found,) = bench.submissions()
    return found


def make(make_bench: MakeBench, fault: Fault = Fault.NOT_CARRIED_OUT) -> tuple[Bench, Outage]:
    outage = Outage(fault)
    bench = make_bench(TRIGGERS, fault=outage)
    outage.begin_after_the_next_post(bench)
    return bench, outage


def test_a_caller_gets_202_with_the_run_if_the_outcome_cannot_be_recorded(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench, outage = make(make_bench)
    reply = post(bench)
    assert reply.status == 202
    assert (reply.content["state"], reply.content["run"]["id"]) == ("submitted", "run-1")
    assert "Location" in reply.headers
    outage.over = True
    assert find(bench).state is State.SUBMITTING
    (record,) = [one for one in caplog.records if one.__dict__["action"] == "outcome_unrecorded"]
    assert record.levelno == logging.ERROR
    assert "run=run-1" in record.getMessage()


def test_the_run_is_adopted_when_the_lease_is_over_and_no_second_one_is_started(
    make_bench: MakeBench,
) -> None:
    bench, outage = make(make_bench)
    post(bench)
    outage.over = True
    for _ in range(3):
        bench.clock.advance(seconds=LEASE.total_seconds())
        bench.app.tick()
    assert (find(bench).state, find(bench).run_id) == (State.SUBMITTED, "run-1")
    assert len(bench.workspace.bodies) == 1


def test_an_answer_of_the_ledger_that_is_lost_changes_nothing(make_bench: MakeBench) -> None:
    bench, outage = make(make_bench, Fault.ANSWER_LOST)
    assert post(bench).status == 202
    outage.over = True
    assert find(bench).state is State.SUBMITTED


def test_an_outcome_that_is_retried_is_202_too(make_bench: MakeBench) -> None:
    bench, _ = make(make_bench)
    throttled = Outcome(kind=OutcomeKind.THROTTLED, message="slow", request_id="r", status=429)
    bench.workspace.outcomes = [throttled]
    reply = post(bench)
    assert (reply.status, reply.content["state"]) == (202, "pending")


def test_a_row_that_a_person_edits_during_the_post_makes_no_error_either(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    submit = bench.workspace.submit

    def edit(*args: object) -> Outcome:
        bench.table.transact([Merge(f"sub:{find(bench).id}", {"state": "dreaming"})])
        return submit(*args)  # type: ignore[arg-type]

    bench.workspace.submit = edit  # type: ignore[method-assign, assignment]
    reply = post(bench)
    assert (reply.status, reply.content["run"]["id"]) == (202, "run-1")


def test_a_claim_that_is_not_won_is_503_as_before(make_bench: MakeBench) -> None:
    broken: list[Fault] = []
    bench = make_bench(TRIGGERS, fault=lambda _: broken[0] if broken else None)
    broken.append(Fault.NOT_CARRIED_OUT)
    assert post(bench).status == 503
    assert bench.workspace.bodies == []


def test_a_blob_is_not_delivered_again_after_its_post(make_bench: MakeBench) -> None:
    bench, _ = make(make_bench)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(minutes=1)
    blob = BlobNotification(trigger="new-data", container="data", path="incoming/a.csv")
    started = start(bench.app.services, blob)
    assert isinstance(started, Submission)
    assert started.run_id == "run-1"


def test_a_replay_answers_with_its_run(make_bench: MakeBench) -> None:
    bench, outage = make(make_bench)
    outage.over = True
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no", request_id="r")]
    event = ScheduleEvent(trigger="nightly", time=NOON)
    dead = start(bench.app.services, event)
    assert isinstance(dead, Submission)
    outage.begin_after_the_next_post(bench)
    outage.over = False
    again = replay(bench.app.services, dead.id)
    assert (again.state, again.generation, again.run_id) == (State.SUBMITTED, 2, "run-2")


def test_a_tick_that_cannot_record_an_outcome_fails_and_the_next_ones_send_nothing_twice(
    make_bench: MakeBench,
) -> None:
    bench, outage = make(make_bench)
    bench.app.tick()
    bench.clock.time = NOON + timedelta(days=1)
    with pytest.raises(Exception, match="ledger"):
        bench.app.tick()
    outage.over = True
    for _ in range(3):
        bench.clock.advance(seconds=LEASE.total_seconds())
        bench.app.tick()
    assert {found.state for found in bench.submissions()} <= {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == len(bench.submissions())
