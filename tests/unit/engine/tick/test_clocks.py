"""Clocks that go back, and instances whose clocks differ: every occurrence is recorded, and recorded once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.testing.app import HEAD, NOON, Bench, bench
from local.testing.memory_table import Fault
from shared.core.errors import ClockAhead, LedgerUnavailable
from shared.core.submissions import State
from shared.core.trigger_state import GRACE
from shared.engine.tick import occurrences
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Merge
from shared.operations.triggers import override

type MakeBench = Callable[..., Bench]

EVERY_MINUTE = 't: {pipeline: scoring, schedule: {cron: "* * * * *", catch_up: all}}\n'


def at(*minutes: int) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in minutes]


def recorded(found: Bench) -> list[datetime]:
    return sorted(one.event.time for one in found.submissions())


def own_watermark(found: Bench, name: str = "t") -> datetime | None:
    ledger = Ledger(found.table.view())
    return ledger.triggers.read_states([found.config.triggers[name].registration(NOON)])[
        name
    ].watermark


def run_until_caught_up(found: Bench) -> None:
    for _ in range(400):
        found.app.tick()
        if all(own_watermark(found, name) is None for name in found.config.triggers):
            return
    pytest.fail("it never caught up")


def test_a_tick_whose_clock_is_behind_does_not_forget_what_a_late_trigger_has_to_do(
    make_bench: MakeBench,
) -> None:
    found = make_bench(EVERY_MINUTE)
    behind = found.restarted(skew=timedelta(minutes=-50))
    found.app.tick()
    found.clock.advance(hours=1)
    found.app.tick()
    assert own_watermark(found) == NOON + timedelta(minutes=occurrences.RUNS_PER_TICK)
    behind.app.tick()
    assert own_watermark(found) == NOON + timedelta(minutes=occurrences.RUNS_PER_TICK)
    found.app.tick()
    assert recorded(found) == at(*range(1, 61))


def test_a_tick_whose_clock_is_behind_keeps_what_it_could_not_reach(make_bench: MakeBench) -> None:
    found = make_bench(EVERY_MINUTE)
    behind = found.restarted(skew=timedelta(minutes=-4))
    found.app.tick()
    found.clock.advance(hours=1)
    found.app.tick()
    behind.app.tick()
    assert own_watermark(found) == NOON + timedelta(minutes=56)
    found.app.tick()
    assert recorded(found) == at(*range(1, 61))
    assert own_watermark(found) is None


class Deaths:
    """A process that dies after so many writes: whatever it would still write is not carried out."""

    def __init__(self) -> None:
        self.writes: int | None = None

    def fault(self, call: str) -> Fault | None:
        if self.writes is None or call != "transact":
            return None
        self.writes -= 1
        return Fault.NOT_CARRIED_OUT if self.writes < 0 else None

    def tick(self, instance: Bench, *, writes: int | None) -> None:
        self.writes = writes
        with contextlib.suppress(LedgerUnavailable):
            instance.app.tick()
        self.writes = None


TRIGGERS = """
  a: {pipeline: scoring, schedule: {frequency: minute, interval: 7, catch_up: all, catch_up_window: 30d}}
  b: {pipeline: scoring, schedule: {cron: "*/20 2-14 * * *", catch_up: latest, time_zone: Europe/Berlin}}
  c: {pipeline: scoring, schedule: {frequency: hour, interval: 3, catch_up: none, run_at_start: true}}
"""

SKEWS = (0, 45, -40, -200, 7)
"""How far the clocks of the instances are ahead, in seconds."""


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(-90, 400),
            st.integers(0, len(SKEWS) - 1),
            st.one_of(st.none(), st.integers(0, 6)),
        ),
        min_size=1,
        max_size=10,
    ),
    second=st.integers(0, 59),
)
def test_every_occurrence_is_recorded_once_however_clocks_differ_and_go_back(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int, int | None]],
    second: int,
) -> None:
    """Ticks of instances with wrong clocks, a time that goes back, deaths, and a backlog that lasts many ticks."""
    file = tmp_path_factory.mktemp("file") / "triggers.yaml"
    file.write_text(HEAD + TRIGGERS)
    deaths = Deaths()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occurrences, "RUNS_PER_TICK", 6)
        patch.setattr(occurrences, "SKIPS_PER_TICK", 9)
        cut, whole = bench(file, fault=deaths.fault), bench(file)
        instances = [cut.restarted(skew=timedelta(seconds=seconds)) for seconds in SKEWS]
        for found in (cut, whole):
            found.clock.advance(seconds=second)
            found.app.tick()
        latest = cut.clock.now()
        for minutes, instance, writes in steps:
            cut.clock.time = max(cut.clock.time + timedelta(minutes=minutes), NOON)
            deaths.tick(instances[instance], writes=writes)
            latest = max(latest, cut.clock.now())
        for found in (cut, whole):
            found.clock.time = latest + timedelta(minutes=1)
            run_until_caught_up(found)
    assert recorded(cut) == recorded(whole)
    ids = [one.id for one in cut.submissions()]
    assert len(set(ids)) == len(ids)
    ran = [one for one in cut.submissions() if one.state is not State.SKIPPED]
    assert len(cut.workspace.bodies) <= len(ran)
    assert {one.id for one in cut.submissions() if one.trigger == "a"} <= {one.id for one in ran}


TWO_DAYS = timedelta(hours=51)


@pytest.fixture
def dated(make_bench: MakeBench) -> Bench:
    """Return an app that has ticked, and whose table says its own time."""
    found = make_bench(EVERY_MINUTE.replace("* * * * *", "*/10 * * * *"))
    found.table.clock = found.clock.now
    found.app.tick()
    return found


def pass_time(found: Bench, minutes: int) -> None:
    for _ in range(minutes):
        found.clock.advance(minutes=1)
        found.app.tick()


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.__dict__.get("action")) for record in caplog.records]


@pytest.mark.parametrize("seconds", [-100_000, -301, 0, 299])
def test_a_clock_that_is_not_far_ahead_ticks(dated: Bench, seconds: int) -> None:
    dated.restarted(skew=timedelta(seconds=seconds)).app.tick()
    pass_time(dated, 20)
    assert recorded(dated) == at(10, 20)


@pytest.mark.parametrize("skew", [timedelta(seconds=302), TWO_DAYS])
def test_a_tick_whose_clock_is_ahead_of_the_tables_refuses_and_records_nothing(
    dated: Bench, caplog: pytest.LogCaptureFixture, skew: timedelta
) -> None:
    ahead = dated.restarted(skew=skew)
    before = [(row.key, row.etag) for row in dated.table.rows("")]
    with pytest.raises(ClockAhead, match="ahead of the ledger's"):
        ahead.app.tick()
    assert [(row.key, row.etag) for row in dated.table.rows("")] == before
    assert "clock_ahead" in actions(caplog)
    pass_time(dated, 20)
    assert recorded(dated) == at(10, 20)


def test_a_watermark_that_is_ahead_of_the_tables_time_is_cut(
    dated: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    dated.table.clock = None
    dated.restarted(skew=TWO_DAYS).app.tick()
    count = len(recorded(dated))
    dated.table.clock = dated.clock.now
    pass_time(dated, 30)
    assert "stored_time_ahead" in actions(caplog)
    assert set(at(10, 20, 30)) <= set(recorded(dated))
    assert len(recorded(dated)) == count  # the clock that was ahead has recorded them, too
    versions = dated.app.services.ledger.tick.read().versions
    assert [one.watermark for one in versions.values()] == [dated.clock.now()]
    caplog.clear()
    pass_time(dated, 1)
    assert "stored_time_ahead" not in actions(caplog)


@pytest.mark.parametrize("row", ["tick:", "trigger:t:"])
def test_no_stored_time_that_is_ahead_skips_what_comes(dated: Bench, row: str) -> None:
    far = "2027-03-29T15:00:00Z"
    key = dated.table.rows(row)[0].key
    dated.table.view().transact([Merge(key, {"watermark": far}), Merge("tick", {"last": far})])
    pass_time(dated, 30)
    assert recorded(dated) == at(10, 20, 30)
    assert own_watermark(dated) is None


def test_enabled_by_a_clock_that_is_ahead_counts_from_now(dated: Bench) -> None:
    ahead = dated.restarted(skew=TWO_DAYS)
    override(ahead.app.services, "t", False)
    override(ahead.app.services, "t", True)
    pass_time(dated, 30)
    assert recorded(dated) == at(10, 20, 30)


def test_a_registration_by_a_clock_that_is_ahead_counts_as_new(make_bench: MakeBench) -> None:
    found = make_bench(EVERY_MINUTE + "b: {pipeline: scoring, blob: {datastore: lake}}\n")
    found.table.clock = found.clock.now
    ahead = found.restarted(skew=TWO_DAYS)
    for trigger in found.config.triggers.values():
        ahead.app.services.ledger.triggers.register(
            trigger.registration(found.clock.now() + TWO_DAYS)
        )
    pass_time(found, 3)
    assert recorded(found) == at(2, 3)
    states = found.app.services.ledger.triggers.read_states(
        [found.config.triggers["b"].registration(found.clock.now())]
    )
    assert states["b"].cutoff == NOON + timedelta(minutes=1) - GRACE


def test_without_a_date_of_the_table_every_clock_ticks(make_bench: MakeBench) -> None:
    found = make_bench(EVERY_MINUTE)
    found.restarted(skew=TWO_DAYS).app.tick()
