"""Events and their deduplication keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.events import (
    BlobEvent,
    Event,
    HttpEvent,
    ScheduleEvent,
    deduplication_key,
    dump_event,
    load_event,
)

NOON = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)


def blob(path: str = "incoming/a.csv", etag: str = "0x8DC", trigger: str = "new-data") -> BlobEvent:
    return BlobEvent(
        trigger=trigger,
        account="lake",
        container="data",
        path=path,
        url="https://lake.blob.core.windows.net/data/x",
        etag=etag,
        size=3,
        last_modified=NOON,
        metadata={"team": "blue"},
    )


def http(*key: str, trigger: str = "on-demand") -> HttpEvent:
    return HttpEvent(trigger=trigger, time=NOON, key=key)


PINNED: list[tuple[Event, str]] = [
    (ScheduleEvent(trigger="nightly", time=NOON), "19c3935b42e6fc521b8d058025fa54eb"),
    (ScheduleEvent(trigger="hourly", time=NOON), "45cac4f24d474567556704e12f043d74"),
    (
        ScheduleEvent(trigger="nightly", time=NOON + timedelta(minutes=1)),
        "951ce49751587aa0ba481510d34036fd",
    ),
    (blob(), "ad0fe19a7a008dd3453ca418e2b54c93"),
    (blob(etag="0x8DD"), "5b483fd464488ba9234ebb705d8db46b"),
    (blob(path="incoming/a +%41 #?'\"b😀.csv"), "ad5452a99698ac80569f31a9372d6c32"),
    (http("key", "order-1"), "5481ad81504935d8e5858e7c652285a4"),
    (http("key", "order-1", trigger="other"), "fc48db123c917c2f8a663ffd10aefc67"),
    (http("logic-apps", "08585", "Start_run"), "b3d701933f854dc5c75d52b4b9800c59"),
    (http("new", "0123456789abcdef"), "b5b06a68a1479fcff97d634c594f01b5"),
]


@pytest.mark.parametrize(("event", "expected"), PINNED)
def test_ids_never_change_since_they_decide_what_was_started_already(
    event: Event, expected: str
) -> None:
    assert deduplication_key(event) == expected


def test_the_pinned_ids_are_all_different() -> None:
    assert len({deduplication_key(event) for event, _ in PINNED}) == 10


def test_a_blobs_size_time_and_metadata_are_not_part_of_its_identity() -> None:
    other = BlobEvent(
        trigger="new-data",
        account="lake",
        container="data",
        path="incoming/a.csv",
        url="https://elsewhere/",
        etag="0x8DC",
        size=99,
        last_modified=NOON + timedelta(days=1),
        metadata={},
    )
    assert deduplication_key(other) == deduplication_key(blob())


def test_an_occurrence_is_the_same_whatever_zone_it_is_written_in() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=2)))
    assert deduplication_key(ScheduleEvent(trigger="nightly", time=berlin)) == deduplication_key(
        ScheduleEvent(trigger="nightly", time=NOON)
    )


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_different_blob_names_never_share_an_id(paths: list[str]) -> None:
    assert deduplication_key(blob(path=paths[0])) != deduplication_key(blob(path=paths[1]))


@given(st.text(), st.text(), st.text(), st.text())
def test_parts_of_an_identity_do_not_run_into_each_other(a: str, b: str, c: str, d: str) -> None:
    left, right = http("key", a, b), http("key", c, d)
    assert (deduplication_key(left) == deduplication_key(right)) == ((a, b) == (c, d))


@pytest.mark.parametrize(("event", "expected"), PINNED)
def test_a_stored_event_comes_back_equal(event: Event, expected: str) -> None:
    assert load_event(dump_event(event)) == event


def test_a_stored_request_comes_back_with_what_was_asked() -> None:
    event = HttpEvent(
        trigger="on-demand",
        time=NOON,
        key=("key", "k"),
        parameters={"n": 3, "x": 1.5, "flag": True, "text": "{{ 7*7 }}"},
        data_paths={"input": {"datastore": "lake", "path": "a/ü.csv"}},
        experiment="E",
        body={"day": {"of": ["week"]}},
        query={"q": "1"},
    )
    assert load_event(dump_event(event)) == event


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"source":"dream"}', b'{"source":"blob"}', b"\xff"]
)
def test_other_data_is_not_a_stored_event(data: bytes) -> None:
    with pytest.raises(ValueError):
        load_event(data)
