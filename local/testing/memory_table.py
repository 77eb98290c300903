"""A table in memory. It is as strict as the service, counts its calls, and can lose answers as a network does."""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum

from shared.ledger.table.errors import RowConflict, RowRefused, TableUnavailable
from shared.ledger.table.protocol import (
    MAX_OPERATIONS,
    PAGE_ROWS,
    Delete,
    Insert,
    Merge,
    Operation,
    Page,
    Row,
    Value,
)

MAX_TEXT_UNITS = 32 * 1024
MAX_VALUE_BYTES = 64 * 1024
MAX_ROW_BYTES = 1024 * 1024
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
"""The limits of the service (Microsoft Learn, "Understanding the Table service data model")."""


class Fault(Enum):
    """A fault of one call."""

    NOT_CARRIED_OUT = "not carried out"
    """The call never reached the service."""
    ANSWER_LOST = "answer lost"
    """The call was carried out, and its answer was lost."""
    SENT_TWICE = "sent twice"
    """The call was carried out, and the client sent it again by itself. The second attempt meets the first."""


class MemoryTable:
    """A `Table` in this process.

    Args:
        fault: Returns the fault of a call by the call's name (`transact`, `get` or `page`), or None.
        clock: Returns the service's own time, which its pages say. None: they do not say it.
    """

    def __init__(
        self,
        *,
        fault: Callable[[str], Fault | None] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._fault = fault or (lambda _call: None)
        self.clock = clock
        self._rows: dict[str, Row] = {}
        self._keys: list[str] = []
        self._etags = itertools.count(1)
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        """How often each call was made, by its name."""
        self.rows_read = 0
        """How many rows all pages had together."""

    def view(self, fault: Callable[[str], Fault | None] | None = None) -> MemoryTable:
        """Return another table on the same rows, with its own faults and counts, as another process has."""
        view = MemoryTable(fault=fault, clock=self.clock)
        view._rows, view._keys = self._rows, self._keys
        view._etags, view._lock = self._etags, self._lock
        return view

    def load(self, rows: Mapping[str, Mapping[str, Value]]) -> None:
        """Add many new rows at once, without checks and counts, for tests with large tables."""
        with self._lock:
            for key, values in rows.items():
                self._rows[key] = Row(key, values, f'W/"{next(self._etags)}"')
            self._keys[:] = sorted(self._rows)

    def rows(self, prefix: str) -> list[Row]:
        """Return all rows whose keys begin with `prefix`, without faults, counts and pages."""
        with self._lock:
            return [self._rows[key] for key in self._keys if key.startswith(prefix)]

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """See `Table.transact`."""
        fault = self._count("transact")
        if fault is Fault.NOT_CARRIED_OUT:
            raise TableUnavailable("the connection was refused")
        with self._lock:
            etags = self._carry_out(operations)
            if fault is Fault.SENT_TWICE:
                etags = self._carry_out(operations)
        if fault is Fault.ANSWER_LOST:
            raise TableUnavailable("the connection was reset")
        return etags

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        if self._count("get") is not None:
            raise TableUnavailable("the connection was reset")
        with self._lock:
            return self._rows.get(key)

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """See `Table.page`."""
        if self._count("page") is not None:
            raise TableUnavailable("the connection was reset")
        with self._lock:
            first = (
                bisect_left(self._keys, start)
                if continuation is None
                else bisect_right(self._keys, continuation)
            )
            last = bisect_left(self._keys, end)
            stop = min(last, first + min(limit, PAGE_ROWS))
            rows = [self._rows[key] for key in self._keys[first:stop]]
            self.rows_read += len(rows)
            date = self.clock() if self.clock is not None else None
            return Page(rows, rows[-1].key if stop < last else None, date)

    def _count(self, call: str) -> Fault | None:
        with self._lock:
            self.calls[call] += 1
        return self._fault(call)

    def _carry_out(self, operations: Sequence[Operation]) -> list[str]:
        _check_limits(operations)
        for operation in operations:
            self._check_precondition(operation)
        return [self._apply(operation) for operation in operations]

    def _check_precondition(self, operation: Operation) -> None:
        row = self._rows.get(operation.key)
        match operation:
            case Insert() if row is not None:
                raise RowConflict(f"row {operation.key} exists")
            case Delete() if row is None:
                raise RowConflict(f"row {operation.key} is missing")
            case Merge(etag=str() as etag) | Delete(etag=str() as etag) if (
                row is None or row.etag != etag
            ):
                raise RowConflict(f"row {operation.key} is missing or has another etag")
            case _:
                pass

    def _apply(self, operation: Operation) -> str:
        key = operation.key
        if isinstance(operation, Delete):
            del self._rows[key]
            del self._keys[bisect_left(self._keys, key)]
            return ""
        before: Mapping[str, Value] = {}
        if key in self._rows:
            before = self._rows[key].values
        else:
            insort(self._keys, key)
        etag = f'W/"{next(self._etags)}"'
        self._rows[key] = Row(key, {**before, **operation.values}, etag)
        return etag


def _check_limits(operations: Sequence[Operation]) -> None:
    keys = [operation.key for operation in operations]
    if len(set(keys)) != len(keys):
        raise RowRefused("two operations on one row key")
    if len(operations) > MAX_OPERATIONS:
        raise RowRefused(f"more than {MAX_OPERATIONS} operations")
    total = 0
    for operation in operations:
        values = {} if isinstance(operation, Delete) else operation.values
        size = sum(_size(name, value) for name, value in values.items())
        if size > MAX_ROW_BYTES:
            raise RowRefused(f"row {operation.key} is above 1 MiB")
        total += size
    if total > MAX_TRANSACTION_BYTES:
        raise RowRefused("the transaction is above 4 MiB")


def _size(name: str, value: Value) -> int:
    if isinstance(value, str) and len(value.encode("utf-16-le")) > 2 * MAX_TEXT_UNITS:
        raise RowRefused(f"property {name} is above 32,768 characters")
    if isinstance(value, bytes) and len(value) > MAX_VALUE_BYTES:
        raise RowRefused(f"property {name} is above 64 KiB")
    return 2 * len(name) + (len(value) if isinstance(value, bytes) else 2 * len(str(value)))
