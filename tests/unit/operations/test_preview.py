"""What an event would start. Nothing is claimed, recorded or sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import StorageUnavailable
from shared.core.events import (
    BlobNotification,
    HttpEvent,
    Ignored,
    ScheduleEvent,
    deduplication_key,
)
from shared.core.submissions import Submission
from shared.operations.preview import Preview, PreviewSubject, preview
from shared.operations.submissions import start
from shared.operations.triggers import override

type MakeBench = Callable[..., Bench]

TRIGGERS = """
call: {pipeline: scoring, http: {}, parameters: {day: "{{ http.body.day }}"}}
hourly:
  pipeline: scoring
  schedule: {cron: "0 * * * *"}
  tags: {from: "{{ schedule.window_start }}"}
new-data:
  pipeline: scoring
  blob: {datastore: lake, path: incoming, include: ["*.csv"]}
  data_paths: {input: "{{ blob.path }}"}
"""


def call(*key: str, day: str | None = "monday") -> HttpEvent:
    body = {} if day is None else {"day": day}
    return HttpEvent(trigger="call", time=NOON, key=key or ("key", "k"), body=body)


def notification(path: str) -> BlobNotification:
    return BlobNotification(trigger="new-data", container="data", path=path)


def previewed(bench: Bench, trigger: str, subject: PreviewSubject) -> Preview:
    """Return a preview, and check that it has changed nothing."""
    services = bench.app.services
    before = bench.table.calls["transact"], len(bench.workspace.bodies)
    (found,) = preview(services, [(services.config.triggers[trigger], subject)])
    assert (bench.table.calls["transact"], len(bench.workspace.bodies)) == before
    assert found.trigger == trigger
    return found


def test_a_preview_shows_the_body_that_would_be_sent(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    found = previewed(bench, "call", call())
    sent = start(bench.app.services, call())
    assert isinstance(sent, Submission)
    assert (found.submission, found.ignored) == (sent.id, None)
    assert found.body == bench.workspace.bodies[0]


def test_a_blob_is_read_and_shown_with_its_path(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    bench.blobs.put("incoming/a.csv", bench.clock)
    found = previewed(bench, "new-data", notification("incoming/a.csv"))
    assert found.body is not None
    paths = json.loads(found.body)["DataPathAssignments"]
    assert paths["input"]["RelativePath"] == "incoming/a.csv"


def test_an_occurrence_has_its_window(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    event = ScheduleEvent(trigger="hourly", time=NOON + timedelta(hours=1))
    found = previewed(bench, "hourly", event)
    assert found.body is not None
    assert json.loads(found.body)["tags"]["from"] == "2027-03-27T12:00:00Z"
    assert found.submission == deduplication_key(event)


def test_a_request_without_a_key_has_no_submission_yet(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    found = previewed(bench, "call", call("new", "0123"))
    assert found.body is not None
    assert found.submission is None


@pytest.mark.parametrize(
    ("trigger", "subject", "condition", "reason"),
    [
        ("new-data", notification("incoming/a.txt"), "include", "include"),
        ("new-data", notification("incoming/gone.csv"), "exists", "vanished"),
        ("call", notification("incoming/a.csv"), "source", "does not start from blobs"),
        ("call", call(day=None), "values", "the event has no http.body.day"),
        (
            "hourly",
            ScheduleEvent(trigger="hourly", time=NOON + timedelta(minutes=90)),
            "schedule",
            "2027-03-27T13:30:00Z is no occurrence of",
        ),
        (
            "hourly",
            ScheduleEvent(trigger="hourly", time=NOON - timedelta(hours=3)),
            "start",
            "before the trigger's cutoff",
        ),
        ("call", Ignored(reason="why", condition="trigger", value="t"), "trigger", "why"),
    ],
)
def test_an_event_that_would_start_nothing_has_the_first_condition_that_fails(
    make_bench: MakeBench, trigger: str, subject: PreviewSubject, condition: str, reason: str
) -> None:
    found = previewed(make_bench(TRIGGERS), trigger, subject)
    assert (found.body, found.submission) == (None, None)
    assert found.ignored is not None
    assert found.ignored.condition == condition
    assert reason in found.ignored.reason


def test_an_event_of_a_disabled_trigger_would_start_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    override(bench.app.services, "call", False)
    found = previewed(bench, "call", call())
    assert found.ignored is not None
    assert found.ignored.reason == "trigger call is disabled by a person"


def test_an_event_that_is_in_the_ledger_already_shows_its_submission(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    sent = start(bench.app.services, call())
    assert isinstance(sent, Submission)
    found = previewed(bench, "call", call())
    assert (found.body, found.submission) == (None, sent.id)
    assert found.ignored == Ignored(
        reason=f"it has submission {sent.id} already, which is submitted",
        condition="new",
        value="submitted",
    )


def test_storage_that_does_not_answer_is_the_result_for_its_trigger_alone(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    bench.blobs.failure = StorageUnavailable("down")
    triggers = bench.config.triggers
    blob, other = preview(
        bench.app.services,
        [(triggers["new-data"], notification("incoming/a.csv")), (triggers["call"], call())],
    )
    assert blob.ignored is not None
    assert "down" in blob.ignored.reason
    assert other.body is not None
