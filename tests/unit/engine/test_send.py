"""The second step of an event: when its claim is sent, and what is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.events import ScheduleEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.engine.accept import accept as accept_event
from shared.engine.send import send

type MakeBench = Callable[..., Bench]

NIGHTLY = """
nightly:
  pipeline: scoring
  schedule: {frequency: day}
"""
EVENT = ScheduleEvent(trigger="nightly", time=NOON)


def accept(bench: Bench) -> Submission:
    accepted = accept_event(bench.app.services, EVENT)
    assert isinstance(accepted, Submission)
    return accepted


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (OutcomeKind.NOT_STARTED, State.PENDING),
        (OutcomeKind.UNKNOWN, State.UNKNOWN),
        (OutcomeKind.REFUSED, State.DEAD),
    ],
)
def test_a_failed_post_is_recorded_and_the_call_succeeds(
    make_bench: MakeBench, kind: OutcomeKind, state: State
) -> None:
    bench = make_bench(NIGHTLY)
    bench.workspace.outcomes = [Outcome(kind=kind, message="why", request_id="r1")]
    sent = send(bench.app.services, accept(bench))
    assert (sent.state, sent.reason) == (state, "why")
    assert bench.submissions() == [sent]


def test_a_submission_that_another_delivery_claimed_is_not_sent(make_bench: MakeBench) -> None:
    bench = make_bench(NIGHTLY)
    accept(bench)
    again = accept(bench)
    assert send(bench.app.services, again).state is State.SUBMITTING
    assert bench.workspace.bodies == []


def test_a_claim_older_than_60_seconds_is_not_sent(make_bench: MakeBench) -> None:
    bench = make_bench(NIGHTLY)
    accepted = accept(bench)
    bench.clock.advance(seconds=61)
    sent = send(bench.app.services, accepted)
    assert bench.workspace.bodies == []
    assert sent.state is State.PENDING
    assert sent.reason == "not sent: the claim was 61 s old, and no claim is sent after 60 s"


def test_a_claim_of_60_seconds_is_sent(make_bench: MakeBench) -> None:
    bench = make_bench(NIGHTLY)
    accepted = accept(bench)
    bench.clock.advance(seconds=60)
    assert send(bench.app.services, accepted).state is State.SUBMITTED


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (("/PipelineSubmit/1", "/PipelineSubmit/2"), "endpoint of pipeline scoring has changed"),
        (("scoring", "other"), "pipeline scoring is no longer in the triggers file"),
    ],
)
def test_a_submission_whose_pipeline_changed_meanwhile_is_held(
    make_bench: MakeBench,
    write_triggers: Callable[[str], Path],
    edit: tuple[str, str],
    reason: str,
) -> None:
    bench = make_bench(NIGHTLY)
    accepted = accept(bench)
    file = write_triggers(NIGHTLY)
    file.write_text(file.read_text().replace(*edit))
    after = bench.restarted(file=file)
    held = send(after.app.services, accepted)
    assert held.state is State.HELD
    assert reason in (held.reason or "")
    assert bench.workspace.bodies == []
    assert bench.submissions() == [held]


def test_if_the_outcome_cannot_be_recorded_it_is_logged_and_the_claim_stays(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    broken: list[Fault] = []
    bench = make_bench(NIGHTLY, fault=lambda _call: broken[0] if broken else None)
    accepted = accept(bench)
    broken.append(Fault.NOT_CARRIED_OUT)
    assert send(bench.app.services, accepted).run_id == "run-1"
    assert "outcome_unrecorded" in caplog.text
    assert [found.state for found in bench.submissions()] == [State.SUBMITTING]


def test_a_second_run_is_logged_as_an_error(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(NIGHTLY)
    accepted = accept(bench)
    send(bench.app.services, accepted)
    send(bench.app.services, accepted)  # as a process would that was asleep while another took over
    (record,) = [one for one in caplog.records if one.__dict__.get("action") == "run_duplicated"]
    assert record.levelno == logging.ERROR
    assert "run-1 and run-2" in record.getMessage()
