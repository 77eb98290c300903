"""How a table's errors become the ledger's."""

from __future__ import annotations

import pytest

from local.testing.memory_table import Fault, MemoryTable
from shared.core.errors import LedgerUnavailable
from shared.ledger.table.errors import RowConflict, TableUnavailable
from shared.ledger.table.guarded import GuardedTable
from shared.ledger.table.protocol import Insert


def faulty() -> GuardedTable:
    return GuardedTable(MemoryTable(fault=lambda _call: Fault.NOT_CARRIED_OUT))


def test_a_failed_read_means_that_the_ledger_is_unavailable() -> None:
    table = faulty()
    for read in (
        lambda: table.get("a"),
        lambda: table.page("a", "b"),
        lambda: list(table.range("a", "b")),
    ):
        with pytest.raises(LedgerUnavailable, match="did not answer"):
            read()


def test_a_failed_write_says_how_it_failed_so_that_the_caller_reads_back() -> None:
    with pytest.raises(TableUnavailable):
        faulty().transact([Insert("a", {})])
    table = GuardedTable(MemoryTable())
    table.transact([Insert("a", {})])
    with pytest.raises(RowConflict):
        table.transact([Insert("a", {})])


def test_a_write_that_can_never_be_carried_out_is_no_conflict() -> None:
    with pytest.raises(LedgerUnavailable, match="above 64 KiB"):
        GuardedTable(MemoryTable()).transact([Insert("a", {"body": b"x" * 65_537})])


def test_a_write_without_a_remedy_fails_as_unavailable() -> None:
    with pytest.raises(LedgerUnavailable):
        faulty().make([Insert("a", {})])
    table = GuardedTable(MemoryTable())
    table.make([Insert("a", {})])
    with pytest.raises(LedgerUnavailable):
        table.make([Insert("a", {})])


def test_no_operations_cost_no_call() -> None:
    faulty().make([])


def test_a_range_is_read_a_page_at_a_time() -> None:
    memory = MemoryTable()
    memory.load({f"a:{number:04}": {} for number in range(2_500)} | {"b": {}})
    keys = [row.key for row in GuardedTable(memory).range("a:", "a;")]
    assert keys == [f"a:{number:04}" for number in range(2_500)]
    assert memory.calls == {"page": 3}
