"""The demo, run in the same way as the README's first command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local import demo

ROOT = Path(__file__).resolve().parents[2]

GOOD = demo.DemoReport(
    steps=(demo.DemoStep(action="a", trigger="t", run="r", as_expected=True),),
    bodies={"r": {"ExperimentName": "E"}},
)


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


@pytest.mark.parametrize(
    ("steps", "bodies", "problem"),
    [
        ([], {"r": {}}, "expected 0 runs, but 1 were started"),
        (
            [demo.DemoStep(action="a", trigger="t", run="r", as_expected=False)],
            {"r": {}},
            "not as expected: a",
        ),
        (
            [demo.DemoStep(action="a", trigger="t", run="r", as_expected=True)],
            {},
            "expected 1 runs",
        ),
    ],
)
def test_a_difference_from_the_expected_result_is_a_problem(
    steps: list[demo.DemoStep], bodies: dict[str, object], problem: str
) -> None:
    problems = demo.find_problems(steps, bodies)
    assert any(text.startswith(problem) for text in problems)


def test_a_report_with_problems_is_not_ok() -> None:
    assert demo.to_json(GOOD)["ok"] is True
    assert demo.to_json(replace(GOOD, problems=("no",)))["ok"] is False
