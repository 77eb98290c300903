"""The row of the ticks, over every table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from local.testing.app import NOON
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Merge, Table
from shared.ledger.tick import TickState

type MakeTable = Callable[..., Table]

STATE = TickState(watermark=NOON, last=NOON + timedelta(seconds=1), repair_position="p")


def test_the_row_of_the_ticks_comes_back_as_it_was_written(make_table: MakeTable) -> None:
    table = make_table()
    assert Ledger(table).tick.read() == TickState()
    Ledger(table).tick.write(TickState(watermark=NOON, last=NOON + timedelta(seconds=1)))
    assert Ledger(table).tick.read() == TickState(watermark=NOON, last=NOON + timedelta(seconds=1))


def test_counts_stay_until_a_tick_has_counted_again(make_table: MakeTable) -> None:
    tick = Ledger(make_table()).tick
    tick.write(replace(STATE, dead=3, held=0))
    assert tick.read() == replace(STATE, dead=3, held=0)
    tick.write(STATE)
    assert tick.read() == replace(STATE, dead=3, held=0)


def test_an_edited_watermark_counts_as_none(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    ledger.tick.write(replace(STATE, dead=1, held=2))
    table.transact([Merge("tick", {"watermark": "yesterday", "dead": "many"})])
    assert ledger.tick.read() == replace(STATE, watermark=None, held=2)


def test_a_table_that_does_not_answer_fails_reads_and_writes(make_table: MakeTable) -> None:
    tick = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT)).tick
    with pytest.raises(LedgerUnavailable):
        tick.read()
    with pytest.raises(LedgerUnavailable):
        tick.write(STATE)
