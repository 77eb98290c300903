"""The demo's report: each difference from the expected result is a problem."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local import demo

GOOD = demo.DemoReport(
    steps=(demo.DemoStep(action="a", trigger="t", run="r", as_expected=True),),
    bodies={"r": {"ExperimentName": "E"}},
)


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
