"""One trigger's bad row or bug is that trigger's problem: the others go on, and it loses nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.errors import LedgerError, LedgerUnavailable
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State
from shared.core.trigger_state import TriggerState
from shared.engine.accept import skip
from shared.engine.services import Services
from shared.engine.tick import tick as tick_module
from shared.ledger.due import DueRows
from shared.ledger.table.protocol import Delete, Insert, Merge, Row
from shared.ledger.triggers import TriggerRows
from shared.operations.triggers import report_trigger, report_triggers
from shared.schedules.schedule import Schedule
from shared.web.api.views import view_trigger

type MakeBench = Callable[..., Bench]

BAD = 'bad: {pipeline: scoring, schedule: {cron: "*/10 * * * *", catch_up: none}}\n'
TWO = BAD + 'good: {pipeline: scoring, schedule: {cron: "*/10 * * * *", catch_up: all}}\n'
BEHIND = BAD + 'behind: {pipeline: scoring, schedule: {cron: "* * * * *", catch_up: all}}\n'


def at(*minutes: int) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in minutes]


def recorded(found: Bench, name: str) -> list[datetime]:
    return sorted(one.event.time for one in found.submissions() if one.trigger == name)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.__dict__.get("action")) for record in caplog.records]


def edit_submission(found: Bench, time: datetime) -> None:
    """Leave a row for an occurrence that cannot be read."""
    event = ScheduleEvent(trigger="bad", time=time)
    key = f"sub:{deduplication_key(event)}"
    found.table.view().transact([Insert(key, {"schema": 1, "state": "dreaming"})])


def trigger_row(found: Bench, name: str) -> Row:
    """Return the row that holds a trigger's registration."""
    rows = found.table.view().page(f"trigger:{name}", "trigger;").rows
    return next(row for row in rows if row.values.get("source_key"))


def edit_trigger(found: Bench, name: str, **values: str) -> None:
    found.table.view().transact([Merge(trigger_row(found, name).key, values)])


def ticks(found: Bench, minutes: int) -> None:
    for _ in range(minutes):
        found.clock.advance(minutes=1)
        found.app.tick()


def test_an_unreadable_skipped_occurrence_loses_no_other(make_bench: MakeBench) -> None:
    bench = make_bench(BEHIND)
    bench.app.tick()
    edit_submission(bench, NOON + timedelta(minutes=30))
    bench.clock.advance(hours=2)
    bench.app.tick()
    ticks(bench, 3)
    assert recorded(bench, "bad") == at(*[n for n in range(10, 121, 10) if n != 30])
    assert recorded(bench, "behind") == at(*range(1, 124))


def test_a_bug_in_skipping_one_trigger_loses_no_other_and_is_retried(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def buggy_skip(services: Services, missed: Sequence[tuple[ScheduleEvent, str]]) -> None:
        if any(event.time == at(30)[0] for event, _ in missed):
            raise ZeroDivisionError("a bug")
        skip(services, missed)

    bench = make_bench(BEHIND)
    bench.app.tick()
    bench.clock.advance(hours=2)
    monkeypatch.setattr(tick_module, "skip", buggy_skip)
    with pytest.raises(ExceptionGroup, match="unexpected errors"):
        bench.app.tick()
    assert "trigger_failed" in actions(caplog)
    monkeypatch.undo()
    ticks(bench, 3)
    assert recorded(bench, "bad") == at(*range(10, 121, 10))
    assert recorded(bench, "behind") == at(*range(1, 124))


def test_the_common_watermark_stays_if_a_triggers_own_cannot_be_written(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    bench = make_bench(BEHIND)
    bench.app.tick()
    bench.clock.advance(hours=2)
    monkeypatch.setattr(TriggerRows, "move_watermarks", fail)
    with pytest.raises(ExceptionGroup):
        bench.app.tick()
    monkeypatch.undo()
    ticks(bench, 3)
    assert recorded(bench, "behind") == at(*range(1, 124))


def test_a_bug_in_planning_one_trigger_is_that_triggers_and_its_occurrences_are_kept(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(TWO.replace('"*/10 * * * *", catch_up: none', '"5 * * * *", catch_up: all'))
    broken = [True]
    real = Schedule.occurrences

    def occurrences(self: Schedule, **span: datetime) -> object:
        if broken[0] and "5" in self.definition:
            raise ZeroDivisionError("a bug")
        return real(self, **span)

    bench.app.tick()
    monkeypatch.setattr(Schedule, "occurrences", occurrences)
    for _ in range(3):
        bench.clock.advance(minutes=10)
        with pytest.raises(ExceptionGroup):
            bench.app.tick()
    assert recorded(bench, "good") == at(10, 20, 30)
    (record, *_) = [one for one in caplog.records if "trigger_failed" in one.getMessage()]
    assert record.__dict__["trigger"] == "bad"
    broken[0] = False
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert recorded(bench, "bad") == at(5)


EDITS: Mapping[str, Mapping[str, str]] = {
    "text": {"registered_at": "yesterday"},
    "nothing": {"registered_at": ""},
    "first year": {"registered_at": "0001-01-01T00:00:00+14:00"},
    "year 1": {"registered_at": "0001-01-01T00:00:00Z"},
    "last year": {"registered_at": "9999-12-31T23:59:59-14:00"},
    "year 9999": {"registered_at": "9999-12-31T23:59:59Z"},
    "watermark text": {"watermark": "yesterday"},
    "watermark year 1": {"watermark": "0001-01-01T00:00:00Z"},
    "watermark year 9999": {"watermark": "9999-12-31T23:59:59-14:00"},
    "cutoff": {"cutoff": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.parametrize("values", EDITS.values(), ids=EDITS.keys())
def test_an_unreadable_registration_is_logged_and_shown_and_the_others_go_on(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture, values: Mapping[str, str]
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    edit_trigger(bench, "bad", **values)
    ticks(bench, 10)
    assert recorded(bench, "good") == at(10)
    assert recorded(bench, "bad") == []
    assert "trigger_unreadable" in actions(caplog)
    report = report_trigger(bench.app.services, "bad")
    assert report.state.error is not None
    assert trigger_row(bench, "bad").key in report.state.error
    assert [one.state.error for one in report_triggers(bench.app.services)] == [
        report.state.error,
        None,
    ]


DECISIONS: Mapping[str, Mapping[str, str]] = {
    "no JSON": {"disabled_periods": "{"},
    "no list": {"disabled_periods": "7"},
    "no pairs": {"disabled_periods": '["2027-03-27T12:00:00Z"]'},
    "no text": {"disabled_periods": "[[1, 2]]"},
    "too deep": {"disabled_periods": "[" * 30_000},
    "year 1": {"enabled_at": "0001-01-01T00:00:00Z"},
    "year 9999": {"overridden_at": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.parametrize("values", DECISIONS.values(), ids=DECISIONS.keys())
def test_an_unreadable_decision_of_a_person_is_that_triggers(
    make_bench: MakeBench, values: Mapping[str, str]
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    bench.table.view().transact([Merge("trigger:bad", values)])
    ticks(bench, 10)
    assert (recorded(bench, "bad"), recorded(bench, "good")) == ([], at(10))
    assert "trigger:bad cannot be read" in str(
        report_trigger(bench.app.services, "bad").state.error
    )
    bench.table.view().transact([Delete("trigger:bad")])
    ticks(bench, 1)
    assert recorded(bench, "bad") == at(10)


@pytest.mark.parametrize("attempts", [b"[" * 50_000, b"{", b"[7]"])
def test_the_repair_walk_goes_past_a_submission_that_cannot_be_read(
    make_bench: MakeBench, attempts: bytes
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    ticks(bench, 10)
    (row, *_) = bench.table.rows("sub:")
    bench.table.view().transact([Merge(row.key, {"attempts": attempts})])
    ticks(bench, 1)


def test_what_an_unreadable_registration_missed_is_caught_up_when_it_is_mended(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TWO.replace("catch_up: none", "catch_up: all"))
    bench.app.tick()
    registered_at = str(trigger_row(bench, "bad").values["registered_at"])
    edit_trigger(bench, "bad", registered_at="yesterday")
    ticks(bench, 25)
    edit_trigger(bench, "bad", registered_at=registered_at)
    ticks(bench, 1)
    assert recorded(bench, "bad") == at(10, 20)


def test_an_event_of_a_trigger_whose_registration_is_unreadable_is_not_acknowledged(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    edit_trigger(bench, "bad", registered_at="yesterday")
    with pytest.raises(LedgerError, match="cannot be read"):
        bench.app.services.ledger.triggers.register(
            bench.config.triggers["bad"].registration(NOON + timedelta(hours=1)), past_cache=True
        )


def test_an_unreadable_registration_beside_a_lost_race_does_not_stop_the_tick(
    make_bench: MakeBench,
) -> None:
    """The batch of new registrations meets another instance's, so they are registered one by one."""
    left = [Fault.ANSWER_LOST]
    bench = make_bench(TWO, fault=lambda call: left.pop() if call == "transact" and left else None)
    states = bench.app.services.ledger.triggers.register_all(
        trigger.registration(NOON) for trigger in bench.config.triggers.values()
    )
    assert set(states) == {"bad", "good"}
    edit_trigger(bench, "bad", registered_at="yesterday")

    def moved(state: TriggerState) -> TriggerState:
        return state

    with pytest.raises(LedgerError):
        bench.app.services.ledger.triggers.override(
            bench.config.triggers["bad"].registration(NOON), moved
        )


def test_a_ledger_that_fails_while_skipping_moves_no_watermark(make_bench: MakeBench) -> None:
    failing = [False]

    def fault(call: str) -> Fault | None:
        return Fault.NOT_CARRIED_OUT if failing[0] and call == "transact" else None

    bench = make_bench(BEHIND, fault=fault)
    bench.app.tick()
    bench.clock.advance(hours=2)
    failing[0] = True
    with pytest.raises(LedgerUnavailable):
        bench.app.tick()
    failing[0] = False
    ticks(bench, 4)
    assert recorded(bench, "bad") == at(*range(10, 121, 10))
    assert {one.state for one in bench.submissions() if one.trigger == "bad"} == {
        State.SKIPPED,
        State.SUBMITTED,
    }


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), LedgerUnavailable("refused")])
def test_a_chore_that_fails_keeps_no_watermark_from_moving(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    bench = make_bench(TWO)
    bench.app.tick()
    monkeypatch.setattr(DueRows, "repair", fail)
    bench.clock.advance(minutes=1)
    with pytest.raises((ExceptionGroup, LedgerUnavailable)):
        bench.app.tick()
    tick = bench.app.services.ledger.tick.read()
    assert tick.last == bench.clock.now()
    assert [one.watermark for one in tick.versions.values()] == [bench.clock.now()]


def test_the_repair_walk_begins_anew_at_a_position_that_is_no_key(make_bench: MakeBench) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    bench.table.view().transact([Merge("tick", {"repair_position": '{"PartitionKey": "v1"}'})])
    ticks(bench, 1)
    assert bench.app.services.ledger.tick.read().repair_position == ""


def test_a_caller_is_shown_why_a_trigger_starts_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TWO)
    bench.app.tick()
    edit_trigger(bench, "bad", registered_at="yesterday")
    shown = {
        name: view_trigger(report_trigger(bench.app.services, name)) for name in ("bad", "good")
    }
    assert str(shown["bad"].error).endswith("cannot be read: Invalid isoformat string: 'yesterday'")
    assert (shown["bad"].enabled, shown["bad"].next) == (False, [])
    assert shown["good"].error is None
