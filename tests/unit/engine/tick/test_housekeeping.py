"""The chores of a tick: the repair walk goes on where it was, and the counts are recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.testing.app import NOON, Bench
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.engine.tick import housekeeping
from shared.ledger.table.protocol import Delete
from tests.unit.engine.calls import LOST, REFUSED, TRIGGERS, start, stored

type MakeBench = Callable[..., Bench]

DEAD = Outcome(kind=OutcomeKind.REFUSED, message="no such pipeline")


def test_a_tick_counts_submissions_that_need_attention(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(3):
        start(bench, DEAD, key=str(number))
    start(bench, LOST, trigger="careful")
    bench.app.tick()
    tick = bench.app.services.ledger.tick.read()
    assert (tick.dead, tick.held) == (3, 1)


def test_the_counts_are_those_after_the_ticks_own_work(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, REFUSED)
    bench.workspace.outcomes = [DEAD]
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert bench.app.services.ledger.tick.read().dead == 1


def test_ticks_repair_a_missing_due_row_within_one_round(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "REPAIR_ROWS", 2)
    bench = make_bench(TRIGGERS)
    sent = [start(bench, REFUSED, key=str(number)) for number in range(5)]
    bench.table.transact([Delete(str(row.due_key)) for row in sent])
    bench.clock.advance(hours=1)
    positions = []
    for _ in range(4):
        bench.clock.advance(minutes=1)
        bench.app.tick()
        positions.append(bench.app.services.ledger.tick.read().repair_position)
    # Two, two and one row: the third tick ends the round, and the fourth begins another.
    assert [bool(position) for position in positions] == [True, True, False, True]
    assert positions[3] == positions[0]
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert {stored(bench, row).state for row in sent} <= {State.SUBMITTED, State.FINISHED}
    assert len(bench.workspace.bodies) == 10


def test_the_chores_keep_the_ticks_own_record(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    bench.app.tick()
    tick = bench.app.services.ledger.tick.read()
    assert (tick.last, tick.repair_position) == (NOON, "")
    assert [one.watermark for one in tick.versions.values()] == [NOON]
    assert (tick.dead, tick.held) == (0, 0)
