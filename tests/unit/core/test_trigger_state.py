"""Whether a trigger's state lets an event through, and what an override does to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.testing.app import NOON
from shared.core.events import BlobEvent, HttpEvent, Ignored, ScheduleEvent
from shared.core.trigger_state import KEPT_DISABLED_PERIODS, TriggerState, anchor_of

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def state(**changes: object) -> TriggerState:
    fields: dict[str, object] = {
        "name": "t",
        "source_key": "schedule x",
        "registered_at": NOON,
        "seen_at": NOON,
        "cutoff": NOON - timedelta(minutes=15),
    }
    return TriggerState(**{**fields, **changes})  # type: ignore[arg-type]  # tests name real fields


def occurrence(time: datetime) -> ScheduleEvent:
    return ScheduleEvent(trigger="t", time=time)


def ignored(
    found: TriggerState, time: datetime, *, in_file: bool = True, run_now: bool = False
) -> Ignored | None:
    return found.reason_to_ignore(occurrence(time), enabled_in_file=in_file, run_now=run_now)


def test_an_event_of_an_enabled_trigger_goes_through() -> None:
    assert ignored(state(), NOON) is None


@pytest.mark.parametrize(
    ("override", "in_file", "reason"),
    [
        (None, True, None),
        (None, False, "trigger t is disabled by the triggers file"),
        (False, True, "trigger t is disabled by a person"),
        (False, False, "trigger t is disabled by a person"),
        (True, True, None),
        (True, False, None),
    ],
)
def test_the_override_decides_else_the_file(
    override: bool | None, in_file: bool, reason: str | None
) -> None:
    found = state(enabled=override)
    assert found.is_enabled(enabled_in_file=in_file) is (reason is None)
    result = ignored(found, NOON, in_file=in_file)
    expected = (
        None if reason is None else Ignored(reason=reason, condition="enabled", value="false")
    )
    assert result == expected


def test_an_event_before_the_cutoff_is_ignored_with_both_times() -> None:
    result = ignored(state(), NOON - timedelta(minutes=15, microseconds=1))
    assert result == Ignored(
        reason="it happened at 2027-03-27T11:44:59Z, before the trigger's cutoff 2027-03-27T11:45:00Z "
        "(see `start` in the triggers file)",
        condition="start",
        value="2027-03-27T11:44:59Z",
    )


def test_an_event_at_the_cutoff_goes_through() -> None:
    assert ignored(state(), NOON - timedelta(minutes=15)) is None


def test_without_a_cutoff_an_event_may_be_of_any_age() -> None:
    assert ignored(state(cutoff=None), datetime(1970, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("time", "goes_through"),
    [
        (NOON + HOUR - SECOND, True),
        (NOON + HOUR, False),
        (NOON + 2 * HOUR - SECOND, False),
        (NOON + 2 * HOUR, True),
        (NOON + 3 * HOUR, False),
        (NOON + 4 * HOUR, True),
    ],
)
def test_an_event_of_a_disabled_period_is_ignored_also_later(
    time: datetime, goes_through: bool
) -> None:
    periods = ((NOON + HOUR, NOON + 2 * HOUR), (NOON + 3 * HOUR, NOON + 4 * HOUR))
    result = ignored(state(disabled_periods=periods), time)
    assert (result is None) is goes_through
    if result is not None:
        assert result.condition == "enabled"
        assert result.reason.endswith(", while the trigger was disabled")


def test_a_period_without_an_end_counts_by_the_override_alone() -> None:
    found = state(disabled_periods=((NOON, None),))
    assert not found.in_disabled_period(NOON + HOUR)
    assert ignored(found, NOON + HOUR) is None
    assert ignored(state(enabled=False, disabled_periods=((NOON, None),)), NOON + HOUR) is not None


def test_an_event_that_a_person_wants_now_may_be_of_any_age() -> None:
    found = state(disabled_periods=((NOON, NOON + HOUR),))
    assert ignored(found, NOON - 100 * HOUR, run_now=True) is None
    assert ignored(found, NOON, run_now=True) is None


def test_an_event_that_a_person_wants_now_needs_an_enabled_trigger() -> None:
    result = ignored(state(enabled=False), NOON, run_now=True)
    assert result is not None
    assert result.condition == "enabled"


def test_blobs_and_requests_are_judged_by_their_own_times() -> None:
    found = state()
    old = NOON - HOUR
    blob = BlobEvent(
        trigger="t",
        account="lake",
        container="data",
        path="a",
        url="https://lake/data/a",
        etag="0x1",
        size=1,
        last_modified=old,
    )
    call = HttpEvent(trigger="t", time=old, key=("key", "k"))
    for event in (blob, call):
        result = found.reason_to_ignore(event, enabled_in_file=True)
        assert result is not None
        assert result.condition == "start"


def test_the_anchor_is_the_registration_cut_to_the_minute() -> None:
    assert anchor_of(NOON + timedelta(seconds=59, microseconds=9)) == NOON
    assert state(registered_at=NOON + 59 * SECOND).anchor == NOON


def overridden(
    found: TriggerState, enabled: bool | None, *, hours: int, in_file: bool = True
) -> TriggerState:
    return found.override(enabled, enabled_in_file=in_file, now=NOON + hours * HOUR, by="ada")


def test_a_disabled_period_begins_and_ends_with_the_overrides() -> None:
    off = overridden(state(), False, hours=1)
    assert (off.enabled, off.overridden_at, off.overridden_by) == (False, NOON + HOUR, "ada")
    assert (off.disabled_periods, off.enabled_at) == (((NOON + HOUR, None),), None)
    on = overridden(off, True, hours=3)
    assert on.disabled_periods == ((NOON + HOUR, NOON + 3 * HOUR),)
    assert on.enabled_at == NOON + 3 * HOUR


def test_the_same_override_twice_changes_nothing() -> None:
    off = overridden(state(), False, hours=1)
    assert overridden(off, False, hours=2) is off


def test_an_override_that_agrees_with_the_file_begins_no_period() -> None:
    on = overridden(state(), True, hours=1)
    assert (on.enabled, on.disabled_periods, on.enabled_at) == (True, (), None)
    off = overridden(state(), False, hours=1, in_file=False)
    assert (off.enabled, off.disabled_periods, off.enabled_at) == (False, (), None)


def test_removing_the_override_enables_a_trigger_that_the_file_enables() -> None:
    off = overridden(state(), False, hours=1)
    on = overridden(off, None, hours=2)
    assert (on.enabled, on.enabled_at) == (None, NOON + 2 * HOUR)
    assert on.disabled_periods == ((NOON + HOUR, NOON + 2 * HOUR),)


def test_enabling_a_trigger_that_the_file_disables_catches_nothing_up() -> None:
    on = overridden(state(), True, hours=2, in_file=False)
    assert (on.enabled_at, on.disabled_periods) == (NOON + 2 * HOUR, ())


def test_the_last_20_disabled_periods_are_kept() -> None:
    found = state()
    for number in range(30):
        found = overridden(found, False, hours=2 * number)
        found = overridden(found, True, hours=2 * number + 1)
    assert len(found.disabled_periods) == KEPT_DISABLED_PERIODS == 20
    assert found.disabled_periods[-1] == (NOON + 58 * HOUR, NOON + 59 * HOUR)
