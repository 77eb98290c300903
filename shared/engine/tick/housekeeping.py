"""The housekeeping of a tick: the repair walk, the counts that `health` shows, and versions no longer at work."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.engine.services import Services
from shared.ledger.tick import TickState, VersionState

REPAIR_ROWS = 100
"""Submissions that the repair walk looks at in one tick."""

VERSION_KEPT = timedelta(days=7)
"""How long the row of a version of the file's schedules is kept while only others tick."""

VERSIONS_PER_TICK = 5
"""Rows of versions that one tick deletes."""


def keep_house(
    services: Services, state: TickState, version: VersionState, *, now: datetime
) -> None:
    """Repair some submissions, count those that need attention, and record this and how far the tick has come.

    A chore that fails keeps no watermark from being recorded.

    Args:
        services: The app's parts.
        state: What all ticks share, as this tick has written it.
        version: The row of this tick's version of the file, likewise.
        now: The current time.

    Raises:
        LedgerUnavailable: It is not done. The next tick does it.
    """
    ledger = services.ledger
    try:
        position = ledger.due.repair(state.repair_position, now=now, limit=REPAIR_ROWS)
        dead, held = ledger.listings.count_attention()
        state = replace(state, repair_position=position, dead=dead, held=held)
    finally:
        ledger.tick.write(state, version)


def forget_versions(services: Services, before: TickState) -> None:
    """Delete the rows of versions that have not ticked for long while others have.

    Only a tick that has moved its own watermark may do this: what the others had recorded is covered by it then.

    Args:
        services: The app's parts.
        before: How far the ticks had come before this one.

    Raises:
        LedgerUnavailable: The next tick does it.
    """
    last = before.last
    if last is None:
        return
    gone = [
        (version, state)
        for version, state in before.versions.items()
        if state.ticked_at is None or last - state.ticked_at > VERSION_KEPT
    ]
    services.ledger.tick.forget(gone[:VERSIONS_PER_TICK])
