"""The seam to a table service: one partition of rows, changed by atomic transactions.

The rules that every implementation keeps (the contract suite, `tests/contract/test_table.py`, holds them):
a transaction is carried out whole or not at all; two operations on one row key are refused; inserting a row that
exists, merging or deleting with another etag, and deleting a row that is missing each fail the whole; and a transaction
that raised `TableUnavailable` may have been carried out all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

type Value = str | int | bool | bytes
"""A property. Times are text; text above 32,768 UTF-16 units and any value above 64 KiB are refused by the service."""

MAX_OPERATIONS = 100
"""Operations in one transaction (Microsoft Learn: Performing entity group transactions)."""

PAGE_ROWS = 1000
"""Rows in one page of a query (Microsoft Learn: Query timeout and pagination)."""


class RowConflict(Exception):
    """A precondition did not hold: the row exists, is missing or has another etag.

    The transaction was not carried out, unless the client sent it twice and met its own first attempt.
    """


class RowRefused(Exception):
    """The service will never take this operation: too large, or two operations on one row key."""


class TableUnavailable(Exception):
    """No usable answer came; the operation may or may not have been carried out."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a row that must not exist."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Merge:
    """Set some properties of a row and keep its others.

    With an etag the row must have it; without one it is made when missing.
    """

    key: str
    values: Mapping[str, Value]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must exist. With an etag the row must have it."""

    key: str
    etag: str | None = None


type Operation = Insert | Merge | Delete


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows in key order; the service's own `continuation` leads to the next, None ends."""

    rows: Sequence[Row]
    continuation: str | None


class Table(Protocol):
    """One partition of a table."""

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """Carry out all operations or none.

        Returns:
            The new etag for each operation, in order; empty text for a deletion.

        Raises:
            RowConflict: A precondition did not hold.
            RowRefused: It can never be carried out.
            TableUnavailable: Nobody knows.
        """
        ...

    def get(self, key: str) -> Row | None:
        """Read one row.

        Raises:
            TableUnavailable: The service did not answer.
        """
        ...

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """Read rows with `start <= key < end` in key order: at most `limit`, never more than 1,000.

        Raises:
            TableUnavailable: The service did not answer.
        """
        ...
