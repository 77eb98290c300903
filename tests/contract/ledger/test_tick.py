"""The row of the ticks, over every table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from local.testing.app import NOON
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Table
from shared.ledger.tick import TickState

type MakeTable = Callable[..., Table]


def test_the_row_of_the_ticks_comes_back_as_it_was_written(make_table: MakeTable) -> None:
    table = make_table()
    assert Ledger(table).tick.read() == TickState()
    Ledger(table).tick.write(TickState(watermark=NOON, last=NOON + timedelta(seconds=1)))
    assert Ledger(table).tick.read() == TickState(watermark=NOON, last=NOON + timedelta(seconds=1))
