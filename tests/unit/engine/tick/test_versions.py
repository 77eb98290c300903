"""Two versions of the triggers file at work on one ledger: during a rolling update, in slots, after a rollback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.testing.app import HEAD, NOON, Bench, bench
from shared.core.events import BlobNotification, Ignored
from shared.core.submissions import State, Submission
from shared.core.trigger_state import GRACE, TriggerState
from shared.engine.tick.housekeeping import VERSIONS_PER_TICK
from shared.ledger.ledger import Ledger
from shared.operations.submissions import start
from shared.operations.triggers import override

type MakeBench = Callable[..., Bench]
type WriteTriggers = Callable[[str], Path]


def every(minutes: int, name: str, more: str = "catch_up: all") -> str:
    return f"{name}: {{pipeline: scoring, schedule: {{frequency: minute, interval: {minutes}, {more}}}}}\n"


def blob(folder: str) -> str:
    return f"moved: {{pipeline: scoring, blob: {{datastore: lake, path: {folder}}}}}\n"


OLD = every(10, "same") + every(15, "changed") + every(30, "removed") + blob("incoming")
NEW = (
    every(10, "same")
    + every(20, "changed")
    + every(12, "added")
    + every(25, "started", "run_at_start: true")
    + blob("landing")
)


def at(*minutes: int) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in minutes]


def times(found: Bench, name: str, *states: State) -> list[datetime]:
    return sorted(
        one.event.time
        for one in found.submissions()
        if one.trigger == name and (not states or one.state in states)
    )


def state_of(found: Bench, name: str) -> TriggerState:
    registration = found.config.triggers[name].registration(found.clock.now())
    return Ledger(found.table.view()).triggers.read_states([registration])[name]


def keys(found: Bench, start: str) -> list[str]:
    return [row.key for row in found.table.view().page(start, start.rstrip(":") + ";").rows]


def ticks(minutes: int, *instances: Bench) -> None:
    """Let the instances tick in turn, one each minute."""
    for minute in range(minutes):
        instance = instances[minute % len(instances)]
        instance.clock.advance(minutes=1)
        instance.app.tick()


@pytest.fixture
def versions(make_bench: MakeBench, write_triggers: WriteTriggers) -> tuple[Bench, Bench]:
    """Give an app with the old file, which has ticked, and one with the new file on the same ledger."""
    old = make_bench(OLD)
    old.app.tick()
    return old, old.restarted(file=write_triggers(NEW))


def test_every_occurrence_that_either_version_names_is_decided_once(
    versions: tuple[Bench, Bench],
) -> None:
    old, new = versions
    ticks(60, new, old)  # the new one is first met at 12:01
    assert times(old, "same", State.SUBMITTED) == at(10, 20, 30, 40, 50, 60)
    assert times(old, "changed", State.SUBMITTED) == at(15, 21, 30, 41, 45, 60)
    assert times(old, "removed", State.SUBMITTED) == at(30, 60)
    assert times(old, "added", State.SUBMITTED) == at(13, 25, 37, 49)
    assert times(old, "started", State.SUBMITTED) == at(1, 26, 51)
    assert {one.state for one in old.submissions()} == {State.SUBMITTED}
    assert len(old.workspace.bodies) == len({one.id for one in old.submissions()}) == 21


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 14), st.sampled_from("onb")), max_size=8))
def test_no_order_of_the_versions_ticks_loses_or_adds_an_occurrence(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """All of it is less than two hours, so neither version counts as gone."""
    folder = tmp_path_factory.mktemp("files")
    for name, text in (("old", OLD), ("new", NEW)):
        lines = "".join(f"  {line}\n" for line in text.splitlines())
        (folder / f"{name}.yaml").write_text(HEAD + lines)
    old = bench(folder / "old.yaml")
    new = old.restarted(file=folder / "new.yaml")
    who = {"o": [old], "n": [new], "b": [old, new]}
    for minutes, which in [(0, "b"), *steps, (1, "b"), (1, "b")]:
        old.clock.advance(minutes=minutes)
        for instance in who[which]:
            instance.app.tick()
    end = int((old.clock.now() - NOON).total_seconds()) // 60
    intervals = {"same": [10], "changed": [15, 20], "removed": [30], "added": [12]}
    for name, lengths in intervals.items():
        named = {minute for one in lengths for minute in range(one, end + 1, one)}
        assert times(old, name) == at(*sorted(named))
    assert times(old, "started") == at(*range(0, end + 1, 25))
    assert len(old.workspace.bodies) <= len({one.id for one in old.submissions()})


def test_a_moved_blob_trigger_keeps_its_cutoff_in_both_versions(
    versions: tuple[Bench, Bench],
) -> None:
    old, new = versions
    ticks(60, new, old)
    assert state_of(old, "moved").cutoff == NOON - GRACE
    assert state_of(new, "moved").cutoff == NOON + timedelta(minutes=1) - GRACE
    for instance, folder in ((old, "incoming"), (new, "landing")):
        instance.blobs.put(f"{folder}/a", instance.clock)
        notification = BlobNotification(trigger="moved", container="data", path=f"{folder}/a")
        assert isinstance(start(instance.app.services, notification), Submission)


def test_a_person_decides_for_both_versions(versions: tuple[Bench, Bench]) -> None:
    old, new = versions
    ticks(2, new, old)
    override(old.app.services, "changed", False)
    ticks(60, new, old)
    assert times(old, "changed") == []
    assert state_of(new, "changed").enabled is False


def test_a_version_that_comes_back_soon_goes_on(versions: tuple[Bench, Bench]) -> None:
    old, new = versions
    ticks(40, new)
    assert times(old, "removed") == []
    ticks(25, old)
    assert times(old, "changed", State.SUBMITTED) == at(15, 21, 30, 45, 60)
    assert times(old, "removed", State.SUBMITTED) == at(30, 60)
    assert state_of(old, "changed").registered_at == NOON


def test_a_version_that_comes_back_late_only_goes_forward(versions: tuple[Bench, Bench]) -> None:
    old, new = versions
    ticks(180, new)
    back = NOON + timedelta(minutes=181)
    ticks(40, old)
    assert state_of(old, "changed").registered_at == back
    assert state_of(old, "moved").cutoff == back - GRACE
    assert times(old, "removed") == at(211)
    assert [one for one in times(old, "changed") if one > back] == at(196, 211)
    assert times(old, "same", State.SUBMITTED) == at(*range(10, 221, 10))


def test_a_trigger_that_was_removed_for_long_only_goes_forward(
    make_bench: MakeBench, write_triggers: WriteTriggers
) -> None:
    first = make_bench(every(10, "same") + every(30, "removed"))
    first.app.tick()
    ticks(180, first.restarted(file=write_triggers(every(10, "same"))))
    again = first.restarted(
        file=write_triggers(every(10, "same") + every(30, "removed") + every(11, "other"))
    )
    ticks(35, again)
    assert times(again, "removed") == at(211)


def test_an_outage_is_no_new_registration(make_bench: MakeBench) -> None:
    found = make_bench(OLD)
    found.app.tick()
    found.clock.advance(days=9, minutes=5)
    found.app.tick()
    assert state_of(found, "changed").registered_at == NOON
    assert state_of(found, "moved").cutoff == NOON - GRACE
    assert times(found, "removed")


def test_a_version_that_starts_after_an_outage_catches_up_what_both_name(
    versions: tuple[Bench, Bench],
) -> None:
    _, new = versions
    new.clock.advance(days=8)
    new.clock.advance(minutes=1)
    new.app.tick()
    ticks(40, new)
    day = timedelta(days=1)
    expected = [NOON + 7 * day + timedelta(minutes=10 * n) for n in range(1, 24 * 6 + 5)]
    assert times(new, "same", State.SUBMITTED) == expected
    assert len(times(new, "same")) == 8 * 24 * 6 + 4
    assert times(new, "changed") == at(8 * 24 * 60 + 21, 8 * 24 * 60 + 41)


def test_an_unchanged_trigger_goes_on_at_once_in_a_new_version(
    make_bench: MakeBench, write_triggers: WriteTriggers
) -> None:
    """What a version that is new has not recorded itself is recorded by the others."""
    old = make_bench(every(10, "same"))
    ticks(25, old)
    new = old.restarted(file=write_triggers(every(10, "same") + every(7, "added")))
    override(new.app.services, "same", False)
    ticks(10, new)
    override(new.app.services, "same", True)
    ticks(10, new)
    assert times(old, "same") == at(11, 21, 41)


def test_versions_and_registrations_that_are_long_gone_are_deleted_a_few_a_tick(
    make_bench: MakeBench, write_triggers: WriteTriggers
) -> None:
    found = make_bench(every(10, "same"))
    for number in range(2 * VERSIONS_PER_TICK):
        file = write_triggers(every(10, "same") + every(11 + number, "changed"))
        ticks(1, found.restarted(file=file))
    found.app.tick()
    assert len(keys(found, "tick:")) == 2 * VERSIONS_PER_TICK + 1
    assert len(keys(found, "trigger:")) == 2 * VERSIONS_PER_TICK + 1
    found.clock.advance(days=8)
    found.app.tick()
    assert len(keys(found, "tick:")) == 2 * VERSIONS_PER_TICK + 1  # one of them may come back, too
    assert len(keys(found, "trigger:")) == 2 * VERSIONS_PER_TICK + 1
    ticks(1, found)
    assert len(keys(found, "tick:")) == VERSIONS_PER_TICK + 1
    ticks(2, found)
    assert len(keys(found, "tick:")) == 1
    assert len(keys(found, "trigger:")) == 1
    assert state_of(found, "same").registered_at == NOON + timedelta(minutes=1)


def test_what_a_person_decided_outlives_the_registrations(
    make_bench: MakeBench, write_triggers: WriteTriggers
) -> None:
    found = make_bench(every(10, "same") + every(30, "removed"))
    found.app.tick()
    override(found.app.services, "removed", False)
    other = found.restarted(file=write_triggers(every(10, "same")))
    other.app.tick()
    other.clock.advance(days=8)
    ticks(3, other)
    assert keys(found, "trigger:") == ["trigger:removed", keys(found, "trigger:same")[0]]
    assert state_of(found, "removed").enabled is False


def test_a_tick_tells_every_half_hour_that_triggers_are_at_work(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(
        HEAD
        + "".join(
            f'  t-{n}: {{pipeline: scoring, schedule: {{cron: "0 0 1 1 *"}}}}\n' for n in range(150)
        )
    )
    found = bench(file)
    found.app.tick()
    costs = []
    for _ in range(65):
        before = found.table.calls.copy()
        ticks(1, found)
        costs.append((found.table.calls - before).total())
    assert costs == [8 if minute in {30, 61} else 6 for minute in range(65)]


def test_events_of_a_version_whose_ticks_have_stopped_are_not_ignored(
    versions: tuple[Bench, Bench],
) -> None:
    """The functions of the old version may go on for a while when only the new one ticks."""
    old, new = versions
    ticks(180, new)
    old.blobs.put("incoming/a", old.clock)
    notification = BlobNotification(trigger="moved", container="data", path="incoming/a")
    assert not isinstance(start(old.app.services, notification), Ignored)
    assert state_of(old, "moved").cutoff == NOON - GRACE
