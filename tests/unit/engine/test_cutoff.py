"""The cutoff of a new blob trigger: uploads that an outage kept from the app must count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.testing.app import Bench
from shared.core.events import BlobNotification, Ignored
from shared.core.submissions import Submission
from shared.operations.submissions import start

type MakeBench = Callable[..., Bench]

NEW_DATA = "new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}\n"


@pytest.mark.parametrize(("minutes", "counts"), [(15, True), (119, True), (121, False)])
def test_with_start_now_uploads_of_the_last_two_hours_count(
    make_bench: MakeBench, minutes: int, counts: bool
) -> None:
    bench = make_bench(NEW_DATA)
    bench.blobs.put("incoming/a", bench.clock)
    bench.clock.advance(minutes=minutes)
    notification = BlobNotification(trigger="new-data", container="data", path="incoming/a")
    result = start(bench.app.services, notification)
    assert isinstance(result, Submission if counts else Ignored)
