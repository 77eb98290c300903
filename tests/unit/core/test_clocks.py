"""Which instants are too far ahead of the ledger's time to be believed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from local.testing.app import NOON
from shared.core.clocks import CLOCK_TOLERANCE, is_ahead


@pytest.mark.parametrize(
    ("instant", "ledger_time", "ahead"),
    [
        (NOON + CLOCK_TOLERANCE, NOON, False),
        (NOON + CLOCK_TOLERANCE + timedelta.resolution, NOON, True),
        (NOON - timedelta(days=9), NOON, False),
        (None, NOON, False),
        (NOON + timedelta(days=9), None, False),
    ],
)
def test_an_instant_is_ahead_if_it_is_more_than_five_minutes_later(
    instant: datetime | None, ledger_time: datetime | None, ahead: bool
) -> None:
    assert is_ahead(instant, ledger_time) is ahead
