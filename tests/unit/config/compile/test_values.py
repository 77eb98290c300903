"""The values of a trigger's runs: merged with those of its pipeline, and compiled."""

from __future__ import annotations

import pytest

from shared.config.model import DataPathTemplate, DatasetReferenceTemplate, ScheduleSource
from shared.config.templates.template import Template
from tests.unit.config.files import Load, ProblemsOf, only, with_trigger


def test_maps_are_merged_by_name_and_the_trigger_wins(load: Load) -> None:
    pipeline = """\
parameters: {a: 1, b: "2"}
tags: {team: blue, kind: x}
properties: {p: q}
datasets: {w: saved-id, v: {datastore: other, path: x}}
data_paths: {in: {datastore: other, path: "{{ trigger.name }}"}}
description: from the pipeline
run_source: Functions
run_type: HTTP
continue_on_step_failure: true
"""
    body = """\
schedule: {cron: 30 6 * * mon-fri, run_at_start: true}
experiment: "E-{{ schedule.time | date }}"
parameters: {b: true}
tags: {kind: y}
datasets: {w: {name: weights, version: "3"}}
run_type: Schedule
continue_on_step_failure: false
"""
    trigger = load(with_trigger(body, pipeline=pipeline)).triggers["t"]
    values = trigger.values
    assert values.experiment.names == {"schedule.time"}
    assert values.parameters == {"a": 1, "b": True}
    assert values.tags == {"team": Template(text="blue"), "kind": Template(text="y")}
    assert values.properties == {"p": "q"}
    assert values.datasets == {
        "w": DatasetReferenceTemplate(name=Template(text="weights"), version=Template(text="3")),
        "v": DataPathTemplate(datastore="other", path=Template(text="x")),
    }
    assert values.data_paths["in"].datastore == "other"
    assert values.data_paths["in"].path.names == {"trigger.name"}
    assert values.description == Template(text="from the pipeline")
    assert (values.run_source, values.run_type) == ("Functions", "Schedule")
    assert values.continue_on_step_failure is False
    assert isinstance(trigger.source, ScheduleSource)


def test_a_pipelines_text_path_is_in_the_datastore_of_each_blob_trigger(load: Load) -> None:
    config = load(
        with_trigger("blob: {datastore: ds}", pipeline='data_paths: {in: "{{ blob.path }}"}')
        + "  u:\n    pipeline: scoring\n    blob: {datastore: other}\n"
        + "  v:\n    pipeline: scoring\n    http: {}\n"
        + "    data_paths: {in: {datastore: ds, path: x}}\n"
    )
    stores = [one.values.data_paths["in"].datastore for one in config.triggers.values()]
    assert stores == ["ds", "other", "ds"]


def test_run_source_is_sdk_unless_the_file_says_otherwise(load: Load) -> None:
    assert load(with_trigger("http: {}")).triggers["t"].values.run_source == "SDK"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "tags: {submission: x}",
            "tags.submission: the name submission is reserved for the app; use another name",
        ),
        (
            "properties: {Submission: x}",
            "properties.Submission: the name Submission is reserved for the app; use another name",
        ),
        (
            'properties: {a: "{{ trigger.name }}"}',
            "properties.a: found {{ trigger.name }}; properties cannot have templates; use tags",
        ),
        (
            "data_paths: {in: x}",
            "data_paths.in: text is a path in the datastore of a blob trigger, and this "
            "trigger starts from http; write {datastore: …, path: …} here",
        ),
        (
            "data_paths: {in: {datastore: othr, path: x}}",
            "data_paths.in.datastore: found othr; there is no such datastore "
            "(did you mean other?); declared under datastores: ds, other",
        ),
        (
            "parameters: {a: '{{ blob.path }}'}",
            "parameters.a: found {{ blob.path }}; blob.path does not exist for an http "
            "trigger; it has trigger.name, event.time, http.body.*, http.query.*",
        ),
        (
            "datasets: {w: {name: '{{ blob.path }}'}}",
            "datasets.w.name: found {{ blob.path }}; blob.path does not exist for an http "
            "trigger; it has trigger.name, event.time, http.body.*, http.query.*",
        ),
        (
            "tags: {a: '{{ http.query.code }}'}",
            "tags.a: found {{ http.query.code }}; http.query.code carries a function key, which never reaches a "
            "template; give the query parameter another name",
        ),
        (
            "tags: {a: '{{ http.body.data_paths }}'}",
            "tags.a: found {{ http.body.data_paths }}; http.body.data_paths is a key of the request that the app "
            "itself reads; give the key another name",
        ),
    ],
)
def test_a_value_that_is_not_allowed_is_the_only_problem(
    problems_of: ProblemsOf, line: str, message: str
) -> None:
    assert only(problems_of(with_trigger(f"http: {{}}\n{line}"))) == f"triggers.t.{message}"


def test_a_reserved_name_is_reported_at_its_key(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(with_trigger("http: {}\nproperties: {Submission: x}"))
    assert (problem.line, problem.column) == (13, 18)


def test_a_template_of_a_pipeline_is_reported_where_it_is_written(problems_of: ProblemsOf) -> None:
    text = with_trigger("http: {}", pipeline='parameters: {a: "{{ blob.path }}"}')
    (problem,) = problems_of(text)
    assert (problem.where, problem.line) == ("pipelines.scoring.parameters.a", 9)
    assert problem.message == (
        "found {{ blob.path }}; for the trigger t, blob.path does not exist for an http "
        "trigger; it has trigger.name, event.time, http.body.*, http.query.*; "
        "override it in the trigger"
    )


def test_an_overridden_template_of_a_pipeline_is_not_a_problem(load: Load) -> None:
    body = "http: {}\nparameters: {a: plain}"
    load(with_trigger(body, pipeline='parameters: {a: "{{ blob.path }}"}'))


def test_a_pipelines_text_path_is_a_problem_of_the_trigger_without_blobs(
    problems_of: ProblemsOf,
) -> None:
    problems = problems_of(with_trigger("http: {}", pipeline="data_paths: {in: x}"))
    assert only(problems) == (
        "triggers.t.data_paths.in: text (from pipelines.scoring) is a path in the datastore of a blob "
        "trigger, and this trigger starts from http; write {datastore: …, path: …} here"
    )


def test_a_template_from_a_setting_is_refused_without_its_text(problems_of: ProblemsOf) -> None:
    problems = problems_of(with_trigger('http: {}\nparameters: {x: "${SECRET_TEMPLATE}"}'))
    assert only(problems) == (
        "triggers.t.parameters.x: found ${SECRET_TEMPLATE}; with its app settings filled in, it is not a "
        "template that is allowed here; the values of the settings are not shown"
    )
