"""`dev.py chaos`: its report and exit code."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli import chaos as command
from local.chaos.checks import Checks, Counts, Report
from local.chaos.faults import FaultLog
from local.chaos.options import ChaosOptions
from local.chaos.workers import WorkerStuck
from local.standins.workspace.search import SearchMode

COUNTS = Counts(
    deliveries=9,
    failed=1,
    ticks=4,
    failed_ticks=0,
    crashes=1,
    posts=3,
    searches=2,
    runs=3,
    hours=1.5,
    seconds=2.0,
)


def fake_run(
    monkeypatch: pytest.MonkeyPatch, checks: Checks, asked: list[ChaosOptions] | None = None
) -> None:
    """Replace the chaos run with one that has this result."""

    def run(options: ChaosOptions, **_: object) -> Report:
        if asked is not None:
            asked.append(options)
        fault_log = FaultLog()
        fault_log.record("POST: 500", "a")
        return Report(options=options, checks=checks, fault_log=fault_log, counts=COUNTS)

    monkeypatch.setattr(command, "run", run)


def test_a_run_without_problems_ends_with_exit_code_0_and_totals_of_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ChaosOptions] = []
    fake_run(monkeypatch, Checks(), asked)
    arguments = ["--events", "3", "--seed", "7", "--search", "blind", "--json"]
    result = CliRunner().invoke(command.chaos, arguments)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["lost"], report["doubled"], report["seed"], report["events"]) == (0, 0, 7, 3)
    assert report["faults"] == [{"fault": "POST: 500", "injected": 1, "lost": 0, "doubled": 0}]
    assert asked == [ChaosOptions(events=3, seed=7, search=SearchMode.BLIND)]


@pytest.mark.parametrize(
    "checks", [Checks(lost=["a"]), Checks(doubled=["a"]), Checks(problems=["a row is gone"])]
)
def test_any_problem_ends_with_exit_code_1(monkeypatch: pytest.MonkeyPatch, checks: Checks) -> None:
    fake_run(monkeypatch, checks)
    result = CliRunner().invoke(command.chaos, ["--seed", "7"])
    assert result.exit_code == 1
    assert "POST: 500" in result.stdout
    assert f"{len(checks.lost)} lost, {len(checks.doubled)} doubled" in result.stdout
    assert all(problem in result.stdout for problem in checks.problems)


def test_a_stuck_worker_is_an_error_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: ChaosOptions, **__: object) -> Report:
        raise WorkerStuck("no worker answered within a minute")

    monkeypatch.setattr(command, "run", run)
    result = CliRunner().invoke(command.chaos, [])
    assert result.exit_code == 1
    assert "no worker answered" in result.stderr
