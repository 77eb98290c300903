"""The chores of a tick: the repair walk, and the counts that `health` shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.engine.services import Services
from shared.ledger.tick import TickState

REPAIR_ROWS = 100
"""Submissions that the repair walk looks at in one tick."""


def keep_house(services: Services, state: TickState, *, now: datetime) -> None:
    """Repair some submissions, count those that need attention, and record where the walk goes on.

    Args:
        services: The app's parts.
        state: The tick's row as this tick has written it.
        now: The current time.

    Raises:
        LedgerUnavailable: The chores are not done. The next tick does them.
    """
    ledger = services.ledger
    position = ledger.due.repair(state.repair_position, now=now, limit=REPAIR_ROWS)
    dead, held = ledger.listings.count_attention()
    ledger.tick.write(replace(state, repair_position=position, dead=dead, held=held))
