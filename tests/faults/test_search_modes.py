"""Misleading searches: no POST is sent twice, and the app holds ambiguous submissions for a person."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.options import ChaosOptions
from local.standins.workspace.search import SearchMode

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize(
    "mode", [SearchMode.BLIND, SearchMode.LAGGING, SearchMode.OTHER_EXPERIMENTS]
)
def test_a_misleading_search_never_leads_to_a_second_run(
    chaos: Callable[[ChaosOptions], Report], mode: SearchMode
) -> None:
    report = chaos(ChaosOptions(events=50, seed=5, search=mode, crashes=1))
    assert (report.lost, report.doubled) == (0, 0)
    assert report.checks.problems == []
    if mode is not SearchMode.LAGGING:
        assert report.checks.states["held"] > 0
