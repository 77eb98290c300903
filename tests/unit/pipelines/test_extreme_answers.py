"""Answers with extreme values: each is read, and no wait that they ask for is longer than the longest one."""

from __future__ import annotations

import json
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.testing.app import NOON
from shared.core.events import ScheduleEvent
from shared.core.lost_runs import adopt
from shared.core.outcomes import Outcome, OutcomeKind, ServiceAnswer
from shared.core.runs import RunFacts
from shared.core.submissions import State, Submission
from shared.core.transitions import LONGEST_WAIT, settle
from shared.pipelines.answers import read_answer
from shared.pipelines.run_records import read_run, read_runs

DEPTHS = (65, 300, 900, 3_000, 10_000, 100_000)
DIGITS = "9" * 400
LONG = "9" * 4_000

DATES = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -1200",
    "Fri, 31 Dec 9999 23:59:59 +1400",
    "Fri, 31 Dec 9999 23:59:59 -0000",
    "Fri, 31 Dec 9999 23:59:60 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 01 Jan 0001 00:00:00 -2359",
    "Mon, 01 Jan 2028 00:00:00 GMT",
    f"Mon, 01 Jan {DIGITS} 00:00:00 GMT",
    f"Mon, {LONG} Jan 2028 00:00:00 +{LONG}",
]
SECONDS = ["3601", "999999999", "9" * 10, DIGITS, "9" * 60_000, f"{DIGITS}.5", f"0.{LONG}"]


def read(content: bytes = b"", *, status: int = 429, retry_after: str | None = None) -> Outcome:
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    answer = ServiceAnswer(status=status, headers=headers, content=content, request_id="r")
    return read_answer(answer, identity="me", scope="s", now=lambda: NOON)


def submitting() -> Submission:
    return Submission(
        id="s" * 32,
        trigger="t",
        pipeline="p",
        kind="published_pipeline",
        endpoint_digest="d",
        event=ScheduleEvent(trigger="t", time=NOON),
        body=b"{}",
        created=NOON,
        updated=NOON,
        lease_id="lease",
    )


def _listed(content: bytes) -> tuple[RunFacts, ...]:
    found = read_runs(content)
    return found.runs if found is not None else ()


@pytest.mark.parametrize("header", [*SECONDS, *DATES])
@pytest.mark.parametrize("later", [timedelta(), timedelta(minutes=3)])
def test_a_retry_after_is_a_wait_of_an_hour_at_most(header: str, later: timedelta) -> None:
    outcome = read(retry_after=header)
    assert outcome.kind is OutcomeKind.THROTTLED
    settled = settle(submitting(), outcome, generation=1, lease_id="lease", now=NOON + later)
    assert settled.state is State.PENDING
    assert settled.due is not None
    assert settled.due <= NOON + later + LONGEST_WAIT


def test_a_longer_retry_after_counts_as_the_longest_wait() -> None:
    assert read(retry_after="3599").retry_after == LONGEST_WAIT - timedelta(seconds=1)
    assert read(retry_after="86400").retry_after == LONGEST_WAIT
    assert read(retry_after=DATES[0]).retry_after == LONGEST_WAIT


@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(
            r"[A-Z][a-z]{2}, [0-9]{1,6} [A-Z][a-z]{2} [0-9]{1,9} [0-9:]{0,12} [-+A-Z0-9]*"
        ),
        st.from_regex(r"[0-9]{0,30}\.?[0-9]{0,30}"),
    )
)
def test_no_retry_after_is_too_strange(header: str) -> None:
    wait = read(retry_after=header).retry_after
    assert wait is None or timedelta() <= wait <= LONGEST_WAIT


def nested(depth: int) -> list[str]:
    """Return JSON texts that are nested so deep, in each place that is read."""
    lists, objects = "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth
    return [
        place % deep
        for deep in (lists, objects)
        for place in (
            "%s",
            '{"Id": "r", "Status": %s}',
            '{"Id": "r", "Status": {"StatusCode": %s}}',
            '{"Id": "r", "Status": {"StatusDetail": %s}}',
            '{"Id": "r", "Error": %s}',
            '{"Error": {"Error": %s}}',
            '{"Error": {"Code": %s}}',
            '{"Id": %s}',
            '{"value": [%s]}',
            '{"value": [{"Id": "r", "Status": %s}]}',
            '{"Id": "r", "createdUtc": %s, "tags": {}}',
            '{"Id": "r", "tags": {"submission": %s}}',
        )
    ]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_no_answer_is_nested_too_deep_to_be_read(depth: int, status: int) -> None:
    for text in nested(depth):
        outcome = read(text.encode(), status=status)
        assert len(outcome.message or "") <= 1_000
        assert len(outcome.run_status or "") <= 1_000
        for run in (read_run(text.encode()), *_listed(text.encode())):
            assert run is None or len(run.status) <= 100


@pytest.mark.parametrize(
    "number", [LONG, "9" * 4_300, "9" * 5_000, "-" + LONG, f"{DIGITS}e{DIGITS}", "NaN"]
)
def test_no_number_is_too_long_to_be_read(number: str) -> None:
    for place in (
        '{"Id": "r", "Status": %s}',
        '{"Id": %s}',
        '{"Id": "r", "Status": {"StatusCode": %s}}',
        '{"Error": {"Code": %s, "Message": %s}}',
        '{"Id": "r", "createdUtc": %s}',
    ):
        text = place.replace("%s", number).encode()
        for status in (200, 400):
            assert len(read(text, status=status).message or "") <= 1_000
        run = read_run(text)
        assert run is None or len(run.status) <= 100


CREATED = [
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00-14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59.999999+14:00",
    "2027-03-27T12:00:00Z",
    "2027-03-27T12:00:00",
    f"{DIGITS}-01-01T00:00:00Z",
]


def test_runs_of_any_creation_time_can_be_adopted_and_the_oldest_is() -> None:
    records = [{"runId": f"r{n}", "createdUtc": text} for n, text in enumerate(CREATED)]
    runs = _listed(json.dumps({"value": records}).encode())
    assert len(runs) == len(CREATED)
    assert adopt(submitting(), runs, generation=1, now=NOON).run_id == "r2"
    assert {run.created.tzinfo for run in runs if run.created} == {UTC}


def test_a_creation_time_that_no_instant_can_be_is_left_out() -> None:
    run = read_run(b'{"runId": "r", "createdUtc": "9999-12-31T23:59:59-14:00"}')
    assert run == RunFacts(id="r", status="NotStarted")
