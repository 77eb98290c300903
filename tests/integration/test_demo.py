"""The demo, as the README's first command runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local import demo

ROOT = Path(__file__).resolve().parents[2]

GOOD = demo.Account(
    planned_events=(demo.PlannedEvent(what="a", trigger="t", run="r", as_expected=True),),
    bodies={"r": {"ExperimentName": "E"}},
)


@pytest.mark.azurite
@pytest.mark.runtime
@pytest.mark.xdist_group("azurite")
def test_the_demo_gives_an_account_of_seven_events_and_four_runs() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    account = json.loads(ran.stdout)
    assert account["ok"] is True
    assert account["complaints"] == []
    runs = [event["run"] for event in account["events"]]
    assert [run is not None for run in runs] == [True, True, False, False, True, True, False]
    assert set(account["bodies"]) == {run for run in runs if run}
    reasons = [event["reason"] for event in account["events"] if event["reason"]]
    assert "sub-folder" in reasons[0]
    assert "*.partial.csv" in reasons[1]
    assert "submission" in reasons[2]


@pytest.mark.parametrize(
    ("planned_events", "bodies", "complaint"),
    [
        ([], {"r": {}}, "0 runs must have been started, and 1 were"),
        (
            [demo.PlannedEvent(what="a", trigger="t", run="r", as_expected=False)],
            {"r": {}},
            "not as expected: a",
        ),
        ([demo.PlannedEvent(what="a", trigger="t", run="r", as_expected=True)], {}, "1 runs must"),
    ],
)
def test_whatever_is_not_as_it_must_be_is_a_complaint(
    planned_events: list[demo.PlannedEvent], bodies: dict[str, object], complaint: str
) -> None:
    complaints = demo.complaints(planned_events, bodies)
    assert any(text.startswith(complaint) for text in complaints)


def test_an_account_with_complaints_is_not_ok() -> None:
    assert json.loads(demo.to_json(GOOD))["ok"] is True
    assert json.loads(demo.to_json(replace(GOOD, complaints=("no",))))["ok"] is False
