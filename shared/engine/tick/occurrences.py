"""Which occurrences of the schedules a tick must record, which of them run, and which are skipped.

Every occurrence becomes one submission, however time is cut into ticks. An occurrence that a tick sees within `ON_TIME`
runs. A later one is *missed*: the schedule's `catch_up` says whether it runs too or is skipped. With `all` the missed
ones run in order, the oldest first.

A tick catches up a bounded number. A trigger with more gets a watermark of its own, which says how far it came, and the
common watermark of the ticks moves on without it. What lies beyond a watermark is decided again, and claiming it again
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from shared.config.model import Config, ScheduleSource
from shared.core.events import ScheduleEvent
from shared.core.times import print_duration, print_instant
from shared.core.trigger_state import OwnWatermark, TriggerState
from shared.schedules.schedule import CatchUpPolicy

ON_TIME = timedelta(minutes=2)
"""An occurrence that a tick sees no later than this is on time. So one tick may be lost."""

RUNS_PER_TICK = 48
"""Missed occurrences that run in one tick, shared by all triggers, since Azure ML throttles bursts."""

SKIPS_PER_TICK = 2000
"""Missed occurrences that are recorded as skipped in one tick, shared by all triggers. They take forty transactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """How far the ticks have come with one trigger."""

    source: ScheduleSource
    """Its schedule."""
    state: TriggerState
    """What the ledger knows of it."""
    common: datetime | None
    """The common watermark that covers its schedule. None: no tick has met this schedule yet."""
    now: datetime
    """The last instant that this tick considers."""

    @property
    def recorded(self) -> datetime:
        """Up to where its occurrences are recorded: its own watermark, else the common one, else its anchor."""
        anchor = self.state.anchor
        return self.state.watermark or max(self.common or anchor, anchor)

    def in_window(self, time: datetime) -> bool:
        """Return whether a missed occurrence may still run.

        The window counts from now. What was within it when the trigger fell behind stays within it.
        """
        window, start = self.source.catch_up.window, self.state.catch_up_from
        return time >= self.now - window or (start is not None and start <= time <= start + window)

    def own_after(self, reached: datetime) -> OwnWatermark | None:
        """Return the watermark of its own that it needs once it is recorded up to an instant.

        None: the common watermark, as this tick leaves it, says no more than is true. If the clock of this tick is
        behind, the common one is later than what this tick reached.
        """
        recorded = max(self.recorded, reached)
        if recorded >= max(self.common or self.now, self.now):
            return None
        window, start = self.source.catch_up.window, self.state.catch_up_from
        if reached < self.now and (start is None or start + window < recorded):
            start = self.now - window
        return OwnWatermark(time=recorded, catch_up_from=start)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a tick must record."""

    run: list[ScheduleEvent] = field(default_factory=list)
    """Occurrences that run, each trigger's in order."""
    skip: list[tuple[ScheduleEvent, str]] = field(default_factory=list)
    """Missed occurrences that are skipped, each with the reason."""
    watermarks: dict[str, OwnWatermark | None] = field(default_factory=dict)
    """The own watermark of each trigger that is behind, or None for a trigger that no longer is."""
    failures: dict[str, Exception] = field(default_factory=dict)
    """What went wrong with planning a trigger."""

    def move(self, progress: _Progress, reached: datetime) -> None:
        """Record that everything up to an instant is recorded of a trigger."""
        watermark = progress.own_after(reached)
        if watermark != progress.state.own_watermark:
            self.watermarks[progress.state.name] = watermark

    def stay(self, progress: _Progress) -> None:
        """Leave a trigger where it is, although the common watermark moves on."""
        if progress.state.watermark is None:
            self.watermarks[progress.state.name] = OwnWatermark(time=progress.recorded)

    @contextmanager
    def one_trigger(self, progress: _Progress) -> Iterator[None]:
        """Keep an unexpected error as that of one trigger, which stays where it is."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
            self.failures[progress.state.name] = error
            self.stay(progress)


def plan_occurrences(
    config: Config,
    states: Mapping[str, TriggerState],
    *,
    common: Callable[[bytes], datetime | None],
    now: datetime,
) -> Plan:
    """Return what a tick must record. What goes wrong with one trigger does not keep the others.

    Args:
        config: Today's file.
        states: What the ledger knows of each trigger.
        common: Returns the common watermark that covers a trigger's schedule (`TickState.watermark`).
        now: The last instant to consider.
    """
    plan = Plan()
    late: list[_Pending] = []
    for trigger in config.triggers.values():
        source, state = trigger.source, states.get(trigger.name)
        if not isinstance(source, ScheduleSource) or state is None:
            continue
        progress = _Progress(source=source, state=state, common=common(state.pair), now=now)
        with plan.one_trigger(progress):
            if state.error is not None:
                plan.stay(progress)
                continue
            pending = _Pending.of(progress)
            if pending is not None and not state.is_enabled(enabled_in_file=trigger.enabled):
                # Nothing of a disabled period is caught up. Only the newest goes to `accept`, which logs it as ignored.
                plan.run += pending.events(pending.on_time()[:1])
            elif pending is not None and pending.first < now - ON_TIME:
                late.append(pending)
                continue
            elif pending is not None:
                plan.run += pending.events(pending.times)
            plan.move(progress, now)
    for pending in late:
        with plan.one_trigger(pending.progress):
            # At least two each: a schedule of every minute must catch up, however many others do.
            reached = pending.decide(
                plan,
                runs=max(2, RUNS_PER_TICK // len(late)),
                skips=max(2, SKIPS_PER_TICK // len(late)),
            )
            plan.move(pending.progress, reached)
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A trigger's occurrences that are due and not known to be recorded."""

    progress: _Progress
    """How far the ticks have come with the trigger."""
    first: datetime
    """The oldest of them."""
    times: Iterator[datetime]
    """All of them, oldest first. The iterator can be used once."""
    after: datetime
    """They are all later than this."""

    @classmethod
    def of(cls, progress: _Progress) -> _Pending | None:
        """Return them, or None if there is none."""
        schedule, state, now = progress.source.schedule, progress.state, progress.now
        watermark = progress.recorded
        if state.enabled_at is not None:
            watermark = max(watermark, state.enabled_at)
        anchor = state.anchor
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
            progress=progress,
            first=first,
            times=chain((first,), times),
            after=after,
        )

    def decide(self, plan: Plan, *, runs: int, skips: int) -> datetime:
        """Add what a late trigger needs to a plan.

        Args:
            plan: Takes it.
            runs: How many missed occurrences may run.
            skips: How many may be recorded as skipped.

        Returns:
            Up to where its occurrences are recorded then.
        """
        in_order = self.progress.source.catch_up.policy is CatchUpPolicy.ALL
        at_once = [] if in_order else self._at_once()
        plan.run += self.events(at_once)
        last = self.after
        for time in self.times:
            if in_order and self.progress.in_window(time):
                if self._is_missed(time):
                    if runs == 0:
                        return last
                    runs -= 1
                plan.run += self.events([time])
            elif time not in at_once:
                if skips == 0:
                    return last
                skips -= 1
                reason = self._reason(time, at_once)
                plan.skip += [(event, reason) for event in self.events([time])]
            last = time
        return self.progress.now

    def on_time(self) -> list[datetime]:
        """Return those that are not missed."""
        return [time for time in self._recent() if not self._is_missed(time)]

    def events(self, times: Iterable[datetime]) -> Iterator[ScheduleEvent]:
        """Yield occurrences as events."""
        source, state = self.progress.source, self.progress.state
        for time in times:
            yield schedule_event(state.name, source, time, anchor=state.anchor)

    def _at_once(self) -> list[datetime]:
        """Return those that run now, however many others are skipped: those on time, else the newest."""
        found = self.on_time()
        if not found and self.progress.source.catch_up.policy is CatchUpPolicy.LATEST:
            newest = next(iter(self._recent()), self.first)
            found = [newest] if self.progress.in_window(newest) else []
        return found

    def _recent(self) -> Iterator[datetime]:
        """Yield the newest, and all that are on time, newest first."""
        schedule, anchor = self.progress.source.schedule, self.progress.state.anchor
        backwards = schedule.backwards(anchor=anchor, until=self.progress.now)
        for time in backwards:
            if time <= self.after:
                return
            yield time
            if self._is_missed(time):
                return

    def _is_missed(self, time: datetime) -> bool:
        return self.progress.now - time > ON_TIME

    def _reason(self, time: datetime, at_once: list[datetime]) -> str:
        catch_up = self.progress.source.catch_up
        if catch_up.policy is CatchUpPolicy.NONE:
            return f"missed by more than {print_duration(ON_TIME)}, and catch_up is none"
        if not self.progress.in_window(time):
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
