"""The demo, run in the same way as the README's first command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.azurite
@pytest.mark.runtime
@pytest.mark.xdist_group("azurite")
def test_the_demo_reports_seven_events_and_four_runs() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["ok"] is True
    assert report["problems"] == []
    runs = [event["run"] for event in report["events"]]
    assert [run is not None for run in runs] == [True, True, False, False, True, True, False]
    assert set(report["bodies"]) == {run for run in runs if run}
    reasons = [event["reason"] for event in report["events"] if event["reason"]]
    assert "sub-folder" in reasons[0]
    assert "*.partial.csv" in reasons[1]
    assert "submission" in reasons[2]
