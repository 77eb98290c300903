"""The rules of `Table`, over every implementation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from local.testing.memory_table import Fault
from shared.ledger.table.errors import RowConflict, RowRefused, TableUnavailable
from shared.ledger.table.protocol import Delete, Insert, Merge, Table, Value

type MakeTable = Callable[..., Table]


def once(call: str, fault: Fault) -> Callable[[str], Fault | None]:
    """Return a fault for the first such call only."""
    left = [fault]
    return lambda name: left.pop() if name == call and left else None


def test_a_row_comes_back_with_all_types_of_property(make_table: MakeTable) -> None:
    table = make_table()
    values: dict[str, Value] = {
        "text": "añb 😀 'quoted'",
        "number": 7,
        "flag": True,
        "data": b"\x00\xff",
        "empty": "",
    }
    (etag,) = table.transact([Insert("sub:1", values)])
    row = table.get("sub:1")
    assert row is not None
    assert dict(row.values) == values
    assert (row.key, row.etag) == ("sub:1", etag)


def test_a_missing_row_is_none_also_while_the_table_is_missing(make_table: MakeTable) -> None:
    table = make_table()
    assert table.get("sub:1") is None
    table.transact([Insert("sub:2", {})])
    assert table.get("sub:1") is None


def test_a_query_of_a_missing_table_is_empty(make_table: MakeTable) -> None:
    page = make_table().page("a", "z")
    assert (list(page.rows), page.continuation) == ([], None)


def test_a_transaction_is_carried_out_whole_or_not_at_all(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("sub:1", {"n": 1})])
    with pytest.raises(RowConflict):
        table.transact([Insert("sub:2", {"n": 2}), Insert("sub:1", {"n": 3})])
    assert table.get("sub:2") is None


def test_two_operations_on_one_row_key_are_refused(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("due:1", {})])
    with pytest.raises(RowRefused):
        table.transact([Delete("due:1"), Insert("due:1", {})])
    assert table.get("due:1") is not None


def test_deleting_a_missing_row_fails_the_whole_transaction(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("sub:1", {"n": 1})])
    with pytest.raises(RowConflict):
        table.transact([Merge("sub:1", {"n": 2}), Delete("due:1")])
    row = table.get("sub:1")
    assert row is not None
    assert row.values["n"] == 1


def test_a_merge_keeps_the_properties_it_does_not_name(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("sub:1", {"mine": 1, "theirs": "x"})])
    table.transact([Merge("sub:1", {"mine": 2})])
    row = table.get("sub:1")
    assert row is not None
    assert dict(row.values) == {"mine": 2, "theirs": "x"}


def test_a_merge_without_an_etag_makes_a_missing_row(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Merge("tick", {"n": 1})])
    assert table.get("tick") is not None


def test_a_merge_with_a_stale_etag_conflicts(make_table: MakeTable) -> None:
    table = make_table()
    (stale,) = table.transact([Insert("sub:1", {"n": 1})])
    table.transact([Merge("sub:1", {"n": 2}, stale)])
    with pytest.raises(RowConflict):
        table.transact([Merge("sub:1", {"n": 3}, stale)])


def test_a_merge_with_an_etag_of_a_missing_row_conflicts(make_table: MakeTable) -> None:
    table = make_table()
    (etag,) = table.transact([Insert("sub:1", {})])
    table.transact([Delete("sub:1")])
    with pytest.raises(RowConflict):
        table.transact([Merge("sub:1", {"n": 3}, etag)])


def test_a_deletion_with_a_stale_etag_conflicts(make_table: MakeTable) -> None:
    table = make_table()
    (stale,) = table.transact([Insert("sub:1", {"n": 1})])
    (etag,) = table.transact([Merge("sub:1", {"n": 2})])
    with pytest.raises(RowConflict):
        table.transact([Delete("sub:1", stale)])
    table.transact([Delete("sub:1", etag)])
    assert table.get("sub:1") is None


def test_a_text_above_32_k_characters_is_refused_and_as_bytes_it_is_kept(
    make_table: MakeTable,
) -> None:
    table = make_table()
    with pytest.raises(RowRefused):
        table.transact([Insert("sub:1", {"text": "x" * 32_769})])
    table.transact([Insert("sub:1", {"text": "x" * 32_768, "data": b"x" * 65_536})])
    row = table.get("sub:1")
    assert row is not None
    assert row.values["data"] == b"x" * 65_536


def test_a_property_above_64_kib_is_refused(make_table: MakeTable) -> None:
    table = make_table()
    with pytest.raises(RowRefused):
        table.transact([Insert("sub:1", {"data": b"x" * 65_537})])


def test_more_than_a_hundred_operations_are_refused(make_table: MakeTable) -> None:
    table = make_table()
    with pytest.raises(RowRefused):
        table.transact([Insert(f"sub:{n}", {}) for n in range(101)])
    table.transact([Insert(f"sub:{n}", {}) for n in range(100)])


def test_pages_follow_each_other_in_key_order_within_the_range(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert(f"due:{n:02}", {"n": n}) for n in range(50)])
    table.transact([Insert("log:1", {}), Insert("a", {})])
    found: list[str] = []
    continuation: str | None = None
    for _ in range(10):
        page = table.page("due:05", "due:42", limit=10, continuation=continuation)
        assert len(page.rows) <= 10
        found += [row.key for row in page.rows]
        continuation = page.continuation
        if continuation is None:
            break
    assert found == [f"due:{n:02}" for n in range(5, 42)]


def test_a_page_ends_with_its_last_key_also_if_that_row_is_deleted_meanwhile(
    make_table: MakeTable,
) -> None:
    table = make_table()
    table.transact([Insert(f"sub:{n}", {}) for n in range(5)])
    page = table.page("sub:", "sub;", limit=2)
    assert page.continuation == "sub:1"
    table.transact([Delete("sub:1"), Delete("sub:2")])
    page = table.page("sub:", "sub;", limit=2, continuation=page.continuation)
    assert ([row.key for row in page.rows], page.continuation) == (["sub:3", "sub:4"], None)


def test_a_page_says_the_services_own_time_if_it_is_known(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("sub:1", {})])
    date = table.page("sub:", "sub;").date
    assert date is None or abs(datetime.now(UTC) - date) < timedelta(minutes=2)


def test_of_64_threads_that_insert_one_row_one_wins(make_table: MakeTable) -> None:
    table = make_table()
    table.transact([Insert("warm", {})])

    def insert(number: int) -> bool:
        try:
            table.transact([Insert("sub:1", {"n": number}), Insert(f"due:{number}", {})])
        except (RowConflict, TableUnavailable):
            return False
        return True

    with ThreadPoolExecutor(64) as threads:
        won = sum(threads.map(insert, range(64)))
    row = table.get("sub:1")
    assert row is not None
    assert won <= 1
    page = table.page("due:", "due;")
    assert [found.key for found in page.rows] == [f"due:{row.values['n']!s}"]


def test_a_lost_answer_is_unavailable_though_it_was_carried_out(make_table: MakeTable) -> None:
    make_table().transact([Insert("warm", {})])
    table = make_table(once("transact", Fault.ANSWER_LOST))
    with pytest.raises(TableUnavailable):
        table.transact([Insert("sub:1", {"n": 1})])
    assert table.get("sub:1") is not None


def test_a_transaction_that_the_client_sent_twice_meets_itself(make_table: MakeTable) -> None:
    make_table().transact([Insert("warm", {})])
    table = make_table(once("transact", Fault.SENT_TWICE))
    with pytest.raises(RowConflict):
        table.transact([Insert("sub:1", {"n": 1})])
    assert table.get("sub:1") is not None


def test_a_service_that_cannot_be_reached_is_unavailable(make_table: MakeTable) -> None:
    table = make_table(lambda _call: Fault.NOT_CARRIED_OUT)
    with pytest.raises(TableUnavailable):
        table.transact([Insert("sub:1", {})])
    with pytest.raises(TableUnavailable):
        table.get("sub:1")
    with pytest.raises(TableUnavailable):
        table.page("a", "z")
