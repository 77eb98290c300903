"""Five-field cron, with croniter as the oracle in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schedules.cron import MACROS, Cron
from shared.schedules.schedule import Schedule
from tests.unit.schedules.calls import at, latest

OLD = datetime(1990, 1, 1, tzinfo=UTC)


def schedule(expression: str) -> Schedule:
    return Schedule(rule=Cron(expression))


@pytest.mark.parametrize(
    ("expression", "until", "expected"),
    [
        ("*/15 * * * *", "2027-03-27T01:30", "2027-03-27T01:30"),
        ("*/15 * * * *", "2027-03-27T01:44:59.999999", "2027-03-27T01:30"),
        ("30 6 * * MON-FRI", "2027-03-28T12:00", "2027-03-26T06:30"),
        ("30 6 * * mon-fri", "2027-03-28T12:00", "2027-03-26T06:30"),
        ("0 0 29 2 *", "2027-03-27T01:30", "2024-02-29T00:00"),
        ("0 0 L * *", "2027-03-27T01:30", "2027-02-28T00:00"),
        ("0 0 1 * 0", "2027-03-20T00:00", "2027-03-14T00:00"),  # the 1st or a Sunday
        ("0 0 * * 7", "2027-03-20T00:00", "2027-03-14T00:00"),
        ("0 0 * * SUN#2", "2027-03-27T01:30", "2027-03-14T00:00"),
        ("  0   0 * *   * ", "2027-03-27T01:30", "2027-03-27T00:00"),
    ],
)
def test_the_latest_occurrence_is_found(expression: str, until: str, expected: str) -> None:
    assert latest(schedule(expression), anchor=OLD, after=OLD, until=at(until)) == at(expected)


def test_the_end_counts_and_the_beginning_does_not() -> None:
    cron, noon = schedule("0 12 * * *"), at("2027-03-27T12:00")
    before = noon - timedelta(seconds=1)
    assert latest(cron, anchor=OLD, after=before, until=noon) == noon
    assert latest(cron, anchor=OLD, after=noon, until=noon) is None
    assert latest(cron, anchor=OLD, after=noon, until=noon + timedelta(hours=1)) is None
    assert list(cron.occurrences(anchor=OLD, after=before, until=noon)) == [noon]
    assert list(cron.occurrences(anchor=OLD, after=noon, until=noon)) == []


def test_a_range_of_one_is_that_one() -> None:
    noon = at("2027-03-27T12:00")
    assert latest(schedule("5-5 * * * *"), anchor=OLD, after=OLD, until=noon) == at(
        "2027-03-27T11:05"
    )


@pytest.mark.parametrize(
    ("macro", "first"),
    [
        ("@daily", "2027-03-28T00:00"),
        ("@midnight", "2027-03-28T00:00"),
        ("@hourly", "2027-03-27T02:00"),
        ("@weekly", "2027-03-28T00:00"),
        ("@monthly", "2027-04-01T00:00"),
        (" @Yearly ", "2028-01-01T00:00"),
        ("@annually", "2028-01-01T00:00"),
    ],
)
def test_a_macro_stands_for_its_fields(macro: str, first: str) -> None:
    now = at("2027-03-27T01:30")
    found = schedule(macro).occurrences(anchor=now, after=now, until=at("2030-01-01T00:00"))
    assert next(found) == at(first)
    assert Cron(macro) == Cron(MACROS[macro.strip().upper()])


@pytest.mark.parametrize(
    ("expression", "elapsed"),
    [
        ("0 * * * *", True),
        ("*/5 */2 * * *", True),
        ("@hourly", True),
        ("0 6 * * *", False),
        ("* 0-23 * * *", False),
        ("0 1-23/2 * * *", False),
        ("* *,5 * * *", False),
    ],
)
def test_the_hour_field_decides_whether_elapsed_time_is_followed(
    expression: str, elapsed: bool
) -> None:
    assert Cron(expression).follows_elapsed_time is elapsed


def test_there_is_no_occurrence_beyond_the_calendar() -> None:
    end = datetime(9999, 12, 31, tzinfo=UTC)
    late = datetime(9996, 3, 1, tzinfo=UTC)
    assert list(schedule("0 0 29 2 *").occurrences(anchor=late, after=late, until=end)) == []
    early = datetime(1, 1, 4, tzinfo=UTC)
    assert latest(schedule("0 0 29 2 *"), anchor=early, after=early, until=early) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("* * * *", "exactly five fields (minute, hour, day of month, month, day of week) and "
         "this one has 4; write for example 30 6 * * MON-FRI"),
        ("0 * * * * *", "and this one has 6;"),
        ("@dayly", "this macro is not known; allowed are @annually, @daily, @hourly, @midnight, "
         "@monthly, @weekly, @yearly, or five fields such as 30 6 * * MON-FRI"),
        ("@reboot", "for a run when the app registers the trigger, write run_at_start: true"),
        ("", "and this one has 0;"),
        ("60 * * * *", "the field minute is not valid; allowed are 0-59, *, lists with commas, "
         "ranges from low to high with -, and steps with /"),
        ("* 24 * * *", "the field hour is not valid; allowed are 0-23"),
        ("* * 0 * *", "the field day-of-month is not valid; allowed are 1-31, L (the last) and LW"),
        ("* * * 13 *", "the field month is not valid; allowed are 1-12 and JAN-DEC"),
        ("* * * * MOON", "the field day-of-week is not valid; allowed are 0-7"),
        ("30-10 * * * *", "the field minute is not valid"),
        ("*/0 * * * *", "the field minute is not valid"),
        ("1,,2 * * * *", "the field minute is not valid"),
        ("-1 * * * *", "the field minute is not valid"),
        ("* * * * MON#1/2", "the field day-of-week is not valid"),
        ("² * * * *", "the field minute is not valid"),
        ("0 0 30 2 *", "the expression can never fire: no day has that day of month, month and "
         "day of week; change one of these fields"),
        ("0 0 31 4,6 *", "can never fire"),
        ("0 0 */40 * MON#5", "can never fire"),
        ("1," * 300 + "1 * * * *", "a cron expression has at most 500 characters"),
    ],
)  # fmt: skip
def test_an_expression_that_is_not_valid_or_never_fires_is_refused(
    expression: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        Cron(expression)
    assert message in str(caught.value)


def test_equal_rules_have_equal_definitions() -> None:
    assert Cron(" 0  6 * * mon").definition == Cron("0 6 * * MON").definition == "cron 0 6 * * MON"
    assert Cron(" 0  6 * * mon") == Cron("0 6 * * MON")


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    # The oracle reads a range of one (`5-5`) as every value, so it gets none.
    pair = st.tuples(number, number).filter(lambda pair: pair[0] != pair[1]).map(sorted)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, most).map(lambda step: f"*/{step}"),
        pair.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        pair.map(lambda pair: f"{pair[0]},{pair[1]}"),
    )


expressions = st.one_of(
    # Only one of the two day fields is set: implementations differ on what both mean.
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), st.just("*")),
    st.tuples(field(0, 59), field(0, 23), st.just("*"), field(1, 12), field(0, 6)),
).map(" ".join)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@settings(max_examples=200, deadline=None)
@given(expressions, instants)
def test_croniter_agrees(expression: str, instant: datetime) -> None:
    cron = schedule(expression)
    moment = instant.replace(microsecond=0)
    expected = croniter(expression, moment + timedelta(seconds=1)).get_prev(datetime)
    assert latest(cron, anchor=OLD, after=OLD, until=moment) == expected
    forward = croniter(expression, moment)
    poller = [forward.get_next(datetime) for _ in range(3)]
    assert list(cron.occurrences(anchor=OLD, after=moment, until=poller[-1])) == poller


@settings(max_examples=100, deadline=None)
@given(expressions, instants, st.integers(0, 100_000))
def test_the_latest_is_the_last_of_all(expression: str, until: datetime, minutes: int) -> None:
    cron, after = schedule(expression), until - timedelta(minutes=minutes % 3000)
    every = list(cron.occurrences(anchor=OLD, after=after, until=until))
    assert latest(cron, anchor=OLD, after=after, until=until) == (every[-1] if every else None)
    assert every == sorted(set(every))
    assert all(after < one <= until for one in every)
