"""A process is killed at each crash point of a submission. Then its event is delivered again, and ticks run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.options import CRASH_POINTS, ChaosOptions

pytestmark = [pytest.mark.azurite, pytest.mark.xdist_group("faults")]

SEARCHED = {
    "before_claim": False,
    "after_claim": True,
    "after_post": True,
    "before_settle": True,
    "after_settle": False,
}
"""Whether the app must search: it must if the claim is the last thing that the ledger has recorded."""


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_killed_process_leaves_no_event_lost_and_none_doubled(
    chaos: Callable[[ChaosOptions], Report], point: str
) -> None:
    report = chaos(ChaosOptions.crash_at(point))
    assert report.counts.crashes == 1
    assert report.fault_log.injected == {f"crash: {point}": 1}
    assert (report.lost, report.doubled) == (0, 0)
    assert report.ok
    assert report.checks.states == {"finished": report.options.events}
    assert (report.counts.searches > 0) is SEARCHED[point]
