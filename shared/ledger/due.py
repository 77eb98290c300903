"""The `due:` rows: what the tick has to work on, sorted by time, and the repair of rows that are missing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from shared.core.errors import LedgerError
from shared.core.submissions import OPEN, Submission
from shared.ledger import rows
from shared.ledger.submissions import Submissions
from shared.ledger.table.errors import RowConflict, TableUnavailable
from shared.ledger.table.guarded import GuardedTable, unavailable
from shared.ledger.table.protocol import Delete, Merge, Page

_SUBMISSION_KEY = re.compile(r"sub:[0-9A-Za-z]{1,64}")


class DueRows:
    """The index of what is due.

    Args:
        table: Where it is.
        submissions: The submissions that it leads to.
    """

    def __init__(self, table: GuardedTable, submissions: Submissions) -> None:
        self._table = table
        self._submissions = submissions

    def page(self, now: datetime, *, after: str | None = None) -> Page:
        """Return a page of the `due:` rows up to now, the longest due first. Each names its trigger and state.

        Args:
            now: The current time.
            after: The key of a row, such as the continuation of a page. Only rows after it are returned.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return self._table.page(*rows.due_range(now), continuation=after)

    def forget(self, key: str) -> None:
        """Remove a `due:` row that leads to nothing any more, because the ledger was edited.

        Raises:
            LedgerUnavailable: The table did not answer. The next tick meets the row again.
        """
        try:
            self._table.transact([Delete(key)])
        except RowConflict:
            return  # another instance removed it
        except TableUnavailable as error:
            raise unavailable(error) from error

    def repair(self, position: str, *, now: datetime, limit: int) -> str:
        """Look at some submissions, and give open ones without a `due:` row a new one.

        Only submissions that are overdue by a lease are looked at closely. A tick works off others before that.

        Args:
            position: The result of the last call, or empty to begin a round.
            now: The current time.
            limit: How many rows to look at.

        Returns:
            Where to go on, or empty if the round is complete.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        # A position that is no key, because the row was edited, would always be refused. The walk begins anew then.
        after = position if _SUBMISSION_KEY.fullmatch(position) else None
        page = self._table.page("sub:", "sub;", limit=limit, continuation=after)
        for row in page.rows:
            try:
                submission = rows.decode_submission(row)
            except LedgerError:
                continue  # the call that needs this row reports it
            if submission.state in OPEN and rows.is_overdue(submission, now):
                key = submission.due_key
                if key is None or self._table.get(key) is None:
                    self._restore(submission, now)
        return page.continuation or ""

    def _restore(self, submission: Submission, now: datetime) -> None:
        """Give an open submission the `due:` row that it has lost."""
        key = submission.due_key
        if key is not None:
            self._table.make([Merge(key, rows.encode_index(submission))])
        else:
            self._submissions.update(
                submission, lambda row: replace(row, due=now) if row.due is None else row
            )
