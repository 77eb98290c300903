"""The values of runs: their forms, and the messages about those that are not allowed."""

from __future__ import annotations

import pytest

from tests.unit.config.files import ProblemsOf, only, with_trigger


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("parameters: {a: [1]}", "parameters.a: found a list; a parameter is text, a number, true or false"),
        ("parameters: {a: {b: 1}}", "parameters.a: found a map; a parameter is text, a number, true or false"),
        ("parameters: text", "parameters: found text; a map is needed (key: value)"),
        ("parameters: {'': 1}", "parameters.: found 1; it must not be empty"),
        ("experiment: 5", "experiment: found 5; text is needed, so put it in quotes"),
        ("experiment: ''", 'experiment: found ""; it must not be empty'),
        (
            "continue_on_step_failure: yes",
            "continue_on_step_failure: found yes; true or false is needed, without quotes",
        ),
        ("run_type: Http", "run_type: found Http; allowed: HTTP, SDK, Schedule, Portal"),
        (
            "parametres: {}",
            "parametres: the key parametres is not known (did you mean parameters?); "
            "allowed are experiment, parameters, data_paths, datasets, tags, properties, "
            "description, run_source, run_type, continue_on_step_failure, pipeline, schedule, "
            "blob, http",
        ),
        (
            "data_paths: {in: {datastore: ds}}",
            "data_paths.in.path: this required key is missing. Path below the "
            "datastore's container, not percent-encoded. A template.",
        ),
        ("data_paths: {in: 5}", "data_paths.in: found 5; a data path is text or {datastore: …, path: …}"),
        (
            'datasets: {w: {version: "1"}}',
            "datasets.w: found a map; a registered dataset needs its name or its id",
        ),
        (
            "datasets: {w: {name: a, version: 3}}",
            "datasets.w.version: found 3; text is needed, so put it in quotes",
        ),
        ("datasets: {w: [a]}", "datasets.w: found a list; a dataset is the id"),
        ("datasets: {'<dataset>': {name: 5}}", "datasets.<dataset>.name: found 5; text is needed"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_is_the_only_problem(
    problems_of: ProblemsOf, line: str, message: str
) -> None:
    assert only(problems_of(with_trigger(f"http: {{}}\n{line}"))).startswith(
        f"triggers.t.{message}"
    )
