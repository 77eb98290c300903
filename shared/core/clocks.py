"""How far a clock may be ahead of the ledger's own before what it says is not believed."""

from __future__ import annotations

from datetime import datetime, timedelta

CLOCK_TOLERANCE = timedelta(minutes=5)
"""The most that an instance's clock may be ahead. Azure keeps clocks within seconds of each other."""


def is_ahead(instant: datetime | None, ledger_time: datetime | None) -> bool:
    """Return whether an instant of the past, as some clock wrote it, is far ahead of the ledger's own time.

    Args:
        instant: The instant. None: there is none.
        ledger_time: The time of the ledger's service. None: it is not known, and every clock is believed.
    """
    return (
        instant is not None and ledger_time is not None and instant - ledger_time > CLOCK_TOLERANCE
    )
