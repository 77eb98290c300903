"""Chaos runs in CI: a thousand events with faults and crashes, and exactly one run for each event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.environment import IDENTITY_FAULTS
from local.chaos.faults import POST_FAULTS
from local.chaos.options import CRASH_POINTS, ChaosOptions
from local.standins.storage_faults import StorageFault

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.xdist_group("faults"),
    pytest.mark.timeout(900),
]


def test_with_all_faults_and_crashes_each_of_a_thousand_events_starts_exactly_one_run(
    chaos: Callable[[ChaosOptions], Report],
) -> None:
    report = chaos(ChaosOptions(events=1000, seed=20270327))
    assert (report.lost, report.doubled) == (0, 0)
    assert report.checks.problems == []
    assert report.ok
    assert sum(report.checks.states.values()) == 1000
    injected = {fault for fault, number in report.fault_log.injected.items() if number > 0}
    assert {f"POST: {name}" for name in POST_FAULTS} <= injected
    assert {f"storage: {fault}" for fault in StorageFault} <= injected
    assert {f"crash: {point}" for point in CRASH_POINTS} <= injected
    assert any(f"identity: {name}" in injected for name in IDENTITY_FAULTS)


def test_without_faults_each_event_is_sent_once_and_nothing_else(
    chaos: Callable[[ChaosOptions], Report],
) -> None:
    options = ChaosOptions(events=60, seed=1, post_faults=0.0, storage_faults=0.0, crashes=0)
    report = chaos(options)
    assert report.ok
    assert report.checks.states == {"finished": 60}
    assert (report.counts.posts, report.counts.runs, report.counts.crashes) == (60, 60, 0)
