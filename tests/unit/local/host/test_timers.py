"""Timers of the local host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.runtime import AppFailed, Function
from local.host.timers import Ncrontab, Timer, resolve_settings
from local.testing.runtime import RecordingRuntime

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def timer(schedule: str, **binding: Any) -> Function:
    trigger = {"type": "timerTrigger", "name": "timer", "schedule": schedule, **binding}
    return Function(name="tick", id="1", raw_bindings=(trigger,))


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 * * * * *", "2027-03-01T12:01:00+00:00"),
        ("*/15 * * * * *", "2027-03-01T12:00:15+00:00"),
        ("0 30 9 * * 1-5", "2027-03-02T09:30:00+00:00"),
        ("0 0 0 13 * 5", "2027-08-13T00:00:00+00:00"),  # day and weekday both, unlike cron
    ],
)
def test_ncrontab_has_the_occurrences_of_azure(expression: str, due: str) -> None:
    assert Ncrontab(expression).after(NOON).isoformat() == due


@pytest.mark.parametrize("expression", ["* * * * *", "x * * * * *", "00:05:00"])
def test_other_expressions_than_ncrontab_are_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        Ncrontab(expression)


def test_after_a_call_longer_than_the_interval_comes_one_late_call() -> None:
    now = NOON
    runtime = RecordingRuntime()
    tick_runner = Timer(timer("0 * * * * *"), runtime, clock=lambda: now)
    now = NOON + timedelta(minutes=3, seconds=30)
    tick_runner.run_due()
    assert tick_runner.due == now
    tick_runner.run_due()
    assert tick_runner.due == NOON + timedelta(minutes=4)
    assert [call["past_due"] for call in runtime.calls] == [False, False]


def test_occurrences_missed_while_down_are_one_past_due_call(tmp_path: Path) -> None:
    now = NOON
    runtime = RecordingRuntime()

    def make() -> Timer:
        return Timer(timer("0 * * * * *"), runtime, clock=lambda: now, state=tmp_path)

    first = make()
    first.start()
    assert not runtime.calls
    first.run_due()
    now = NOON + timedelta(hours=1)
    make().start()
    make().start()
    assert [call["past_due"] for call in runtime.calls] == [False, True]


def test_a_timer_with_run_on_startup_runs_at_the_start() -> None:
    runtime = RecordingRuntime()
    Timer(timer("0 * * * * *", runOnStartup=True), runtime, clock=lambda: NOON).start()
    assert [call["past_due"] for call in runtime.calls] == [False]


def test_a_timer_that_is_not_ncrontab_fails_the_app() -> None:
    with pytest.raises(AppFailed, match="six fields"):
        Timer(timer("* * * * *"), RecordingRuntime(), clock=lambda: NOON)


def test_settings_are_replaced_in_paths_and_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "data")
    assert resolve_settings("%WHERE%/{name}", "f") == "data/{name}"
    with pytest.raises(AppFailed, match="NOT_THERE"):
        resolve_settings("%NOT_THERE%", "f")
