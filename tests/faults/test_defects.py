"""Deliberate defects. The harness must detect each of them, or a passing chaos run would mean nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.options import DEFECTS, ChaosOptions
from local.standins.workspace.search import SearchMode

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(900),
]

DETECTED_AS = {
    "settle_before_post": "lost",
    "send_again_on_500": "doubled",
    "trust_blind_search": "doubled",
    "one_token": "doubled",
}


SEEDS = (11, 12, 13, 14)
"""`one_token` shows only if two threads race for one claim. The first seed nearly always leads to that."""


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_deliberate_defect_is_detected(
    chaos: Callable[[ChaosOptions], Report], defect: str
) -> None:
    assert any(is_detected(chaos, defect, seed) for seed in SEEDS)


def is_detected(chaos: Callable[[ChaosOptions], Report], defect: str, seed: int) -> bool:
    blind = defect == "trust_blind_search"
    report = chaos(
        ChaosOptions(
            events=60,
            seed=seed,
            crashes=0,
            post_faults=0.5,
            search=SearchMode.BLIND if blind else SearchMode.NORMAL,
            only_fault="500" if defect == "send_again_on_500" else None,
            defect=defect,
        )
    )
    return getattr(report, DETECTED_AS[defect]) > 0 and not report.ok
