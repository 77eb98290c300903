"""A process that was asleep while another one took its submission over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from local.testing.app import Bench
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.core.transitions import lease
from shared.engine.accept import accept
from shared.engine.runs import expire
from shared.engine.send import resend, send
from shared.operations.submissions import get_submission

type MakeBench = Callable[..., Bench]

TRIGGERS = "call: {pipeline: scoring, http: {}}"


def claim(bench: Bench) -> Submission:
    event = HttpEvent(trigger="call", time=bench.clock.now(), key=("key", "k"))
    claimed = accept(bench.app.services, event)
    assert isinstance(claimed, Submission)
    return claimed


def now(bench: Bench, submission: Submission) -> Submission:
    return get_submission(bench.app.services, submission.id)


def lease_of_another_process(bench: Bench, submission: Submission) -> Submission:
    """Let another process find the submission pending and lease it: its POST is under way."""
    services = bench.app.services
    taken = services.ledger.submissions.take(
        submission, lambda row: lease(row, now=bench.clock.now())
    )
    assert taken is not None
    return taken


def test_a_claim_has_a_lease_and_each_resend_another(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    first = claim(bench)
    assert first.lease_id
    assert now(bench, first).lease_id == first.lease_id
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.NOT_STARTED, message="no token")]
    pending = send(bench.app.services, first)
    bench.clock.advance(minutes=2)
    again = resend(bench.app.services, pending)
    assert again is not None
    assert again.lease_id not in ("", first.lease_id)


def test_a_process_that_wakes_up_too_late_to_send_does_not_end_the_lease_of_another(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    asleep = claim(bench)
    expired = expire(bench.app.services, asleep)
    pending = bench.app.services.ledger.submissions.update(expired, to_pending)
    bench.clock.advance(minutes=30)
    other = lease_of_another_process(bench, pending)
    send(bench.app.services, asleep)  # its claim is too old, so that it sends nothing
    assert bench.workspace.bodies == []
    row = now(bench, other)
    assert (row.state, row.lease_id) == (State.SUBMITTING, other.lease_id)
    settled = send(bench.app.services, other)
    assert (settled.state, len(bench.workspace.bodies)) == (State.SUBMITTED, 1)


def to_pending(row: Submission) -> Submission:
    return replace(row, state=State.PENDING, unknown_since=None, due=row.updated)
