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
from shared.ledger.tick import TickState, VersionState, version_of

type MakeTable = Callable[..., Table]

VERSION = VersionState(pairs=frozenset([b"schedule"]), watermark=NOON, ticked_at=NOON)
VERSIONS = {version_of(VERSION.pairs): VERSION}
STATE = TickState(last=NOON + timedelta(seconds=1), repair_position="p", versions=VERSIONS)


def test_the_rows_of_the_ticks_come_back_as_they_were_written(make_table: MakeTable) -> None:
    table = make_table()
    assert Ledger(table).tick.read() == TickState()
    Ledger(table).tick.write(STATE, VERSION)
    assert Ledger(table).tick.read() == STATE


def test_counts_stay_until_a_tick_has_counted_again(make_table: MakeTable) -> None:
    tick = Ledger(make_table()).tick
    tick.write(replace(STATE, dead=3, held=0), VERSION)
    assert tick.read() == replace(STATE, dead=3, held=0)
    tick.write(STATE, VERSION)
    assert tick.read() == replace(STATE, dead=3, held=0)


def test_what_was_edited_counts_as_none(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    ledger.tick.write(replace(STATE, dead=1, held=2), VERSION)
    (version,) = VERSIONS
    table.transact(
        [
            Merge("tick", {"last": "yesterday", "dead": "many"}),
            Merge(f"tick:{version}", {"watermark": "yesterday"}),
        ]
    )
    versions = {version: replace(VERSION, watermark=None)}
    assert ledger.tick.read() == replace(STATE, last=None, held=2, versions=versions)


def test_a_table_that_does_not_answer_fails_reads_and_writes(make_table: MakeTable) -> None:
    tick = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT)).tick
    with pytest.raises(LedgerUnavailable):
        tick.read()
    with pytest.raises(LedgerUnavailable):
        tick.write(STATE, VERSION)
