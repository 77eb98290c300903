"""The status words of runs."""

from __future__ import annotations

import pytest

from shared.core.runs import FAILED, SUCCEEDED, UNFINISHED, RunFacts


def test_a_status_word_means_one_thing() -> None:
    assert not SUCCEEDED & FAILED
    assert not (SUCCEEDED | FAILED) & UNFINISHED


@pytest.mark.parametrize(
    ("status", "final", "known"),
    [
        ("Finished", True, True),
        ("Completed", True, True),
        ("Failed", True, True),
        ("Canceled", True, True),
        ("NotStarted", False, True),
        ("CancelRequested", False, True),
        ("Levitating", False, False),
        ("failed", False, False),
    ],
)
def test_a_run_has_ended_or_not_and_its_status_is_documented_or_not(
    status: str, final: bool, known: bool
) -> None:
    run = RunFacts(id="run-1", status=status)
    assert (run.final, run.known) == (final, known)
