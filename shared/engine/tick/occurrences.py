"""Which occurrences of the schedules a tick must record, which of them run, and which are skipped.

Every occurrence becomes one submission, however time is cut into ticks. An occurrence that a tick sees within `ON_TIME`
runs. A later one is *missed*: the schedule's `catch_up` says whether it runs too or is skipped. With `all` the missed
ones run in order, the oldest first.

A tick catches up a bounded number. A trigger with more gets a watermark of its own, which says how far it came, and the
common watermark of the ticks moves on without it. What lies beyond a watermark is decided again, and claiming it again
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from shared.config.model import Config, ScheduleSource
from shared.core.events import ScheduleEvent
from shared.core.times import print_duration, print_instant
from shared.core.trigger_state import TriggerState
from shared.schedules.schedule import CatchUpPolicy

ON_TIME = timedelta(minutes=2)
"""An occurrence that a tick sees no later than this is on time. So one tick may be lost."""

RUNS_PER_TICK = 48
"""Missed occurrences that run in one tick, shared by all triggers, since Azure ML throttles bursts."""

SKIPS_PER_TICK = 2000
"""Missed occurrences that are recorded as skipped in one tick, shared by all triggers. They take forty transactions."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a tick must record."""

    run: list[ScheduleEvent] = field(default_factory=list)
    """Occurrences that run, each trigger's in order."""
    skip: list[tuple[ScheduleEvent, str]] = field(default_factory=list)
    """Missed occurrences that are skipped, each with the reason."""
    watermarks: dict[str, datetime | None] = field(default_factory=dict)
    """The own watermark of each trigger that is behind, or None for a trigger that no longer is."""


def plan_occurrences(
    config: Config,
    states: Mapping[str, TriggerState],
    *,
    watermark: datetime | None,
    now: datetime,
) -> Plan:
    """Return what a tick must record.

    Args:
        config: Today's file.
        states: What the ledger knows of each trigger.
        watermark: The common watermark. None: this is the first tick.
        now: The last instant to consider.
    """
    plan = Plan()
    late: list[_Pending] = []
    for trigger in config.triggers.values():
        if not isinstance(trigger.source, ScheduleSource):
            continue
        state = states.get(trigger.name)
        if state is None:
            continue  # its row cannot be read, and the ledger has logged that
        pending = _Pending.of(trigger.source, state, watermark, now)
        if state.watermark is not None:
            plan.watermarks[trigger.name] = None
        if pending is None:
            continue
        if not state.is_enabled(enabled_in_file=trigger.enabled):
            # Nothing of a disabled period is caught up. Only the newest goes to `accept`, which logs it as ignored.
            plan.run += pending.events(pending.on_time()[:1])
        elif pending.first >= now - ON_TIME:
            plan.run += pending.events(pending.times)
        else:
            late.append(pending)
    for pending in late:
        # At least two each: a schedule of every minute must catch up, however many others do.
        pending.decide(
            plan,
            runs=max(2, RUNS_PER_TICK // len(late)),
            skips=max(2, SKIPS_PER_TICK // len(late)),
        )
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A trigger's occurrences that are due and not known to be recorded."""

    source: ScheduleSource
    """The schedule."""
    state: TriggerState
    """What the ledger knows of the trigger."""
    first: datetime
    """The oldest of them."""
    times: Iterator[datetime]
    """All of them, oldest first. The iterator can be used once."""
    after: datetime
    """They are all later than this."""
    now: datetime
    """The last instant to consider."""

    @classmethod
    def of(
        cls,
        source: ScheduleSource,
        state: TriggerState,
        watermark: datetime | None,
        now: datetime,
    ) -> _Pending | None:
        """Return them, or None if there is none."""
        schedule, anchor = source.schedule, state.anchor
        watermark = state.watermark or max(watermark or anchor, anchor)
        if state.enabled_at is not None:
            watermark = max(watermark, state.enabled_at)
        after = max(watermark, anchor)
        times = (
            schedule.occurrences(anchor=anchor, after=after, until=now) if after < now else iter(())
        )
        extra = schedule.extra(anchor=anchor)
        if extra is not None and watermark < extra:
            times = chain((extra,), times)
        first = next(times, None)
        if first is None:
            return None
        return cls(
            source=source,
            state=state,
            first=first,
            times=chain((first,), times),
            after=after,
            now=now,
        )

    def decide(self, plan: Plan, *, runs: int, skips: int) -> None:
        """Add what a late trigger needs to a plan.

        Args:
            plan: Takes it.
            runs: How many missed occurrences may run.
            skips: How many may be recorded as skipped.
        """
        catch_up = self.source.catch_up
        oldest = self.now - catch_up.window
        in_order = catch_up.policy is CatchUpPolicy.ALL
        at_once = [] if in_order else self._at_once(oldest)
        plan.run += self.events(at_once)
        last = self.first
        for time in self.times:
            if in_order and time >= oldest:
                if self._is_missed(time):
                    if runs == 0:
                        break
                    runs -= 1
                plan.run += self.events([time])
            elif time not in at_once:
                if skips == 0:
                    break
                skips -= 1
                reason = self._reason(time, oldest, at_once)
                plan.skip += [(event, reason) for event in self.events([time])]
            last = time
        else:
            return
        plan.watermarks[self.state.name] = last

    def on_time(self) -> list[datetime]:
        """Return those that are not missed."""
        return [time for time in self._recent() if not self._is_missed(time)]

    def events(self, times: Iterable[datetime]) -> Iterator[ScheduleEvent]:
        """Yield occurrences as events."""
        anchor = self.state.anchor
        for time in times:
            yield schedule_event(self.state.name, self.source, time, anchor=anchor)

    def _at_once(self, oldest: datetime) -> list[datetime]:
        """Return those that run now, however many others are skipped: those on time, else the newest."""
        found = self.on_time()
        newest = next(iter(self._recent()), self.first)
        if not found and self.source.catch_up.policy is CatchUpPolicy.LATEST and newest >= oldest:
            found = [newest]
        return found

    def _recent(self) -> Iterator[datetime]:
        """Yield the newest, and all that are on time, newest first."""
        anchor = self.state.anchor
        backwards = self.source.schedule.backwards(anchor=anchor, until=self.now)
        for time in backwards:
            if time <= self.after:
                return
            yield time
            if self._is_missed(time):
                return

    def _is_missed(self, time: datetime) -> bool:
        return self.now - time > ON_TIME

    def _reason(self, time: datetime, oldest: datetime, at_once: list[datetime]) -> str:
        catch_up = self.source.catch_up
        if catch_up.policy is CatchUpPolicy.NONE:
            return f"missed by more than {print_duration(ON_TIME)}, and catch_up is none"
        if time < oldest:
            return f"missed by more than catch_up_window ({print_duration(catch_up.window)})"
        newest = f", of {print_instant(max(at_once))}," if at_once else ""
        return f"missed, and a later occurrence{newest} runs instead (catch_up is latest)"


def schedule_event(
    trigger: str, source: ScheduleSource, time: datetime, *, anchor: datetime
) -> ScheduleEvent:
    """Return an occurrence as an event, with its window.

    Args:
        trigger: The trigger's name.
        source: Its schedule.
        time: The occurrence.
        anchor: What the schedule is counted from.
    """
    return ScheduleEvent(
        trigger=trigger,
        time=time,
        window_start=source.schedule.previous(time, anchor=anchor),
        time_zone=source.schedule.zone.key,
    )
