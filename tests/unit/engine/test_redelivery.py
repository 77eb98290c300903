"""A notification of a version that is in the ledger is a repeated delivery, also if the blob has changed since."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from local.testing.app import Bench
from shared.core.events import BlobNotification
from shared.core.submissions import State, Submission
from shared.operations.submissions import start
from shared.operations.triggers import override

type MakeBench = Callable[..., Bench]

NEW_DATA = "new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}\n"
PATH = "incoming/a.csv"


def write(bench: Bench) -> str:
    """Write the blob, or a new version of it, and return its ETag."""
    bench.clock.advance(seconds=5)
    bench.blobs.put(PATH, bench.clock)
    return bench.blobs.facts["DataStorage", "data", PATH].etag


def deliver(bench: Bench, etag: str | None) -> Submission:
    notification = BlobNotification(trigger="new-data", container="data", path=PATH, etag=etag)
    result = start(bench.app.services, notification)
    assert isinstance(result, Submission)
    return result


def etag_of(submission: Submission) -> str:
    return str(submission.event.names()["blob"]["etag"])


@pytest.mark.parametrize("form", ["{}", '"{}"', 'W/"{}"'])
def test_a_redelivery_after_the_pipeline_changed_its_input_blob_starts_no_second_run(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    caplog.set_level(logging.INFO)
    bench = make_bench(NEW_DATA)
    first = write(bench)
    submission = deliver(bench, first)
    write(bench)
    again = deliver(bench, form.format(first))
    assert (again.id, again.state) == (submission.id, State.SUBMITTED)
    assert len(bench.workspace.bodies) == 1
    assert caplog.records[-1].__dict__["action"] == "event_repeated"


def test_the_new_versions_own_notification_starts_its_run(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    deliver(bench, write(bench))
    second = write(bench)
    assert etag_of(deliver(bench, second)) == second
    assert len(bench.workspace.bodies) == 2


def test_a_version_that_was_overwritten_before_it_was_accepted_starts_the_run_of_todays(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA)
    first, second = write(bench), write(bench)
    assert etag_of(deliver(bench, first)) == second
    deliver(bench, second)
    assert len(bench.workspace.bodies) == 1


def test_without_an_etag_the_version_that_exists_now_counts(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    deliver(bench, write(bench))
    write(bench)
    deliver(bench, None)
    assert len(bench.workspace.bodies) == 2


def test_an_etag_costs_a_read_only_if_the_blob_has_changed(make_bench: MakeBench) -> None:
    bench = make_bench(NEW_DATA)
    deliver(bench, write(bench))
    before = bench.table.calls.copy()
    second = write(bench)
    deliver(bench, second)
    assert bench.table.calls - before == {"transact": 2}
    before = bench.table.calls.copy()
    write(bench)
    deliver(bench, second)
    assert bench.table.calls - before == {"get": 1}


def test_what_a_disabled_trigger_has_started_before_is_still_a_repeated_delivery(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(NEW_DATA)
    first = write(bench)
    submission = deliver(bench, first)
    override(bench.app.services, "new-data", False)
    write(bench)
    assert deliver(bench, first).id == submission.id
