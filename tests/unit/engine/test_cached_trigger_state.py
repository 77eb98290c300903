"""What a process has cached of a trigger never makes it ignore an event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.testing.app import NOON, Bench
from shared.core.decisions import RUN_NOW
from shared.core.events import BlobNotification, Ignored, ScheduleEvent
from shared.core.submissions import Decision, Submission
from shared.operations.submissions import start
from shared.operations.triggers import override

type MakeBench = Callable[..., Bench]

NEW_DATA = "new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}\n"


def upload(bench: Bench, name: str, *, at: Bench | None = None) -> Submission | Ignored:
    path = f"incoming/{name}"
    bench.blobs.put(path, bench.clock)
    notification = BlobNotification(trigger="new-data", container="data", path=path)
    return start((at or bench).app.services, notification)


@pytest.mark.parametrize("seconds", [0, 1, 29, 31])
def test_an_upload_right_after_another_instance_enabled_the_trigger_starts_its_run(
    make_bench: MakeBench, seconds: int
) -> None:
    bench = make_bench(NEW_DATA)
    other = bench.restarted()
    override(bench.app.services, "new-data", False)
    assert isinstance(upload(bench, "a", at=other), Ignored)
    bench.clock.advance(seconds=5)
    override(bench.app.services, "new-data", True)
    bench.clock.advance(seconds=seconds)
    assert isinstance(upload(bench, "b", at=other), Submission)


def test_an_event_that_the_state_lets_through_reads_nothing_more(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    upload(bench, "a")
    before = bench.table.calls.copy()
    upload(bench, "b")
    assert bench.table.calls - before == {"transact": 2}


def test_of_many_old_blobs_that_are_ignored_none_reads_past_the_cache(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA)
    for number in range(5):
        bench.blobs.put(f"incoming/{number}", bench.clock)
    bench.clock.advance(hours=3)
    upload(bench, "new")
    before = bench.table.calls.copy()
    for number in range(5):
        path = f"incoming/{number}"
        notification = BlobNotification(trigger="new-data", container="data", path=path)
        assert isinstance(start(bench.app.services, notification), Ignored)
    assert (bench.table.calls - before).total() == 0


def test_a_disabled_schedule_costs_a_tick_nothing(make_bench: MakeBench) -> None:
    bench = make_bench('t: {pipeline: scoring, schedule: {cron: "* * * * *"}}\n')
    bench.app.tick()
    override(bench.app.services, "t", False)
    for _ in range(3):
        before = bench.table.calls.copy()
        bench.clock.advance(minutes=1)
        bench.app.tick()
        assert (bench.table.calls - before).total() == 6


def test_run_now_right_after_another_instance_enabled_the_trigger_starts_its_run(
    make_bench: MakeBench,
) -> None:
    bench = make_bench('t: {pipeline: scoring, schedule: {cron: "* * * * *"}}\n')
    other = bench.restarted()
    override(bench.app.services, "t", False)
    event = ScheduleEvent(trigger="t", time=NOON)
    decision = Decision(time=NOON, action=RUN_NOW, by=None)
    assert isinstance(start(other.app.services, event, decision=decision), Ignored)
    override(bench.app.services, "t", True)
    assert isinstance(start(other.app.services, event, decision=decision), Submission)
