"""An endpoint that hangs holds up nothing else: no tick, no other endpoint, and no claim."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local.testing.memory_table import Fault
from shared.clients.circuit import CALLS_PER_ENDPOINT, STRIKES
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.engine.threads import Threads
from shared.engine.tick.tick import BUDGET, SENDING, run_tick
from shared.engine.tick.work import LEAST, Task, Work
from tests.unit.engine.tick.sites import (
    LOST,
    PIPELINES,
    Site,
    end_threads,
    wait_for,
    write_triggers,
)

SCHEDULE = 'schedule: {cron: "* * * * *"}'


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Give a function that opens a site with some triggers."""
    sites: list[Site] = []

    def make(*triggers: str, fault: Callable[[str], Fault | None] | None = None) -> Site:
        sites.append(Site(write_triggers(tmp_path, *triggers), fault=fault))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


DEAD = [f"dead-{n}: {{pipeline: dead, {SCHEDULE}}}" for n in range(12)]
HEALTHY = [f"healthy-{n}: {{pipeline: healthy, {SCHEDULE}}}" for n in range(3)]
CALLS = ["dead: {pipeline: dead, http: {}}", "healthy: {pipeline: healthy, http: {}}"]


def hang_in_sending(site: Site) -> float:
    """Run a tick whose POSTs to the dead endpoint hang, and return the seconds that it took."""
    began = site.clock.seconds() // 60 * 60 + 60
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging == CALLS_PER_ENDPOINT)
    wait_for(lambda: site.states("healthy")[State.SUBMITTED] == len(HEALTHY))
    assert not tick.done()
    site.clock.advance(seconds=SENDING.total_seconds())
    tick.result(10)
    return site.clock.seconds() - began


def test_the_tick_sends_what_is_healthy_and_returns_within_its_budget(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*DEAD, *HEALTHY)
    site.tick()
    took = hang_in_sending(site)
    assert took <= BUDGET.total_seconds()
    assert site.states("healthy") == {State.SUBMITTED: 3}
    # What hangs is protected by its lease. What was never sent is due again at once.
    assert site.states("dead") == {State.SUBMITTING: 8, State.PENDING: 4}
    unsent = [one for one in site.submissions("dead") if one.state is State.PENDING]
    assert {one.reason for one in unsent} == {"not sent: the tick had no time left for it"}
    assert all(one.due and one.due <= site.clock.now() + timedelta(seconds=30) for one in unsent)


def test_the_next_ticks_are_on_time_and_claim_and_send_as_if_nothing_hung(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*DEAD, *HEALTHY)
    site.tick()
    hang_in_sending(site)
    for number in range(2, 5):
        report = site.tick()  # time stands still: the tick waits for nothing
        assert len(report.sent) == len(DEAD) + len(HEALTHY)
        assert len(site.workspace.sent("healthy")) == number * len(HEALTHY)
        assert site.states("healthy").keys() <= {State.SUBMITTED, State.FINISHED}
    # The endpoint got no call beyond the eight that hang: what came since says why it waits.
    assert len(site.workspace.sent("dead")) == CALLS_PER_ENDPOINT
    assert site.states("dead") == {State.SUBMITTING: 8, State.PENDING: 4 * 12 - 8}
    newest = site.submissions("dead")[0]
    assert newest.reason == (
        "not sent: the endpoint of pipeline dead has stopped answering. It is tried once a minute"
    )


def test_when_the_calls_end_their_outcomes_are_recorded_and_nothing_is_sent_twice(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*DEAD, *HEALTHY)
    site.tick()
    hang_in_sending(site)
    site.tick()
    site.release()
    assert site.states("dead")[State.UNKNOWN] == CALLS_PER_ENDPOINT
    for _ in range(4):
        site.tick()
    sent = Counter(site.workspace.sent("dead"))
    assert max(sent.values()) == 1
    assert site.states("dead")[State.SUBMITTED] == len(sent) - CALLS_PER_ENDPOINT > 12
    assert site.states("dead")[State.UNKNOWN] == CALLS_PER_ENDPOINT


def test_a_late_run_is_recorded_by_the_thread_that_waited_for_it(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*DEAD, *HEALTHY)
    site.tick()
    hang_in_sending(site)
    site.release(outcome=Outcome(kind=OutcomeKind.STARTED, run_id="late", status=200))
    assert site.states("dead")[State.SUBMITTED] == CALLS_PER_ENDPOINT


def test_due_work_of_healthy_endpoints_is_done_while_another_hangs(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*CALLS)
    site.refuse("dead", 40)
    site.refuse("healthy", 40)
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging == CALLS_PER_ENDPOINT)
    wait_for(lambda: site.states("healthy") == {State.SUBMITTED: 40})
    assert not tick.done()
    site.clock.advance(seconds=BUDGET.total_seconds())
    report = tick.result(10)
    assert (report.due.done, report.due.left) == (40, True)
    assert site.states("dead") == {State.SUBMITTING: 8, State.PENDING: 32}


def test_polls_that_hang_are_not_repeated_by_the_next_ticks(open_site: Callable[..., Site]) -> None:
    site = open_site(*CALLS)
    site.workspace.released.set()
    for number in range(5):
        site.call("dead", str(number))
    site.workspace.released.clear()
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging == 5)
    site.clock.advance(seconds=BUDGET.total_seconds())
    tick.result(10)
    for _ in range(3):
        assert site.tick().due.left
    assert Counter(Counter(site.workspace.reads).values()) == {1: 5}


def test_a_hanging_endpoint_gets_one_trial_a_tick_a_read_if_there_is_one(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*CALLS)
    lose(site, "dead", STRIKES)
    site.refuse("dead", 20)
    posts = len(site.workspace.sent("dead"))
    for number in range(1, 5):
        tick = site.begin_tick()
        wait_for(lambda: site.workspace.hanging == 1)
        site.clock.advance(seconds=BUDGET.total_seconds())
        assert tick.result(10).due.left
        site.release()  # the trial ends, without an answer
        site.workspace.released.clear()
        assert (len(site.workspace.reads), len(site.workspace.sent("dead"))) == (number, posts)


def test_a_trial_that_succeeds_lets_all_others_go(open_site: Callable[..., Site]) -> None:
    site = open_site(*CALLS)
    lose(site, "dead", STRIKES)
    site.refuse("dead", 20)
    site.workspace.released.set()
    site.tick()
    site.tick()
    assert site.states("dead")[State.SUBMITTED] == 20


def lose(site: Site, trigger: str, count: int) -> None:
    """Lose the answers of so many POSTs in a row."""
    site.workspace.released.set()
    site.workspace.outcomes = [LOST] * count
    for number in range(count):
        site.call(trigger, f"lost-{number}")
    site.workspace.outcomes = []
    site.workspace.released.clear()


def test_a_call_for_a_hanging_endpoint_is_accepted_and_not_sent(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(*CALLS)
    lose(site, "dead", STRIKES)
    pending = site.call("dead", "new")
    assert pending.state is State.PENDING
    assert "has stopped answering" in (pending.reason or "")
    assert site.call("healthy", "new").state is State.SUBMITTED
    assert len(site.workspace.sent("dead")) == STRIKES


def test_many_hanging_endpoints_leave_threads_for_the_healthy_one(
    open_site: Callable[..., Site],
) -> None:
    names = [name for name in PIPELINES if name != "healthy"]
    dead = [f"{name}-{n}: {{pipeline: {name}, {SCHEDULE}}}" for name in names for n in range(12)]
    site = open_site(*dead, *HEALTHY)
    site.tick()
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging >= 29)
    site.clock.advance(seconds=SENDING.total_seconds())
    tick.result(10)
    for number in range(1, 4):
        before = len(site.workspace.sent("healthy"))
        site.tick()
        assert len(site.workspace.sent("healthy")) >= before + len(HEALTHY), number
    assert site.states("healthy").keys() == {State.SUBMITTED}
    sent = Counter(site.workspace.posts)
    assert max(sent.values()) == 1


def test_an_outcome_that_the_ledger_does_not_take_after_the_tick_is_logged(
    open_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    broken: list[Fault] = []
    site = open_site(*DEAD, *HEALTHY, fault=lambda _: broken[0] if broken else None)
    site.tick()
    hang_in_sending(site)
    broken.append(Fault.NOT_CARRIED_OUT)
    site.release()
    actions = Counter(record.__dict__.get("action") for record in caplog.records)
    assert actions["outcome_unrecorded"] == CALLS_PER_ENDPOINT
    broken.clear()


def test_an_error_after_the_tick_is_logged(
    open_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    site = open_site(*CALLS)
    release = threading.Event()

    def fail() -> None:
        assert release.wait(10)
        raise ZeroDivisionError("a bug")

    work = Work(site.app.services, [Task(submission="s", endpoint=None, do=fail)])
    waiting = threading.Thread(
        target=work.work_off, kwargs={"until": site.clock.seconds(), "name": "tick-test"}
    )
    waiting.start()
    wait_for(lambda: work.left == [])
    site.clock.advance(seconds=LEAST.total_seconds())
    waiting.join(10)
    release.set()
    end_threads()
    (record,) = caplog.records
    assert record.__dict__["action"] == "work_failed"
    assert "ZeroDivisionError: a bug" in record.getMessage()


def test_a_tick_that_is_late_still_works_on_what_is_due(open_site: Callable[..., Site]) -> None:
    site = open_site(*CALLS)
    site.refuse("healthy", 3)
    site.clock.advance(minutes=1)
    run_tick(site.app.services, budget=timedelta(seconds=-60))
    assert site.states("healthy") == {State.SUBMITTED: 3}


def test_threads_are_bounded_and_come_back() -> None:
    threads, gate = Threads(limit=2), threading.Event()

    def work() -> None:
        assert gate.wait(10)

    assert threads.start(work, name="tick-a")
    assert threads.start(work, name="tick-b")
    assert not threads.start(lambda: None, name="tick-c")
    gate.set()
    end_threads()
    assert threads.start(lambda: None, name="tick-d")
