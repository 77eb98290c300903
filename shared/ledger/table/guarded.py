"""A table whose failed reads are `LedgerUnavailable`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.core.errors import LedgerUnavailable
from shared.ledger.table.protocol import (
    PAGE_ROWS,
    Operation,
    Page,
    Row,
    RowConflict,
    RowRefused,
    Table,
    TableUnavailable,
)

WRITE_TRIES = 6
"""How often one write is tried before the ledger counts as unavailable. The client retries on its own below that."""


class GuardedTable:
    """A table that raises the ledger's errors for reads. Writes still say how they failed: the caller must read back.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def transact(self, operations: Sequence[Operation]) -> list[str]:
        """Do as `Table.transact`. What can never be carried out is an error of the app itself.

        Raises:
            RowConflict: A precondition did not hold.
            TableUnavailable: It may have been carried out.
            LedgerUnavailable: It can never be carried out.
        """
        try:
            return list(self._table.transact(operations))
        except RowRefused as error:
            raise unavailable(error) from error

    def make(self, operations: Sequence[Operation]) -> None:
        """Carry out operations whose failure the caller cannot mend.

        Raises:
            LedgerUnavailable: They may not be carried out.
        """
        if operations:
            try:
                self.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                raise unavailable(error) from error

    def get(self, key: str) -> Row | None:
        """Read one row.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        try:
            return self._table.get(key)
        except TableUnavailable as error:
            raise unavailable(error) from error

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """Read a page of rows.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        try:
            return self._table.page(start, end, limit=limit, continuation=continuation)
        except TableUnavailable as error:
            raise unavailable(error) from error

    def range(self, start: str, end: str) -> Iterator[Row]:
        """Read all rows with `start <= key < end`, a page at a time.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        continuation: str | None = None
        while True:
            page = self.page(start, end, continuation=continuation)
            yield from page.rows
            continuation = page.continuation
            if continuation is None:
                return


def unavailable(error: Exception | None) -> LedgerUnavailable:
    """Return the ledger's error for a table's."""
    return LedgerUnavailable(f"the ledger did not answer as it must: {error}")
