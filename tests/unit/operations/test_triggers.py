"""Overrides of triggers, and reports on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.events import BlobNotification, HttpEvent, Ignored
from shared.core.submissions import Submission
from shared.operations.submissions import start as start_event
from shared.operations.triggers import override, report_trigger, report_triggers

type MakeBench = Callable[..., Bench]


TRIGGERS = """
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
    bench = make_bench(TRIGGERS)
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


def test_without_an_override_the_file_decides_again(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    found = call(bench, "off")
    assert isinstance(found, Ignored)
    assert found.reason == "trigger off is disabled by the triggers file"
    assert override(bench.app.services, "off", True).enabled
    assert isinstance(call(bench, "off"), Submission)
    assert not override(bench.app.services, "off", None).enabled
    assert isinstance(call(bench, "off"), Ignored)


def test_the_same_override_twice_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    first = override(bench.app.services, "call", False, by="ada")
    bench.clock.advance(hours=1)
    assert override(bench.app.services, "call", False, by="bob").state == first.state


def test_an_override_whose_answer_is_lost_is_recorded_once(make_bench: MakeBench) -> None:
    faults: list[Fault] = []
    bench = make_bench(
        TRIGGERS,
        fault=lambda name: faults.pop() if name == "transact" and faults else None,
    )
    bench.app.tick()
    for fault in (Fault.ANSWER_LOST, Fault.NOT_CARRIED_OUT, Fault.SENT_TWICE):
        faults.append(fault)
        off = override(bench.app.services, "call", False)
        assert not off.enabled
        assert override(bench.app.services, "call", True).enabled
        bench.clock.advance(minutes=1)
    assert len(report_trigger(bench.app.services, "call").state.disabled_periods) == 3


def test_occurrences_of_a_disabled_period_are_not_caught_up(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
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


def test_occurrences_of_a_disabled_period_are_not_caught_up_if_the_app_slept(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    bench.app.tick()
    override(bench.app.services, "hourly", False)
    bench.clock.advance(minutes=150)
    override(bench.app.services, "hourly", True)
    bench.app.tick()
    assert bench.workspace.bodies == []


def test_a_blob_that_was_written_while_its_trigger_was_disabled_starts_nothing_later(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
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
    bench = make_bench(TRIGGERS)
    reports = {report.trigger.name: report for report in report_triggers(bench.app.services)}
    assert bench.table.calls["transact"] == 0
    assert reports["hourly"].next[0] == NOON + timedelta(hours=1)
    assert len(reports["hourly"].next) == 5
    call(bench, "call")
    override(bench.app.services, "hourly", False)
    assert report_trigger(bench.app.services, "hourly").next == ()
    (latest,) = report_trigger(bench.app.services, "call").latest
    assert latest.values["state"] == "submitted"
