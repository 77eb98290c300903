"""Triggers: their source, their pipeline, and pipelines that no trigger starts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.submissions import OnUnknown, Policy
from tests.unit.config.files import Load, ProblemsOf, only, with_trigger


def test_a_trigger_has_its_pipeline_and_its_policy(load: Load) -> None:
    body = "http: {}\ngive_up_after: 6h\non_unknown: hold\nenabled: false"
    config = load(with_trigger(body))
    trigger = config.triggers["t"]
    assert trigger.name == "t"
    assert trigger.pipeline == config.pipelines["scoring"]
    assert trigger.policy == Policy(give_up_after=timedelta(hours=6), on_unknown=OnUnknown.HOLD)
    assert not trigger.enabled
    assert load(with_trigger("http: {}")).triggers["t"].policy == Policy()


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ("", "none"),
        ("http: {}\nblob: {datastore: ds}", "blob and http"),
        ("http: {}\nblob: {datastore: ds}\nschedule: {cron: 0 0 * * *}", "schedule and blob and http"),
    ],
)  # fmt: skip
def test_a_trigger_has_exactly_one_source(problems_of: ProblemsOf, body: str, given: str) -> None:
    assert only(problems_of(with_trigger(body))) == (
        f"triggers.t: a trigger has exactly one of schedule, blob, http; this one has {given}"
    )


@pytest.mark.parametrize("body", ["schedule:", "blob: 5", "http: []", "schedule: {}"])
def test_a_source_with_a_problem_of_its_own_is_not_missing(
    problems_of: ProblemsOf, body: str
) -> None:
    assert only(problems_of(with_trigger(body))).startswith(
        f"triggers.t.{body.partition(':')[0]}: "
    )


@pytest.mark.parametrize("body", ["blob: 5", "blob: {}", "blob: {datastore: dss}"])
def test_the_values_of_a_trigger_are_checked_although_its_source_has_a_problem(
    problems_of: ProblemsOf, body: str
) -> None:
    lines = "tags: {a: '{{ blob.pth }}'}\ndata_paths: {in: '{{ blob.pth }}'}"
    problems = problems_of(with_trigger(f"{body}\n{lines}"))
    where = {one.where for one in problems}
    assert {"triggers.t.tags.a", "triggers.t.data_paths.in"} < where
    assert len(where) == 3


def test_an_unknown_pipeline_is_reported_with_those_that_the_file_declares(
    problems_of: ProblemsOf,
) -> None:
    text = with_trigger("http: {}").replace("pipeline: scoring", "pipeline: scorin", 1)
    assert only(problems_of(text)) == (
        "triggers.t.pipeline: found scorin; there is no such pipeline "
        "(did you mean scoring?); declared under pipelines: scoring"
    )


def test_a_pipeline_with_a_problem_is_declared_all_the_same(problems_of: ProblemsOf) -> None:
    text = "pipelines: {scoring: 5}\ntriggers: {t: {pipeline: scoring, http: {}}}\n"
    assert only(problems_of(text)).startswith("pipelines.scoring: found 5; a map is needed")


def test_the_trigger_or_its_pipeline_must_have_an_experiment(
    load: Load, problems_of: ProblemsOf
) -> None:
    without = with_trigger("http: {}").replace("    experiment: E\n", "")
    assert only(problems_of(without)) == (
        "triggers.t.experiment: the trigger has no experiment, and neither has pipelines.scoring; "
        "add experiment to one of them"
    )
    own = with_trigger("http: {}\nexperiment: Own").replace("    experiment: E\n", "")
    assert load(own).triggers["t"].values.experiment.text == "Own"


@pytest.mark.parametrize("value", ["5", "''", "", "'${NO_SUCH}'"])
def test_an_experiment_with_a_problem_is_not_missing(problems_of: ProblemsOf, value: str) -> None:
    text = with_trigger("http: {}").replace("experiment: E", f"experiment: {value}")
    assert only(problems_of(text)).startswith("pipelines.scoring.experiment: ")


def with_unused(lines: str) -> str:
    """Return a file with a pipeline that no trigger starts."""
    inner = "".join(f"    {line}\n" for line in lines.splitlines())
    unused = "  unused:\n    kind: published_pipeline\n    endpoint: ${SCORING_ENDPOINT}\n" + inner
    return with_trigger("http: {}").replace("triggers:\n", f"{unused}triggers:\n")


def test_the_templates_of_an_unused_pipeline_must_suit_one_source(
    load: Load, problems_of: ProblemsOf
) -> None:
    good = 'a: "{{ blob.path }}", c: "{{ http.body.x }}", d: "{{ schedule.time | date }}"'
    paths = 'data_paths: {p: "{{ blob.path }}"}'
    load(with_unused(f"parameters: {{{good}}}\n{paths}"))
    problems = problems_of(with_unused(f'parameters: {{{good}, b: "{{{{ blob.pth }}}}"}}\n{paths}'))
    assert only(problems).startswith(
        "pipelines.unused.parameters.b: found {{ blob.pth }}; blob.pth is not known "
        "(did you mean blob.path?); a trigger has trigger.name, event.time, schedule.time, "
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'tags: {a: "{{ blob.path }} {{ http.body.x }}"}',
            "tags.a: found {{ blob.path }} {{ http.body.x }}; no trigger has all of blob.path, http.body.x; "
            "use the names of one source in one text",
        ),
        (
            'data_paths: {p: "{{ http.body.x }}"}',
            "data_paths.p: found {{ http.body.x }}; http.body.x does not exist for a blob trigger",
        ),
        ("data_paths: {p: {datastore: dss, path: x}}", "data_paths.p.datastore: found dss; there is no such"),
        ("tags: {submission: x}", "tags.submission: the name submission is reserved for the app"),
        ('properties: {a: "{{ x }}"}', "properties.a: found {{ x }}; properties cannot have templates"),
        ('description: "{{ x"', "description: found {{ x; the template is not valid"),
    ],
)  # fmt: skip
def test_the_values_of_an_unused_pipeline_are_checked(
    problems_of: ProblemsOf, lines: str, message: str
) -> None:
    assert only(problems_of(with_unused(lines))).startswith(f"pipelines.unused.{message}")
