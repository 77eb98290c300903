"""A table that raises the ledger's errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.core.errors import LedgerUnavailable
from shared.ledger.table.errors import RowConflict, RowRefused, TableUnavailable
from shared.ledger.table.protocol import PAGE_ROWS, Operation, Page, Row, Table

WRITE_TRIES = 6
"""How often the ledger tries a write before it counts as unavailable. The client below retries on its own, too."""


_FAILED_READS = (TableUnavailable, RowRefused, RowConflict)
"""There is no remedy for any of them. The service answers a read with a conflict if, say, the account is missing."""


class GuardedTable:
    """A table whose failed reads are `LedgerUnavailable`.

    A failed write keeps its own error, since the caller must read the row back to know what happened.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def transact(self, operations: Sequence[Operation]) -> list[str]:
        """Carry out all operations or none, and return the new etags.

        Raises:
            RowConflict: A precondition did not hold.
            TableUnavailable: There is no usable answer. The operations may have been carried out.
            LedgerUnavailable: The service refuses the operations, because one is too large.
        """
        try:
            return list(self._table.transact(operations))
        except RowRefused as error:
            raise unavailable(error) from error

    def make(self, operations: Sequence[Operation]) -> None:
        """Carry out operations for a caller that has no remedy if they fail.

        Raises:
            LedgerUnavailable: The operations failed, or may have failed.
        """
        if operations:
            try:
                self.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                raise unavailable(error) from error

    def get(self, key: str) -> Row | None:
        """Return a row, or None if there is no such row.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        try:
            return self._table.get(key)
        except _FAILED_READS as error:
            raise unavailable(error) from error

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """Return a page of rows. The arguments are those of `Table.page`.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        try:
            return self._table.page(start, end, limit=limit, continuation=continuation)
        except _FAILED_READS as error:
            raise unavailable(error) from error

    def range(self, start: str, end: str) -> Iterator[Row]:
        """Yield all rows with `start <= key < end`, read a page at a time.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        for page in self.pages(start, end):
            yield from page.rows

    def pages(self, start: str, end: str) -> Iterator[Page]:
        """Yield all pages of the rows with `start <= key < end`.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        continuation: str | None = None
        while True:
            page = self.page(start, end, continuation=continuation)
            yield page
            continuation = page.continuation
            if continuation is None:
                return


def unavailable(error: Exception | None) -> LedgerUnavailable:
    """Return the ledger's error for an error of the table."""
    return LedgerUnavailable(f"the ledger did not answer as expected: {error}")
