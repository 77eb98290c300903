"""`dev.py chaos`: its report and its exit code."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli import chaos as command
from local.chaos.checks import Checks, Counts, Report
from local.chaos.faults import FaultBook
from local.chaos.options import ChaosOptions
from local.chaos.workers import WorkerStuck
from local.standins.workspace.search import SearchMode

COUNTS = Counts(
    deliveries=9,
    failed=1,
    ticks=4,
    failed_ticks=0,
    deaths=1,
    posts=3,
    searches=2,
    runs=3,
    hours=1.5,
    seconds=2.0,
)


def let_it_find(
    monkeypatch: pytest.MonkeyPatch, checks: Checks, asked: list[ChaosOptions] | None = None
) -> None:
    """Put a verdict in the place of a chaos run."""

    def run(options: ChaosOptions, **_: object) -> Report:
        if asked is not None:
            asked.append(options)
        book = FaultBook()
        book.note("POST: 500", "a")
        return Report(options=options, checks=checks, book=book, counts=COUNTS)

    monkeypatch.setattr(command, "run", run)


def test_all_is_well_means_exit_code_0_and_totals_of_0(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ChaosOptions] = []
    let_it_find(monkeypatch, Checks(), asked)
    arguments = ["--events", "3", "--seed", "7", "--search", "blind", "--json"]
    result = CliRunner().invoke(command.chaos, arguments)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["lost"], report["doubled"], report["seed"], report["events"]) == (0, 0, 7, 3)
    assert report["faults"] == [{"fault": "POST: 500", "injected": 1, "lost": 0, "doubled": 0}]
    assert asked == [ChaosOptions(events=3, seed=7, search=SearchMode.BLIND)]


@pytest.mark.parametrize(
    "checks", [Checks(lost=["a"]), Checks(doubled=["a"]), Checks(complaints=["a row is gone"])]
)
def test_whatever_is_not_as_it_must_be_means_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, checks: Checks
) -> None:
    let_it_find(monkeypatch, checks)
    result = CliRunner().invoke(command.chaos, ["--seed", "7"])
    assert result.exit_code == 1
    assert "POST: 500" in result.stdout
    assert f"{len(checks.lost)} lost, {len(checks.doubled)} doubled" in result.stdout
    assert all(complaint in result.stdout for complaint in checks.complaints)


def test_a_worker_that_is_stuck_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: ChaosOptions, **__: object) -> Report:
        raise WorkerStuck("no worker answered within a minute")

    monkeypatch.setattr(command, "run", run)
    result = CliRunner().invoke(command.chaos, [])
    assert result.exit_code == 1
    assert "no worker answered" in result.stderr
