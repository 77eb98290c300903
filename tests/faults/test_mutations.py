"""Deliberate mistakes: each must be noticed, or the other tests of this folder would prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.options import BUGS, ChaosOptions
from local.standins.workspace.search import SearchMode

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(900),
]

NOTICED = {
    "settle_before_post": "lost",
    "send_again_on_500": "doubled",
    "trust_blind_search": "doubled",
    "one_token": "doubled",
}


SEEDS = (11, 12, 13, 14)
"""One token for a whole process shows only when two threads race for one claim; the first seed nearly always does."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_deliberate_mistake_is_noticed(chaos: Callable[[ChaosOptions], Report], bug: str) -> None:
    assert any(is_noticed(chaos, bug, seed) for seed in SEEDS)


def is_noticed(chaos: Callable[[ChaosOptions], Report], bug: str, seed: int) -> bool:
    blind = bug == "trust_blind_search"
    report = chaos(
        ChaosOptions(
            events=60,
            seed=seed,
            crashes=0,
            post_faults=0.5,
            search=SearchMode.BLIND if blind else SearchMode.NORMAL,
            only_fault="500" if bug == "send_again_on_500" else None,
            bug=bug,
        )
    )
    return getattr(report, NOTICED[bug]) > 0 and not report.ok
