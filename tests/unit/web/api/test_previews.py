"""Previews: the effect of an event on each trigger, without starting anything."""

from __future__ import annotations

from typing import Any

import pytest

from local.testing.app import Bench
from shared.core.errors import StorageUnavailable
from shared.operations.triggers import override
from shared.web.api import routes
from tests.unit.web.calls import SOURCES, MakeBench, post, send, sent


def previewed(bench: Bench, body: Any) -> dict[str, dict[str, Any]]:
    calls = bench.table.calls.copy()
    reply = send(routes.preview, bench, body)
    assert reply.status == 200
    assert set(bench.table.calls - calls) <= {"get", "page"}
    return {one["trigger"]: one for one in reply.content["triggers"]}


def failed(preview: dict[str, Any]) -> tuple[str, str] | None:
    found = preview["failed"]
    return (found["condition"], found["value"]) if found else None


def test_a_preview_shows_the_run_of_a_blob_and_starts_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES.replace("new-data: {", 'new-data: {tags: {of: "{{ blob.etag }}"}, '))
    bench.blobs.put("incoming/a.csv", bench.clock)
    seen = previewed(bench, {"blob": {"path": "incoming/a.csv"}})
    assert seen["new-data"]["starts"]
    assert failed(seen["nightly"]) == ("source", "schedule")
    assert (bench.workspace.bodies, bench.table.calls["transact"]) == ([], 0)
    started = post(bench, {"run_now": True, "blob": "incoming/a.csv"}, name="new-data")
    assert started.content["id"] == seen["new-data"]["submission"]
    assert sent(bench) == seen["new-data"]["body"]
    again = previewed(bench, {"blob": {"path": "incoming/a.csv", "container": "data"}})
    assert failed(again["new-data"]) == ("new", "submitted")


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        ({"path": "elsewhere/a.csv"}, ("path", "elsewhere/a.csv")),
        ({"path": "incoming/sub/a.csv"}, ("recursive", "incoming/sub/a.csv")),
        ({"path": "incoming/a.txt"}, ("include", "a.txt")),
        ({"path": "incoming/gone.csv"}, ("exists", "false")),
        ({"path": "incoming/a.csv", "container": "other"}, ("container", "other")),
    ],
)
def test_a_preview_names_the_first_condition_that_fails_and_its_value(
    make_bench: MakeBench, blob: dict[str, str], expected: tuple[str, str]
) -> None:
    bench = make_bench(SOURCES)
    assert failed(previewed(bench, {"blob": blob})["new-data"]) == expected


def test_a_preview_of_an_old_blob_of_a_disabled_trigger_and_of_storage_that_is_down(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(SOURCES)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(days=1)
    body = {"blob": {"path": "incoming/a.csv"}, "trigger": "new-data"}
    assert failed(previewed(bench, body)["new-data"]) == ("start", "2027-03-27T12:00:00Z")
    override(bench.app.services, "new-data", False)
    assert failed(previewed(bench, body)["new-data"]) == ("enabled", "false")
    bench.blobs.failure = StorageUnavailable("down")
    assert failed(previewed(bench, body)["new-data"]) == ("exists", "unknown")


def test_a_preview_of_a_time_and_of_a_request(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    tomorrow = previewed(bench, {"time": "2027-03-28T12:00:30Z"})
    assert tomorrow["nightly"]["body"]["ExperimentName"] == "MyRestPipeline"
    later = previewed(bench, {"time": "2027-03-28T12:01:00Z"})
    assert failed(later["nightly"]) == ("schedule", "2027-03-28T12:01:00Z")
    asked = previewed(bench, {"request": {"body": {"day": "{{ 7*7 }}"}}})
    assert asked["on-demand"]["body"]["ParameterAssignments"] == {"day": "{{ 7*7 }}"}
    assert failed(asked["strict"]) == ("values", "parameters.part")
    wrong = previewed(bench, {"request": {"body": {"dya": 1}}})
    assert failed(wrong["on-demand"]) == ("request", "dya")


def test_a_preview_goes_page_by_page(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    time = "2027-03-28T12:00:00Z"
    first = send(routes.preview, bench, {"time": time, "limit": 3}).content
    rest = send(routes.preview, bench, {"time": time, "cursor": first["cursor"]}).content
    names = [one["trigger"] for one in [*first["triggers"], *rest["triggers"]]]
    assert (names, rest["cursor"]) == (list(bench.config.triggers), None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"time": "2027-03-28T12:00:00Z", "blob": {"path": "a"}},
        {"time": "noon"},
        {"blob": {}},
        {"blob": {"path": "x" * 1025}},
        {"request": []},
        {"time": "2027-03-28T12:00:00Z", "limit": 101},
        {"time": "2027-03-28T12:00:00Z", "cursor": "garbage"},
    ],
)
def test_a_preview_without_exactly_one_valid_event_is_400(make_bench: MakeBench, body: Any) -> None:
    assert send(routes.preview, make_bench(SOURCES), body).status == 400


@pytest.mark.parametrize(
    "blob",
    [
        {"path": "incoming/a.csv", "container": "reference"},
        {"path": "incoming/a.csv", "container": "https://evil.example/data"},
        {"path": "https://evil.example/incoming/a.csv"},
        {"path": "//evil.example/a.csv"},
    ],
)
def test_the_app_reads_only_storage_that_the_trigger_names(
    make_bench: MakeBench, blob: dict[str, str]
) -> None:
    bench = make_bench(SOURCES)
    previewed(bench, {"blob": blob})
    post(bench, {"run_now": True, "blob": blob["path"]}, name="new-data")
    asked = bench.blobs.heads
    assert asked == (
        1 if blob["path"] == "incoming/a.csv" else 0
    )  # run_now: the trigger's own container
