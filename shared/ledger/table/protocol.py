"""The interface to a table service: one partition of rows, changed by atomic transactions.

`tests/contract/test_table.py` holds every implementation to these rules:

- A transaction is carried out as a whole or not at all.
- Two operations on one row key are refused.
- Inserting a row that exists fails the transaction. So does merging or deleting with another
  etag, or deleting a missing row.
- A transaction that raised `TableUnavailable` may have been carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

type Value = str | int | bool | bytes
"""A property. Times are text. The service refuses text of more than 32,768 UTF-16 units, and values above 64 KiB."""

MAX_OPERATIONS = 100
"""The most operations in one transaction (Microsoft Learn: Performing entity group transactions)."""

PAGE_ROWS = 1000
"""The most rows in one page of a query (Microsoft Learn: Query timeout and pagination)."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a row that must not exist."""

    key: str
    """The row's key."""
    values: Mapping[str, Value]
    """The row's properties."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Set some properties of a row, and keep its others."""

    key: str
    """The row's key."""
    values: Mapping[str, Value]
    """The properties to set."""
    etag: str | None = None
    """The etag that the row must have. None: any, and a missing row is added."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must exist."""

    key: str
    """The row's key."""
    etag: str | None = None
    """The etag that the row must have. None: any."""


type Operation = Insert | Merge | Delete


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    key: str
    """The row's key."""
    values: Mapping[str, Value]
    """The row's properties."""
    etag: str
    """The row's version."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows."""

    rows: Sequence[Row]
    """The rows, in the order of their keys."""
    continuation: str | None
    """The key of the last row, after which the next page begins. None: this is the last page."""
    date: datetime | None = None
    """The service's own time, from its answer. None: the answer did not say it."""


class Table(Protocol):
    """One partition of a table."""

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """Carry out all operations or none.

        Returns:
            The new etag for each operation, in order. It is empty text for a deletion.

        Raises:
            RowConflict: A precondition did not hold.
            RowRefused: The service refuses the operations. A retry cannot help.
            TableUnavailable: There is no usable answer. The operations may have been carried out.
        """
        ...

    def get(self, key: str) -> Row | None:
        """Return a row, or None if there is no such row.

        Raises:
            RowRefused: The service refuses the key. A retry cannot help.
            TableUnavailable: The service did not answer.
        """
        ...

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """Return a page of the rows with `start <= key < end`, in the order of their keys.

        Args:
            start: The first key of the range.
            end: The first key after the range.
            limit: The most rows to return. More than 1,000 are never returned.
            continuation: The key after which the page begins. None: begin at the start.

        Raises:
            RowRefused: The service refuses the range or the key. A retry cannot help.
            TableUnavailable: The service did not answer.
        """
        ...
