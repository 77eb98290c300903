"""Which calls an endpoint gets: at most so many at a time, and one trial a tick if it has stopped answering."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from local.testing.app import Clock, FakeWorkspace
from shared.clients.circuit import (
    CALLS,
    CALLS_PER_ENDPOINT,
    CALLS_WITH_STRIKES,
    STRIKES,
    Circuits,
    CircuitWorkspace,
)
from shared.clients.transport import CONNECT_TIMEOUT
from shared.config.model import Pipeline
from shared.core.errors import WorkspaceUnavailable
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, RunFacts, RunGone, SearchResult

LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")
BUSY = Outcome(kind=OutcomeKind.UNKNOWN, message="busy", status=503)
REFUSED = Outcome(kind=OutcomeKind.NOT_STARTED, message="refused")
THROTTLED = Outcome(kind=OutcomeKind.THROTTLED, message="slow", status=429)
STARTED = Outcome(kind=OutcomeKind.STARTED, run_id="r", status=200)


def pipeline(name: str = "scoring") -> Pipeline:
    return Pipeline(name=name, kind="published_pipeline", endpoint=f"https://x/{name}", scope="s")


SCORING = pipeline()
DIGEST = SCORING.endpoint_digest


@dataclass
class Slow(FakeWorkspace):
    """Azure ML whose calls take some seconds, and then do what a test wants."""

    clock: Clock = field(default_factory=Clock)
    seconds: float = 0
    then: Callable[[], object] = lambda: None

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        self.clock.advance(seconds=self.seconds)
        return self.outcomes.pop(0)

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        self.clock.advance(seconds=self.seconds)
        self.then()
        return RunFacts(id=run_id)

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        self.clock.advance(seconds=self.seconds)
        self.then()
        return SearchResult()


class Edge:
    """A workspace with its circuits, and a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.circuits = Circuits(self.clock.seconds)
        self.inner = Slow(clock=self.clock)
        self.workspace = CircuitWorkspace(self.inner, self.circuits)

    def submit(self, *outcomes: Outcome, seconds: float = 0) -> None:
        self.inner.seconds = seconds
        self.inner.outcomes = list(outcomes)
        for _ in outcomes:
            self.workspace.submit(SCORING, b"{}")

    def status(self, *, seconds: float = 0, error: Exception | None = None) -> None:
        self.inner.seconds = seconds

        def fail() -> None:
            if error is not None:
                raise error

        self.inner.then = fail
        if error is None:
            self.workspace.status(SCORING, "r")
        else:
            with pytest.raises(type(error)):
                self.workspace.status(SCORING, "r")

    def search(self, *, seconds: float) -> None:
        self.inner.seconds, self.inner.then = seconds, lambda: None
        self.workspace.search(SCORING, experiment="e", correlation_id="c", reference=None)

    def take(self, count: int, *, post: bool, endpoint: str = DIGEST, name: str = "s") -> int:
        """Return how many of so many turns are given."""
        return sum(
            self.circuits.take_turn(endpoint, f"{name}-{endpoint}-{number}", post=post)
            for number in range(count)
        )

    @property
    def is_open(self) -> bool:
        return self.circuits.is_open(DIGEST)


@pytest.fixture
def edge() -> Edge:
    return Edge()


def test_three_posts_in_a_row_without_an_answer_open_the_circuit(edge: Edge) -> None:
    edge.submit(LOST, LOST)
    assert not edge.is_open
    edge.submit(LOST)
    assert edge.is_open


@pytest.mark.parametrize("answer", [STARTED, BUSY, THROTTLED])
def test_an_answer_between_them_keeps_it_closed_whatever_it_says(
    edge: Edge, answer: Outcome
) -> None:
    edge.submit(LOST, LOST, answer, LOST, LOST)
    assert not edge.is_open


def test_a_refused_connection_is_no_strike_but_a_connect_time_out_is(edge: Edge) -> None:
    edge.submit(*[REFUSED] * 5)
    assert not edge.is_open
    edge.submit(*[REFUSED] * 3, seconds=CONNECT_TIMEOUT.total_seconds())
    assert edge.is_open


def test_reads_that_end_by_their_deadline_are_strikes(edge: Edge) -> None:
    for _ in range(2):
        edge.status(seconds=30, error=WorkspaceUnavailable("no answer"))
    edge.search(seconds=30)
    assert edge.is_open


@pytest.mark.parametrize("error", [RunGone("gone"), WorkspaceUnavailable("500"), ValueError("bug")])
def test_a_read_that_fails_at_once_is_an_answer(edge: Edge, error: Exception) -> None:
    for _ in range(5):
        edge.status(error=error)
        edge.search(seconds=1)
    assert not edge.is_open


def test_a_slow_answer_is_one(edge: Edge) -> None:
    edge.submit(*[STARTED] * 5, seconds=60)
    for _ in range(5):
        edge.status(seconds=29)
    assert not edge.is_open


def test_a_read_between_posts_without_an_answer_does_not_keep_the_circuit_closed(
    edge: Edge,
) -> None:
    for _ in range(3):
        edge.submit(LOST)
        edge.status()
    assert not edge.is_open  # the last read closed it
    edge.submit(LOST)
    assert edge.is_open


def test_an_open_circuit_lets_one_trial_through_each_half_minute(edge: Edge) -> None:
    edge.submit(*[LOST] * STRIKES)
    assert edge.take(5, post=True) == 1
    edge.clock.advance(minutes=2)
    assert edge.take(5, post=True, name="other") == 0  # the trial is still under way
    edge.circuits.end_turn(f"s-{DIGEST}-0")
    assert edge.take(5, post=True, name="third") == 1
    edge.circuits.end_turn(f"third-{DIGEST}-0")
    edge.clock.advance(seconds=29)
    assert edge.take(5, post=True, name="fourth") == 0
    edge.clock.advance(seconds=1)
    assert edge.take(5, post=True, name="fifth") == 1


def test_a_trial_that_succeeds_closes_it(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    edge.submit(*[LOST] * (STRIKES + 2), STARTED)
    assert not edge.is_open
    assert edge.take(20, post=True) == CALLS_PER_ENDPOINT
    actions = [record.__dict__["action"] for record in caplog.records]
    assert actions == ["circuit_opened", "circuit_closed"]


def test_after_a_trial_that_reads_one_post_at_a_time_is_sent_until_one_is_answered(
    edge: Edge,
) -> None:
    edge.submit(*[LOST] * STRIKES)
    edge.status()
    assert not edge.is_open
    assert edge.take(20, post=True) == 1
    assert edge.take(20, post=False, name="read") == CALLS_PER_ENDPOINT - 1
    edge.submit(STARTED)
    edge.circuits.end_turn(f"read-{DIGEST}-0")
    assert edge.take(20, post=True, name="next") == 1


def test_an_endpoint_gets_eight_calls_at_a_time(edge: Edge) -> None:
    assert edge.take(20, post=True) == CALLS_PER_ENDPOINT
    assert edge.take(1, post=False, name="read") == 0
    edge.circuits.end_turn(f"s-{DIGEST}-3")
    assert edge.take(20, post=False, name="read") == 1
    assert edge.take(20, post=True, endpoint="another") == CALLS_PER_ENDPOINT


def test_no_submission_has_two_turns_at_a_time(edge: Edge) -> None:
    assert edge.circuits.take_turn(DIGEST, "one", post=True)
    assert edge.circuits.has_turn("one")
    assert not edge.circuits.take_turn(DIGEST, "one", post=False)
    edge.circuits.end_turn("one")
    assert not edge.circuits.has_turn("one")


def test_all_endpoints_together_get_so_many_calls_at_a_time(edge: Edge) -> None:
    given = sum(edge.take(8, post=True, endpoint=f"e{number}") for number in range(10))
    assert given == CALLS


def test_endpoints_that_do_not_answer_leave_room_for_those_that_do(edge: Edge) -> None:
    for number in range(40):
        dead = pipeline(f"dead-{number}")
        for _ in range(STRIKES):
            edge.circuits.record(dead, answered=False, post=True)
        edge.take(1, post=False, endpoint=dead.endpoint_digest)
    healthy = sum(edge.take(8, post=True, endpoint=f"e{number}") for number in range(10))
    assert healthy == CALLS
    trials = [
        n
        for n in range(40)
        if edge.circuits.has_turn(f"s-{pipeline(f'dead-{n}').endpoint_digest}-0")
    ]
    assert len(trials) == CALLS_WITH_STRIKES


def test_calls_that_are_under_way_for_long_are_strikes_until_they_end(edge: Edge) -> None:
    with edge.circuits.call(DIGEST), edge.circuits.call(DIGEST):
        with edge.circuits.call(DIGEST):
            edge.clock.advance(seconds=20)
            assert not edge.is_open
            edge.clock.advance(seconds=1)
            assert edge.is_open
        assert not edge.is_open
        assert edge.take(20, post=True) == 1
    edge.circuits.end_turn(f"s-{DIGEST}-0")
    assert edge.take(20, post=True, name="later") == CALLS_PER_ENDPOINT


def test_the_circuit_with_the_oldest_trial_is_the_next(edge: Edge) -> None:
    assert edge.circuits.last_trial(None) == edge.circuits.last_trial(DIGEST)
    times = [edge.circuits.last_trial(DIGEST)]
    edge.submit(*[LOST] * STRIKES)
    times.append(edge.circuits.last_trial(DIGEST))
    edge.take(1, post=True)
    times.append(edge.circuits.last_trial(DIGEST))
    assert times == sorted(set(times))


def test_a_call_passes_through_with_its_result(edge: Edge) -> None:
    inner = FakeWorkspace(runs={"r": RunFacts(id="r", correlation_id="c")})
    workspace = CircuitWorkspace(inner, edge.circuits)
    assert workspace.status(SCORING, "r").id == "r"
    found = workspace.search(SCORING, experiment="e", correlation_id="c", reference=None)
    assert [run.id for run in found.runs] == ["r"]
    workspace.cancel(SCORING, "r")
    assert inner.runs["r"].status == "Canceled"
