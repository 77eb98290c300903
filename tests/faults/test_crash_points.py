"""A process is killed at each point of a submission's way; then the event comes again, and ticks run."""

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
"""Whether a search is needed to know what became of it: whenever the claim is the last that the ledger knows."""


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_process_that_is_killed_leaves_nothing_lost_and_nothing_doubled(
    chaos: Callable[[ChaosOptions], Report], point: str
) -> None:
    report = chaos(ChaosOptions.crash_at(point))
    assert report.counts.deaths == 1
    assert report.book.injected == {f"crash: {point}": 1}
    assert (report.lost, report.doubled) == (0, 0)
    assert report.ok
    assert report.checks.states == {"finished": report.options.events}
    assert (report.counts.searches > 0) is SEARCHED[point]
