"""The indexes that people read: all submissions, newest first, and those that need attention."""

from __future__ import annotations

from shared.core.submissions import State
from shared.ledger.table.guarded import GuardedTable
from shared.ledger.table.protocol import Page

MAX_COUNT_PAGES = 10
"""Pages of 1,000 that a count reads at most."""


class Listings:
    """The `log:` and `attention:` rows.

    Args:
        table: Where they are.
    """

    def __init__(self, table: GuardedTable) -> None:
        self._table = table

    def log(self, *, limit: int, after: str | None = None) -> Page:
        """Return a page of the `log:` rows, newest first. Each carries trigger, state, source, time and run.

        Args:
            limit: The most rows to return.
            after: The key of the last row that was seen.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return self._table.page("log:", "log;", limit=limit, continuation=after)

    def attention(self, state: State, *, limit: int, after: str | None = None) -> Page:
        """Return a page of the `attention:` rows of `dead` or `held` submissions. The arguments are those of `log`.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        prefix = f"attention:{state}"
        return self._table.page(f"{prefix}:", f"{prefix};", limit=limit, continuation=after)

    def count_attention(self) -> tuple[int, int]:
        """Return how many submissions are dead and how many held. Of more than 10,000 only those are counted.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        counts = {State.DEAD: 0, State.HELD: 0}
        continuation: str | None = None
        for _ in range(MAX_COUNT_PAGES):
            page = self._table.page("attention:", "attention;", continuation=continuation)
            for row in page.rows:
                state = row.key.split(":")[1]
                if state in counts:
                    counts[State(state)] += 1
            continuation = page.continuation
            if continuation is None:
                break
        return counts[State.DEAD], counts[State.HELD]
