"""A trigger's values, rendered from an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import MissingValue, RenderError
from shared.core.events import BlobEvent, Event, HttpEvent, ScheduleEvent
from shared.engine.render import render
from shared.pipelines.values import DataPath, DatasetReference, RunValues

type MakeBench = Callable[..., Bench]

TRIGGERS = """
blobby:
  pipeline: scoring
  experiment: "{{ trigger.name }} {{ event.time | date('%Y') }}"
  description: "{{ blob.name }} of {{ blob.size }} bytes"
  blob: {datastore: lake}
  parameters: {size: "{{ blob.size }}", text: "{{ blob.path }}", flag: true, n: 3, x: "1.10"}
  data_paths:
    own: "{{ blob.path }}"
    other: {datastore: reference, path: "by-day/{{ blob.last_modified | date('%Y/%m/%d') }}"}
  datasets:
    saved: 0a1b
    registered: {name: "{{ blob.container }}", version: "7"}
    place: {datastore: reference, path: "{{ blob.name }}"}
  tags: {team: "{{ blob.metadata.team | default('none') }}"}
  properties: {kind: fixed}
  run_source: API
  run_type: HTTP
  continue_on_step_failure: false
nightly:
  pipeline: scoring
  schedule: {frequency: day}
  parameters: {at: "{{ schedule.time }}", day: "{{ schedule.time | date }}"}
call:
  pipeline: scoring
  http: {}
  parameters: {a: "{{ http.body.a }}", b: fixed}
  data_paths: {input: {datastore: lake, path: default}}
"""

BLOB = BlobEvent(
    trigger="blobby",
    account="lake",
    container="data",
    path="in/a +%41.csv",
    url="https://lake.blob.core.windows.net/data/in/a",
    etag="0x1",
    size=42,
    last_modified=NOON,
)
CALL = HttpEvent(trigger="call", time=NOON, key=("key", "k"), body={"a": "x"})


def rendered(bench: Bench, event: Event) -> RunValues:
    return render(bench.config, bench.config.triggers[event.trigger], event)


def test_every_value_is_filled_in(make_bench: MakeBench) -> None:
    assert rendered(make_bench(TRIGGERS), BLOB) == RunValues(
        experiment="blobby 2027",
        description="a +%41.csv of 42 bytes",
        parameters={"size": 42, "text": "in/a +%41.csv", "flag": True, "n": 3, "x": "1.10"},
        data_paths={
            "own": DataPath(datastore="lake", path="in/a +%41.csv"),
            "other": DataPath(datastore="reference", path="by-day/2027/03/27"),
        },
        datasets={
            "saved": "0a1b",
            "registered": DatasetReference(name="data", version="7"),
            "place": DataPath(datastore="reference", path="a +%41.csv"),
        },
        tags={"team": "none"},
        properties={"kind": "fixed"},
        run_source="API",
        run_type="HTTP",
        continue_on_step_failure=False,
    )


def test_a_time_is_printed_in_utc(make_bench: MakeBench) -> None:
    values = rendered(make_bench(TRIGGERS), ScheduleEvent(trigger="nightly", time=NOON))
    assert values.parameters == {"at": "2027-03-27T12:00:00Z", "day": "2027-03-27"}


@pytest.mark.parametrize("name", ["1e5", "true", "None", "[1]", "007", "{{ 7*7 }}"])
def test_a_blobs_name_stays_the_text_that_it_is(make_bench: MakeBench, name: str) -> None:
    values = rendered(make_bench(TRIGGERS), replace(BLOB, path=name))
    assert values.parameters["text"] == name


@pytest.mark.parametrize("name", ["team", "Team", "TEAM"])
def test_metadata_is_named_whatever_its_casing_as_in_azure(
    make_bench: MakeBench, name: str
) -> None:
    bench = make_bench(
        't: {pipeline: scoring, blob: {datastore: lake}, tags: {x: "{{ blob.metadata.tEam }}"}}'
    )
    values = rendered(bench, replace(BLOB, trigger="t", metadata={name: "blue"}))
    assert values.tags == {"x": "blue"}


def test_a_callers_value_is_not_rendered_and_needs_no_template(make_bench: MakeBench) -> None:
    event = replace(
        CALL,
        body={},
        parameters={"a": "{{ x }}"},
        data_paths={"input": {"datastore": "reference", "path": "p"}},
        experiment="Mine",
    )
    values = rendered(make_bench(TRIGGERS), event)
    assert values.parameters == {"a": "{{ x }}", "b": "fixed"}
    assert values.data_paths == {"input": DataPath(datastore="reference", path="p")}
    assert values.experiment == "Mine"


def test_a_value_that_the_event_does_not_have_is_named(make_bench: MakeBench) -> None:
    with pytest.raises(MissingValue) as raised:
        rendered(make_bench(TRIGGERS), replace(CALL, body={}))
    assert (raised.value.where, raised.value.name) == ("parameters.a", "http.body.a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"parameters": {"gone": 1}},
            "parameters.gone: the triggers file no longer lists this parameter; list it again",
        ),
        (
            {"data_paths": {"gone": "x"}},
            "data_paths.gone: the triggers file no longer lists this data path; list it again",
        ),
        (
            {"data_paths": {"input": {"datastore": "gone", "path": "x"}}},
            "data_paths.input: the triggers file no longer declares datastore gone; declare it again",
        ),
    ],
)
def test_a_stored_event_that_meets_another_file_says_what_is_gone(
    make_bench: MakeBench, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RenderError) as raised:
        rendered(make_bench(TRIGGERS), replace(CALL, **changes))  # type: ignore[arg-type]  # tests name real fields
    assert str(raised.value) == message


def test_an_experiment_that_comes_out_empty_is_refused(make_bench: MakeBench) -> None:
    bench = make_bench('t: {pipeline: scoring, http: {}, experiment: "{{ http.body.e }}"}')
    with pytest.raises(RenderError, match="is empty for this event"):
        rendered(bench, HttpEvent(trigger="t", time=NOON, key=("key", "k"), body={"e": " "}))
