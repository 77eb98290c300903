"""Missed occurrences: which run, and which are skipped and why. The times of the ticks do not change that."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.testing.app import HEAD, NOON, Bench, bench
from local.testing.memory_table import Fault
from local.testing.threads import start_inline
from shared.core.errors import LedgerUnavailable
from shared.core.events import ScheduleEvent
from shared.core.submissions import State, Submission
from shared.engine.tick import occurrences
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Merge

type MakeBench = Callable[..., Bench]

MINUTE = timedelta(minutes=1)


def trigger(more: str, *, name: str = "t", every: int = 10) -> str:
    return f"{name}: {{pipeline: scoring, schedule: {{frequency: minute, interval: {every}, {more}}}}}\n"


def by_state(found: Bench) -> dict[State, list[datetime]]:
    states: dict[State, list[datetime]] = {}
    for one in sorted(found.submissions(), key=lambda one: one.event.time):
        states.setdefault(one.state, []).append(one.event.time)
    return states


def started(found: Bench) -> list[datetime]:
    return by_state(found).get(State.SUBMITTED, [])


def reasons(found: Bench) -> set[str]:
    return {str(one.reason) for one in found.submissions() if one.state is State.SKIPPED}


def slept(found: Bench, **span: float) -> None:
    """A first tick, a time without any, and one more."""
    found.app.tick()
    found.clock.advance(**span)
    found.app.tick()


def at(*minutes: int) -> list[datetime]:
    return [NOON + minute * MINUTE for minute in minutes]


def test_latest_runs_the_newest_and_records_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: latest"))
    slept(bench, minutes=45)
    assert by_state(bench) == {State.SUBMITTED: at(40), State.SKIPPED: at(10, 20, 30)}
    assert reasons(bench) == {
        "missed, and a later occurrence, of 2027-03-27T12:40:00Z, runs instead (catch_up is latest)"
    }


def test_none_runs_only_what_is_on_time(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: none"))
    slept(bench, minutes=45)
    assert by_state(bench) == {State.SKIPPED: at(10, 20, 30, 40)}
    assert reasons(bench) == {"missed by more than 2m, and catch_up is none"}
    bench.clock.advance(minutes=7)
    bench.app.tick()
    assert started(bench) == at(50)


def test_all_runs_all(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: all"))
    slept(bench, minutes=45)
    assert by_state(bench) == {State.SUBMITTED: at(10, 20, 30, 40)}


@pytest.mark.parametrize(
    ("policy", "runs"), [("latest", at(180)), ("all", at(130, 140, 150, 160, 170, 180))]
)
def test_an_occurrence_older_than_the_window_is_skipped(
    make_bench: MakeBench, policy: str, runs: list[datetime]
) -> None:
    bench = make_bench(trigger(f"catch_up: {policy}, catch_up_window: 1h"))
    slept(bench, minutes=185)
    assert started(bench) == runs
    assert len(bench.submissions()) == 18
    assert "missed by more than catch_up_window (1h)" in reasons(bench)


def test_the_newest_is_skipped_too_if_it_is_older_than_the_window(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up_window: 3m"))
    slept(bench, minutes=15)
    assert by_state(bench) == {State.SKIPPED: at(10)}


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
def test_two_occurrences_that_one_tick_finds_on_time_both_run(
    make_bench: MakeBench, policy: str
) -> None:
    """The timer fired a moment early, or one tick was lost."""
    bench = make_bench(trigger(f"catch_up: {policy}", every=1))
    slept(bench, minutes=2)
    assert started(bench) == at(1, 2)


def test_a_tick_catches_up_a_bounded_number_and_the_next_ticks_the_rest(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(trigger("catch_up: all", every=1))
    slept(bench, hours=2)
    assert len(started(bench)) == occurrences.RUNS_PER_TICK
    assert started(bench)[0] == NOON + MINUTE
    for _ in range(3):
        bench.clock.advance(minutes=1)
        bench.app.tick()
    assert started(bench) == [NOON + n * MINUTE for n in range(1, 124)]
    assert len(bench.workspace.bodies) == 123


def test_many_late_triggers_share_what_a_tick_catches_up(make_bench: MakeBench) -> None:
    bench = make_bench("".join(trigger("catch_up: all", name=f"t{n}", every=1) for n in range(4)))
    slept(bench, hours=2)
    shares = Counter(one.trigger for one in bench.submissions())
    assert set(shares.values()) == {occurrences.RUNS_PER_TICK // 4}


def test_the_newest_occurrence_does_not_wait_for_skipped_ones(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "SKIPS_PER_TICK", 3)
    bench = make_bench(trigger("catch_up: latest"))
    slept(bench, minutes=105)
    assert by_state(bench) == {State.SUBMITTED: at(100), State.SKIPPED: at(10, 20, 30)}
    for _ in range(2):
        bench.clock.advance(seconds=30)
        bench.app.tick()
    assert by_state(bench) == {
        State.SUBMITTED: at(100),
        State.SKIPPED: at(10, 20, 30, 40, 50, 60, 70, 80, 90),
    }


def test_a_long_outage_is_recorded_in_few_transactions(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: none", every=1))
    bench.app.tick()
    before = bench.table.calls.copy()
    bench.clock.advance(hours=16)
    bench.app.tick()
    assert len(bench.submissions()) == 960
    assert (bench.table.calls - before)["transact"] < 40


def test_after_catching_up_a_trigger_has_no_watermark_of_its_own(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: all", every=1))
    slept(bench, hours=1)
    for _ in range(3):
        bench.clock.advance(minutes=1)
        bench.app.tick()
    assert own_watermark(bench) is None


def test_occurrences_of_a_disabled_period_are_not_caught_up(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("catch_up: all"))
    bench.app.tick()
    table = bench.table.view()
    bench.clock.advance(minutes=5)
    table.transact([Merge("trigger:t", {"override": "false"})])
    bench.app.tick()
    bench.clock.advance(minutes=27)  # no tick for a while, and enabled before the next
    enabled_at = "2027-03-27T12:32:00Z"
    table.transact([Merge("trigger:t", {"override": "true", "enabled_at": enabled_at})])
    bench.clock.advance(minutes=10)
    bench.app.tick()
    assert by_state(bench) == {State.SUBMITTED: at(40)}


def test_a_disabled_trigger_records_nothing_and_forgets_its_missed_occurrences(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(trigger("catch_up: all", every=1))
    slept(bench, hours=2)
    bench.table.view().transact([Merge("trigger:t", {"override": "false"})])
    count = len(bench.submissions())
    bench.clock.advance(minutes=1)
    bench.app.tick()
    bench.table.view().transact([Merge("trigger:t", {"override": "true"})])
    bench.clock.advance(seconds=20)
    bench.app.tick()
    assert len(bench.submissions()) == count


def test_run_at_start_survives_a_crash_between_registration_and_claim(
    make_bench: MakeBench,
) -> None:
    broken: list[Fault] = []
    calls: list[str] = []

    def fault(call: str) -> Fault | None:
        calls.append(call)
        writes = calls.count("transact")
        return broken[0] if broken and call == "transact" and writes > 1 else None

    bench = make_bench(trigger("run_at_start: true"), fault=fault)
    broken.append(Fault.NOT_CARRIED_OUT)
    with pytest.raises(LedgerUnavailable):
        bench.app.tick()
    broken.clear()
    bench.clock.advance(minutes=1)
    bench.app.tick()
    assert started(bench) == [NOON]


def test_a_start_in_the_past_runs_nothing_from_before_the_registration(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(trigger("start_time: 1970-01-01T00:05:00, catch_up: all"))
    slept(bench, minutes=26)
    assert started(bench) == at(5, 15, 25)


def test_jitter_delays_the_start_and_never_the_occurrence(make_bench: MakeBench) -> None:
    bench = make_bench(trigger("jitter: 9m", every=60))
    bench.app.tick()
    bench.clock.advance(minutes=60)
    bench.app.tick()
    (waiting,) = bench.submissions()
    assert waiting.event.time == NOON + timedelta(hours=1)
    assert waiting.state is State.PENDING
    assert waiting.due is not None
    assert timedelta() < waiting.due - waiting.event.time <= timedelta(minutes=9)
    assert waiting.reason is not None
    assert waiting.reason.startswith("waits until 2027-03-27T13:0")
    assert bench.workspace.bodies == []
    bench.clock.time = waiting.due
    bench.restarted().app.tick()
    assert started(bench) == [NOON + timedelta(hours=1)]
    assert len(bench.workspace.bodies) == 1


def test_jitter_is_the_same_for_every_instance(make_bench: MakeBench) -> None:
    dues = []
    for _ in range(2):
        bench = make_bench(trigger("jitter: 9m", every=60))
        bench.app.tick()
        bench.clock.advance(minutes=60)
        bench.app.tick()
        dues.append(bench.submissions()[0].due)
    assert dues[0] == dues[1]


def test_templates_know_the_window_and_the_local_time(make_bench: MakeBench) -> None:
    bench = make_bench(
        """
        t:
          pipeline: scoring
          schedule: {cron: "30 14 * * *", time_zone: Europe/Berlin, except: [2027-03-28]}
          tags:
            from: "{{ schedule.window_start }}"
            to: "{{ schedule.window_end }}"
            local: "{{ schedule.local_time }}"
            day: "{{ schedule.local_time | date('%d %H:%M') }}"
        """
    )
    bench.app.tick()
    bench.clock.time = NOON + timedelta(days=2, minutes=31)
    bench.app.tick()
    ran = {one.event.time: one for one in bench.submissions() if one.state is State.SUBMITTED}
    (submission,) = ran.values()
    body = (submission.body or b"").decode()
    for tag in (
        '"from":"2027-03-27T13:30:00Z"',
        '"to":"2027-03-29T12:30:00Z"',
        '"local":"2027-03-29T14:30:00+02:00"',
        '"day":"29 14:30"',
    ):
        assert tag in body
    assert isinstance(submission.event, ScheduleEvent)
    assert submission.event.time_zone == "Europe/Berlin"


SCHEDULES = [
    "{frequency: minute, interval: 7, catch_up: %s, catch_up_window: 30d}",
    "{frequency: hour, interval: 3, catch_up: %s, catch_up_window: 30d, time_zone: Europe/Berlin}",
    "{frequency: day, hours: [2, 14], minutes: [30], time_zone: Europe/Berlin, catch_up: %s, catch_up_window: 30d}",
    "{cron: '*/20 2 * * *', time_zone: Europe/Berlin, catch_up: %s, catch_up_window: 30d}",
    "{cron: '15 * * * *', except: [2027-03-28], catch_up: %s, catch_up_window: 30d}",
]


def claimed(found: Bench) -> dict[str, Submission]:
    submissions = found.submissions()
    assert len({one.id for one in submissions}) == len(submissions)
    return {one.id: one for one in submissions}


def own_watermark(found: Bench) -> datetime | None:
    registration = found.config.triggers["t"].registration(found.clock.now())
    return Ledger(found.table.view()).triggers.read_states([registration])["t"].watermark


def run_until_caught_up(found: Bench) -> None:
    for _ in range(60):
        found.app.tick()
        if own_watermark(found) is None:
            return
    pytest.fail("it never caught up")


class Deaths:
    """A process that dies after so many writes: no later write is carried out."""

    def __init__(self) -> None:
        self.writes: int | None = None

    def fault(self, call: str) -> Fault | None:
        if self.writes is None or call != "transact":
            return None
        self.writes -= 1
        return Fault.NOT_CARRIED_OUT if self.writes < 0 else None

    def after(self, writes: int, instance: Bench) -> None:
        """Let an instance tick, and die."""
        self.writes = writes
        with contextlib.suppress(LedgerUnavailable):
            instance.app.tick()
        self.writes = None


# Threads would make thousands of ticks slow on a busy machine, and the law does not depend on them.
@mock.patch("shared.engine.threads.Threads.start", start_inline)
@settings(max_examples=60, deadline=None)
@given(
    schedule=st.sampled_from(SCHEDULES),
    policy=st.sampled_from(["none", "latest", "all"]),
    cuts=st.lists(st.integers(1, 1500), min_size=1, max_size=8),
    who=st.lists(
        st.sampled_from(["first", "second", "restarted", "both", "dies"]), min_size=8, max_size=8
    ),
    second=st.integers(0, 59),
)
def test_the_records_do_not_depend_on_the_times_of_the_ticks_nor_on_the_instances(
    tmp_path_factory: pytest.TempPathFactory,
    schedule: str,
    policy: str,
    cuts: list[int],
    who: list[str],
    second: int,
) -> None:
    """Ticks at random times, on two instances, with restarts and deaths after any number of writes."""
    file = tmp_path_factory.mktemp("file") / "triggers.yaml"
    text = schedule % policy
    if policy == "none":
        text = text.replace(", catch_up_window: 30d", "")
    file.write_text(f"{HEAD}  t: {{pipeline: scoring, schedule: {text}}}\n")
    deaths = Deaths()
    cut, whole = bench(file, fault=deaths.fault), bench(file)
    instances = {"first": cut, "second": cut.restarted()}
    for found in (cut, whole):
        found.clock.advance(seconds=second)
        found.app.tick()
    for number, minutes in enumerate(cuts):
        cut.clock.advance(minutes=minutes)
        if who[number] == "restarted":
            instances["first"] = cut.restarted()
        for name in {"second": ["second"], "both": ["first", "second"]}.get(who[number], ["first"]):
            if who[number] == "dies":
                deaths.after(minutes % 7, instances["first"])
            else:
                instances[name].app.tick()
    run_until_caught_up(cut)
    whole.clock.time = cut.clock.time
    run_until_caught_up(whole)
    assert claimed(cut).keys() == claimed(whole).keys()
    ran = {one.id for one in claimed(cut).values() if one.state is not State.SKIPPED}
    if policy == "all":
        assert ran == claimed(cut).keys()
    if policy != "none" and claimed(cut):
        assert max(claimed(cut).values(), key=lambda one: one.event.time).id in ran
    assert len(cut.workspace.bodies) <= len(ran)


def test_every_schedule_of_the_random_test_can_be_loaded(
    write_triggers: Callable[[str], Path],
) -> None:
    for schedule in SCHEDULES:
        bench(write_triggers(f"t: {{pipeline: scoring, schedule: {schedule % 'all'}}}"))
