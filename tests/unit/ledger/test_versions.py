"""How far the ticks came with each version of the schedules: rows that say which triggers they cover."""

from __future__ import annotations

from datetime import timedelta

import pytest

from local.testing.app import NOON
from local.testing.memory_table import MemoryTable
from shared.core.trigger_state import digest_pair
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Merge, Value
from shared.ledger.tick import TickState, VersionState, version_of

MINUTE = timedelta(minutes=1)


def pairs(*names: str) -> frozenset[bytes]:
    return frozenset(digest_pair(name, f"schedule {name}") for name in names)


def written(table: MemoryTable, names: frozenset[bytes], minutes: int) -> VersionState:
    time = NOON + minutes * MINUTE
    version = VersionState(pairs=names, watermark=time, ticked_at=time)
    Ledger(table).tick.write(TickState(last=time), version)
    return version


def test_a_trigger_is_recorded_up_to_the_latest_watermark_that_covers_it() -> None:
    table = MemoryTable()
    written(table, pairs("a", "b"), 1)
    written(table, pairs("b", "c"), 2)
    state = Ledger(table).tick.read()
    found = {name: state.watermark(*pairs(name)) for name in "abcd"}
    assert found == {"a": NOON + MINUTE, "b": NOON + 2 * MINUTE, "c": NOON + 2 * MINUTE, "d": None}
    assert state.last == NOON + 2 * MINUTE


def test_a_trigger_that_starts_from_something_else_is_not_covered() -> None:
    table = MemoryTable()
    written(table, pairs("a"), 1)
    assert Ledger(table).tick.read().watermark(digest_pair("a", "schedule b")) is None


@pytest.mark.parametrize("count", [0, 1, 8192, 8193, 20_000])
def test_a_version_of_any_size_comes_back(count: int) -> None:
    table = MemoryTable()
    version = written(table, pairs(*map(str, range(count))), 1)
    assert Ledger(table).tick.read().versions == {version_of(version.pairs): version}


def test_the_same_schedules_in_another_order_are_one_version() -> None:
    assert version_of(frozenset([b"1" * 8, b"2" * 8])) == version_of(
        frozenset([b"2" * 8, b"1" * 8])
    )
    assert version_of(pairs("a")) != version_of(pairs("a", "b"))


@pytest.mark.parametrize(
    "values",
    [
        {"watermark": "yesterday"},
        {"watermark": "9999-12-31T23:59:59-14:00"},
        {"pairs_0": "text"},
        {"ticked_at": 7},
    ],
)
def test_an_edited_row_covers_nothing_and_stops_nothing(values: dict[str, Value]) -> None:
    table = MemoryTable()
    version = written(table, pairs("a"), 1)
    table.transact([Merge(f"tick:{version_of(version.pairs)}", values)])
    state = Ledger(table).tick.read()
    assert state.watermark(*pairs("a")) in {None, NOON + MINUTE}
    assert state.last == NOON + MINUTE


def test_forgetting_a_version_twice_is_no_error() -> None:
    table = MemoryTable()
    written(table, pairs("a"), 1)
    versions = Ledger(table).tick.read().versions
    for _ in range(2):
        Ledger(table).tick.forget(versions.items())
    assert Ledger(table).tick.read().versions == {}


def test_a_version_that_has_just_ticked_is_not_forgotten() -> None:
    table = MemoryTable()
    written(table, pairs("a"), 1)
    versions = Ledger(table).tick.read().versions
    written(table, pairs("a"), 2)
    Ledger(table).tick.forget(versions.items())
    assert Ledger(table).tick.read().watermark(*pairs("a")) == NOON + 2 * MINUTE
