"""Keys whose order is an order in time, and rows that lose nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.testing.app import NOON
from shared.core.errors import LedgerError, NewerRow
from shared.core.leases import LEASE
from shared.core.outcomes import OutcomeKind
from shared.core.submissions import Attempt, Decision, State, Submission
from shared.ledger import rows
from shared.ledger.table.protocol import Row, Value
from tests.examples import submission

INSTANTS = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)
)
FULL = replace(
    submission(),
    state=State.HELD,
    reason="why",
    generation=3,
    since=NOON + timedelta(hours=1),
    workspace_digest="fedcba9876543210",
    lease_id="lease",
    unknown_since=NOON + timedelta(hours=2),
    unknown_cause="lost",
    post_deadline=NOON + timedelta(hours=3),
    conclusive_searches=2,
    lag=timedelta(seconds=90.5),
    due=NOON + timedelta(microseconds=1),
    attempts=(
        Attempt(time=NOON, generation=1, outcome=OutcomeKind.REFUSED, status=400, code="UserError"),
        Attempt(
            time=NOON,
            generation=3,
            outcome=OutcomeKind.UNKNOWN,
            message="ü",
            request_id="r",
            id="o",
        ),
    ),
    run_id="run-1",
    run_status="Running",
    run_created=NOON + timedelta(minutes=1),
    poll_since=NOON + timedelta(minutes=2),
    gone_since=NOON + timedelta(minutes=3),
    duplicates=("run-2", "run-3"),
    decisions=(Decision(time=NOON, action="replay", by="ada"), Decision(time=NOON, action="drop")),
    status_token="token",
)


def stored(row: Submission, **changes: Value) -> Row:
    values = {**rows.encode_submission(row, token="t"), **changes}
    return Row(rows.submission_key(row.id), values, 'W/"1"')


@pytest.mark.parametrize("row", [submission(), FULL, replace(FULL, body=None, due=None)])
def test_a_submission_comes_back_as_it_was_written(row: Submission) -> None:
    found = rows.decode_submission(stored(row))
    assert found == row
    assert found.etag == 'W/"1"'
    assert found.due_key == (rows.due_key(row.due, row.id) if row.due else None)


@pytest.mark.parametrize("name", sorted(rows.encode_submission(submission(), token="t")))
def test_a_row_without_a_property_is_read_or_is_an_error_that_names_the_submission(
    name: str,
) -> None:
    row = stored(submission())
    values = {key: value for key, value in row.values.items() if key != name}
    try:
        rows.decode_submission(replace(row, values=values))
    except LedgerError as error:
        assert submission().id in str(error)


def test_a_row_of_a_newer_version_is_an_error_of_its_own() -> None:
    with pytest.raises(NewerRow, match=submission().id):
        rows.decode_submission(stored(submission(), schema=rows.SCHEMA + 1, state="dreaming"))


def test_the_oldest_attempts_are_left_out_if_all_would_be_too_large() -> None:
    attempts = tuple(
        Attempt(
            time=NOON,
            generation=1,
            outcome=OutcomeKind.UNKNOWN,
            message="😀" * rows.MAX_MESSAGE,
            request_id=f"r{number}",
        )
        for number in range(20)
    )
    found = rows.decode_submission(stored(submission(attempts=attempts)))
    assert 10 < len(found.attempts) < 20
    assert found.attempts == attempts[-len(found.attempts) :]


@given(INSTANTS, INSTANTS)
def test_due_keys_sort_by_time(one: datetime, other: datetime) -> None:
    keys = rows.due_key(one, "0"), rows.due_key(other, "0")
    assert (keys[0] < keys[1]) == (one < other)
    start, end = rows.due_range(one)
    assert start <= keys[0] < end
    assert (keys[1] < end) == (other <= one)


@given(INSTANTS, INSTANTS)
def test_log_keys_sort_the_newest_first(one: datetime, other: datetime) -> None:
    keys = [rows.log_key(submission(created=time)) for time in (one, other)]
    assert (keys[0] < keys[1]) == (one > other)
    assert len(keys[0]) == len(keys[1])


@pytest.mark.parametrize(
    ("due", "overdue"),
    [(NOON - LEASE, False), (NOON - LEASE - timedelta(seconds=1), True), (None, True)],
)
def test_a_submission_is_overdue_a_lease_after_it_was_due(
    due: datetime | None, overdue: bool
) -> None:
    assert rows.is_overdue(submission(due=due), NOON) is overdue


@pytest.mark.parametrize(
    ("state", "key"),
    [(State.HELD, "attention:held:"), (State.DEAD, "attention:dead:"), (State.FINISHED, None)],
)
def test_dead_and_held_submissions_have_an_attention_row(state: State, key: str | None) -> None:
    row = submission(state=state)
    assert rows.attention_key(row) == (f"{key}{row.id}" if key else None)


def test_an_instant_that_was_edited_counts_as_none_only_where_that_is_harmless() -> None:
    assert rows.read_instant_or_none("yesterday") is None
    assert rows.read_instant_or_none("") is None
    assert rows.read_instant_or_none("2027-03-27T12:00:00Z") == NOON
    with pytest.raises(ValueError):
        rows.read_optional("yesterday")


def test_a_reference_row_without_its_time_is_no_reference() -> None:
    key = rows.reference_key("0123", "E")
    values = rows.encode_reference(FULL)
    found = rows.decode_reference(Row(key, values, ""))
    assert found is not None
    assert (found.correlation_id, found.experiment) == (FULL.correlation_id, "E")
    assert found.started == FULL.run_created
    assert rows.decode_reference(Row(key, {**values, "started": "soon"}, "")) is None


def test_experiments_and_endpoints_have_reference_rows_of_their_own() -> None:
    keys = {rows.reference_key(digest, name) for digest in ("a", "b") for name in ("E", "ü/#?")}
    assert len(keys) == 4
    assert all(key.isascii() for key in keys)
