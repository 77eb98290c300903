"""The ledger: one object that holds the rows of each subject, over one table.

Nothing that it keeps in memory matters for correctness.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.ledger.due import DueRows
from shared.ledger.listings import Listings
from shared.ledger.submissions import Submissions
from shared.ledger.table.guarded import GuardedTable
from shared.ledger.table.protocol import Table
from shared.ledger.tick import TickRows
from shared.ledger.triggers import TriggerRows


class Ledger:
    """Submissions and triggers' state in one table.

    Args:
        table: Where the rows are.
        monotonic: Seconds of a monotonic clock, for the age of claims and of cached rows.
    """

    def __init__(self, table: Table, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        guarded = GuardedTable(table)
        self.submissions = Submissions(guarded, monotonic=monotonic)
        """Claims, and how submissions move on."""
        self.due = DueRows(guarded, self.submissions)
        """What the tick has to work on."""
        self.listings = Listings(guarded)
        """The indexes that people read."""
        self.triggers = TriggerRows(guarded, monotonic=monotonic)
        """What is known of triggers."""
        self.tick = TickRows(guarded)
        """How far the ticks came."""
