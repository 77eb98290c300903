"""Blob functions of the local host: paths, the queue and the receipts."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from local.host.blobs import MAX_TRIES, Blob, BlobPattern, BlobQueue, Receipts
from local.host.runtime import AppFailed
from local.testing.runtime import RecordingRuntime


@pytest.mark.parametrize(
    ("path", "name", "matches"),
    [
        ("data/incoming/{name}", "incoming/a.csv", True),
        ("data/incoming/{name}", "incoming/sub/a+ %41 😀\n.csv", True),
        ("data/incoming/{name}", "Incoming/a.csv", False),
        ("data/incoming/{name}.csv", "incoming/a.txt", False),
        ("data", "anything/at all", True),
        ("data/a.b/{x}", "aXb/c", False),
    ],
)
def test_a_path_matches_as_in_the_real_host(path: str, name: str, matches: bool) -> None:
    pattern = BlobPattern(path, function="f")
    assert pattern.matches(name) is matches
    assert not matches or name.startswith(pattern.prefix)


def test_a_container_cannot_be_a_pattern() -> None:
    with pytest.raises(AppFailed, match="container"):
        BlobPattern("{container}/x", function="f")


def drain(runtime: RecordingRuntime, *blobs: Blob) -> tuple[list[Blob], list[Blob]]:
    done: list[Blob] = []
    finished = threading.Semaphore(0)

    def note(blob: Blob) -> None:
        done.append(blob)
        finished.release()

    queue = BlobQueue(runtime, workers=2, retry_delay=timedelta(0), done=note)
    for blob in blobs:
        queue.put(blob)
    for _ in blobs:
        assert finished.acquire(timeout=30)
    queue.close()
    return done, queue.poison


def test_a_function_that_raises_is_called_five_times_and_then_its_blob_is_poison() -> None:
    blob = Blob(function="f", container="c", name="n", etag="1")
    runtime = RecordingRuntime(failures=100)
    assert drain(runtime, blob) == ([blob], [blob])
    assert len(runtime.calls) == MAX_TRIES
    runtime = RecordingRuntime(failures=2)
    assert drain(runtime, blob) == ([blob], [])
    assert len(runtime.calls) == 3


def test_receipts_outlive_the_host_only_for_blobs_that_are_done(tmp_path: Path) -> None:
    one, two = (Blob(function="f", container="c", name="n\n😀", etag=etag) for etag in "12")
    receipts = Receipts(tmp_path)
    assert [receipts.claim(blob) for blob in (one, two, one)] == [True, True, False]
    receipts.write(one)
    assert [Receipts(tmp_path).claim(blob) for blob in (one, two)] == [False, True]
    assert [Receipts(None).claim(blob) for blob in (one, one)] == [True, True]
