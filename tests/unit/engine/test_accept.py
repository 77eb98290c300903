"""The first step of an event: it becomes a submission, or it is ignored with a reason."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from local.testing.app import NOON, Bench
from local.testing.memory_table import Fault
from shared.core.errors import (
    InvalidRequest,
    KeyReused,
    LedgerUnavailable,
    RequestTooLarge,
    StorageUnavailable,
)
from shared.core.events import BlobNotification, HttpEvent, Ignored
from shared.core.submissions import State, Submission
from shared.operations.submissions import start as start_event

type MakeBench = Callable[..., Bench]

NEW_DATA = """
new-data:
  pipeline: scoring
  blob: {datastore: lake, path: incoming, include: ["*.csv"]}
  data_paths: {input_datapath: "{{ blob.path }}"}
"""


def notification(path: str, container: str = "data") -> BlobNotification:
    return BlobNotification(trigger="new-data", container=container, path=path)


def start(bench: Bench, path: str) -> Submission | Ignored:
    return start_event(bench.app.services, notification(path))


def test_a_new_blob_starts_a_run_with_its_whole_path(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    name = "incoming/a +%41 #?'\"b😀.csv"
    bench.blobs.put(name, bench.clock)
    result = start(bench, name)
    assert isinstance(result, Submission)
    assert (result.state, result.run_id) == (State.SUBMITTED, "run-1")
    body = json.loads(bench.workspace.bodies[0])
    assert body == {
        "ExperimentName": "MyRestPipeline",
        "DataPathAssignments": {"input_datapath": {"DataStoreName": "lake", "RelativePath": name}},
        "RunSource": "SDK",
        "tags": {"submission": f"{result.id}-1"},
        "Properties": {"submission": f"{result.id}-1"},
    }


def test_any_number_of_deliveries_start_one_run(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a.csv", bench.clock)
    ids = {start(bench, "incoming/a.csv").id for _ in range(4)}  # type: ignore[union-attr]  # none is ignored
    assert len(ids) == len(bench.workspace.bodies) == 1


def test_an_overwritten_blob_starts_a_second_run(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    for _ in range(2):
        bench.blobs.put("incoming/a.csv", bench.clock)
        start(bench, "incoming/a.csv")
        bench.clock.advance(seconds=5)
    assert len(bench.workspace.bodies) == 2


def test_without_faults_a_blob_costs_two_transactions_one_head_and_one_post(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.blobs.put("incoming/b.csv", bench.clock)
    start(bench, "incoming/a.csv")
    before = bench.table.calls.copy()
    start(bench, "incoming/b.csv")
    assert bench.table.calls - before == {"transact": 2}
    assert (bench.blobs.heads, len(bench.workspace.bodies)) == (2, 2)


@pytest.mark.parametrize(
    ("path", "container", "reason"),
    [
        ("incoming/a.txt", "data", "include"),
        ("incoming/sub/a.csv", "data", "sub-folder"),
        ("elsewhere/a.csv", "data", "incoming"),
        ("incoming/a.csv", "other", "container other"),
        ("incoming/gone.csv", "data", "vanished"),
    ],
)
def test_a_blob_that_does_not_match_is_ignored_and_the_log_says_why(
    make_bench: MakeBench,
    caplog: pytest.LogCaptureFixture,
    path: str,
    container: str,
    reason: str,
) -> None:
    bench = make_bench(NEW_DATA)
    caplog.set_level(logging.INFO)
    result = start_event(bench.app.services, notification(path, container))
    assert isinstance(result, Ignored)
    assert reason in result.reason
    (record,) = [one for one in caplog.records if one.__dict__.get("action") == "event_ignored"]
    assert record.__dict__["trigger"] == "new-data"
    assert bench.submissions() == []
    assert bench.workspace.bodies == []


def test_a_blob_that_does_not_match_by_name_costs_no_head(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    start(bench, "incoming/a.txt")
    assert bench.blobs.heads == 0


def test_a_folder_marker_is_ignored(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/x.csv", bench.clock, metadata={"hdi_isfolder": "true"})
    result = start(bench, "incoming/x.csv")
    assert isinstance(result, Ignored)
    assert "hdi_isfolder" in result.reason


def test_a_blob_older_than_the_cutoff_starts_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/old.csv", bench.clock)
    bench.clock.advance(minutes=121)
    result = start(bench, "incoming/old.csv")
    assert isinstance(result, Ignored)
    assert "cutoff" in result.reason


def test_the_upload_that_woke_a_sleeping_app_counts(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a.csv", bench.clock)
    bench.clock.advance(minutes=14)
    assert isinstance(start(bench, "incoming/a.csv"), Submission)


def test_the_cutoff_stays_where_the_registration_put_it(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a.csv", bench.clock)
    start(bench, "incoming/a.csv")
    bench.clock.advance(minutes=1)
    bench.blobs.put("incoming/b.csv", bench.clock)
    bench.clock.advance(days=3)
    assert isinstance(start(bench.restarted(), "incoming/b.csv"), Submission)


def test_start_beginning_takes_every_blob_there_is(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA.replace("path: incoming", "path: incoming, start: beginning"))
    bench.blobs.put("incoming/old.csv", bench.clock)
    bench.clock.advance(days=400)
    assert isinstance(start(bench, "incoming/old.csv"), Submission)


def test_start_at_an_instant_takes_blobs_from_then_on(make_bench: MakeBench) -> None:
    bench = make_bench(
        NEW_DATA.replace("path: incoming", "path: incoming, start: 2027-03-27T12:30:00Z")
    )
    for name in ("early", "late"):
        bench.blobs.put(f"incoming/{name}.csv", bench.clock)
        bench.clock.advance(hours=1)
    assert isinstance(start(bench, "incoming/early.csv"), Ignored)
    assert isinstance(start(bench, "incoming/late.csv"), Submission)


def test_a_blob_trigger_that_moved_to_another_folder_is_registered_again(
    make_bench: MakeBench, write_triggers: Callable[[str], Path]
) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a.csv", bench.clock)
    start(bench, "incoming/a.csv")
    bench.blobs.put("landing/a.csv", bench.clock)
    bench.clock.advance(days=1)
    moved = bench.restarted(file=write_triggers(NEW_DATA.replace("incoming", "landing")))
    assert isinstance(start(moved, "landing/a.csv"), Ignored)


def test_a_template_that_fails_on_an_event_makes_a_dead_submission_with_the_reason(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA + '  tags: {team: "{{ blob.metadata.team }}"}\n')
    bench.blobs.put("incoming/a.csv", bench.clock)
    result = start(bench, "incoming/a.csv")
    assert isinstance(result, Submission)
    assert (result.state, result.due) == (State.DEAD, None)
    assert result.reason == "tags.team: the event has no blob.metadata.team"
    assert bench.workspace.bodies == []
    assert [found.state for found in bench.submissions()] == [State.DEAD]


def test_metadata_reaches_the_run(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA + '  tags: {team: "{{ blob.metadata.team }}"}\n')
    bench.blobs.put("incoming/a.csv", bench.clock, metadata={"team": "{{ 7*7 }}"})
    start(bench, "incoming/a.csv")
    assert json.loads(bench.workspace.bodies[0])["tags"]["team"] == "{{ 7*7 }}"


def test_a_ledger_that_is_down_fails_loudly_and_nothing_is_sent(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    bench.blobs.put("incoming/a.csv", bench.clock)
    with pytest.raises(LedgerUnavailable):
        start(bench, "incoming/a.csv")
    assert bench.workspace.bodies == []


def test_storage_that_does_not_answer_fails_loudly_so_that_the_host_delivers_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.failure = StorageUnavailable("down")
    with pytest.raises(StorageUnavailable):
        start(bench, "incoming/a.csv")


ON_DEMAND = """
on-demand:
  pipeline: scoring
  http: {}
  parameters: {day: "{{ http.body.day }}", level: "1"}
"""


def call(day: object = "monday", key: str = "k", **changes: object) -> HttpEvent:
    body = {} if day is None else {"day": day}
    fields: dict[str, object] = {
        "trigger": "on-demand",
        "time": NOON,
        "key": ("key", key),
        "body": body,
    }
    return HttpEvent(**{**fields, **changes})  # type: ignore[arg-type]  # tests name real fields


def test_the_same_key_and_body_are_the_same_submission(make_bench: MakeBench) -> None:
    bench = make_bench(ON_DEMAND)
    first = start_event(bench.app.services, call())
    bench.clock.advance(seconds=30)
    again = start_event(bench.app.services, call(time=bench.clock.now()))
    assert isinstance(first, Submission)
    assert isinstance(again, Submission)
    assert first.id == again.id
    assert len(bench.workspace.bodies) == 1


def test_the_same_key_with_another_body_is_refused(make_bench: MakeBench) -> None:
    bench = make_bench(ON_DEMAND)
    start_event(bench.app.services, call())
    with pytest.raises(KeyReused, match="another body"):
        start_event(bench.app.services, call("tuesday"))
    assert len(bench.workspace.bodies) == 1


def test_true_and_1_are_different_bodies(make_bench: MakeBench) -> None:
    bench = make_bench(ON_DEMAND)
    start_event(bench.app.services, call(1))
    with pytest.raises(KeyReused):
        start_event(bench.app.services, call(True))


def test_a_callers_value_replaces_the_files_value_and_is_never_a_template(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(ON_DEMAND)
    start_event(bench.app.services, call(None, parameters={"day": "{{ 7*7 }}", "level": True}))
    parameters = json.loads(bench.workspace.bodies[0])["ParameterAssignments"]
    assert parameters == {"day": "{{ 7*7 }}", "level": "True"}


def test_a_missing_key_that_a_template_needs_is_the_callers_error(make_bench: MakeBench) -> None:
    bench = make_bench(ON_DEMAND)
    with pytest.raises(InvalidRequest) as raised:
        start_event(bench.app.services, call(None))
    (problem,) = raised.value.problems
    assert (problem.where, problem.message) == (
        "http.body.day",
        "is missing: parameters.day uses it",
    )
    assert bench.submissions() == []


def test_a_request_that_grows_beyond_the_ledgers_row_is_refused_before_the_claim(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(ON_DEMAND)
    with pytest.raises(RequestTooLarge):
        start_event(bench.app.services, call("x" * 70_000))
    assert bench.submissions() == []


def test_an_old_request_time_does_not_matter_to_a_new_trigger(make_bench: MakeBench) -> None:
    bench = make_bench(ON_DEMAND)
    assert isinstance(
        start_event(bench.app.services, call(time=NOON - timedelta(minutes=10))), Submission
    )
