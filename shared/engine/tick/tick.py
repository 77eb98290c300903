"""One call of the timer function, once a minute.

    plan the occurrences -> claim them -> move the watermarks -> send -> work off what is due -> housekeeping

A tick that fails half-way leaves the common watermark where it was. The next tick claims the rest, and an occurrence
that is claimed already stays claimed once. Two instances may tick at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched

from shared.config.model import ScheduleSource
from shared.core.errors import LedgerError, TriggerUnreadable, Unavailable
from shared.core.events import ScheduleEvent
from shared.core.submissions import Submission
from shared.core.telemetry import Action, log_decision
from shared.core.trigger_state import OwnWatermark, TriggerState, digest_pair
from shared.engine.accept import accept, skip
from shared.engine.services import Services
from shared.engine.tick.clocks import believe_states, believe_ticks, check_clock
from shared.engine.tick.due import DueReport, work_off_due
from shared.engine.tick.housekeeping import forget_versions, keep_house
from shared.engine.tick.occurrences import Plan, plan_occurrences
from shared.engine.tick.sending import send_claimed
from shared.ledger.tick import TickState, VersionState, version_of

logger = logging.getLogger(__name__)

SKIPPED_AT_ONCE = 50
"""Occurrences that are recorded as skipped together: as many as one transaction takes."""

BUDGET = timedelta(seconds=45)
"""How long a tick may take. Ticks come every minute, and two of one instance never overlap."""

SENDING = timedelta(seconds=15)
"""How long a tick waits for the POSTs of what it has claimed. It is never more than half of the time that is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What a tick did."""

    time: datetime
    """The instant up to which it evaluated the schedules."""
    sent: tuple[Submission, ...]
    """The submissions that it claimed and sent, as the ledger has them now, without those whose POST hangs."""
    due: DueReport
    """What it worked off."""


def run_tick(services: Services, *, budget: timedelta = BUDGET) -> TickReport:
    """Claim and send what is due now.

    Args:
        services: The app's parts.
        budget: How long the tick may take. Calls that hang go on without it.

    Raises:
        ClockAhead: This instance's clock is far ahead. Nothing is recorded.
        Unavailable: Something is not recorded. What was claimed is sent first. The next tick does the rest.
        ExceptionGroup: Some triggers met unexpected errors. The others went on.
    """
    until = services.monotonic() + budget.total_seconds()
    now = services.clock()
    stored = services.ledger.tick.read()
    check_clock(now, stored.ledger_time)
    before = believe_ticks(stored)
    states = services.ledger.triggers.register_all(
        (trigger.registration(now) for trigger in services.config.triggers.values()),
        last_tick=before.last,
        ledger_time=before.ledger_time,
    )
    believed = believe_states(states, before.ledger_time)
    plan = plan_occurrences(services.config, believed, common=before.watermark, now=now)
    for name, one in believed.items():
        if one.watermark != states[name].watermark:
            plan.watermarks.setdefault(name, one.own_watermark)
    failures = _Failures()
    claimed, recorded = _record(services, plan, states, failures)
    state, version = replace(before, last=now), _version(services, before, now, recorded=recorded)
    if claimed and failures.ledger is None:
        # Without claims the rows are written once, with the housekeeping: an idle tick is one transaction.
        with failures.kept():
            services.ledger.tick.write(state, version)
    sent = _send(services, claimed, failures, until=until)
    due = DueReport()
    if failures.ledger is None:
        with failures.kept():
            due = work_off_due(services, now=now, until=until)
    if failures.ledger is None:
        with failures.kept():
            keep_house(services, state, version, now=now)
            if recorded:
                forget_versions(services, before)
    failures.raise_all()
    more = ", more are left" if due.left else ""
    log_decision(
        logger,
        Action.TICK_ENDED,
        f"tick: {len(sent)} submissions sent, {due.done} worked off{more}",
        {"sent": len(sent), "worked_off": due.done},
    )
    return TickReport(time=now, sent=sent, due=due)


def _version(
    services: Services, before: TickState, now: datetime, *, recorded: bool
) -> VersionState:
    """Return how far this tick has come with this version of the file's schedules."""
    pairs = frozenset(
        digest_pair(trigger.name, trigger.source.source_key)
        for trigger in services.config.triggers.values()
        if isinstance(trigger.source, ScheduleSource)
    )
    known = before.versions.get(version_of(pairs))
    watermark = known.watermark if known is not None else None
    if recorded:
        watermark = max(now, watermark or now)
    return VersionState(pairs=pairs, watermark=watermark, ticked_at=now)


def _record(
    services: Services, plan: Plan, states: Mapping[str, TriggerState], failures: _Failures
) -> tuple[list[Submission], bool]:
    """Record what is planned, and how far each trigger came.

    A trigger that meets an unexpected error gets a watermark of its own, so that the next tick retries its occurrence.
    The others go on.

    Returns:
        What was claimed, and whether the common watermark may move: everything up to now is recorded, or is behind
        its trigger's own watermark.
    """
    for name, error in plan.failures.items():
        failures.keep(error, trigger=name)
    claimed: list[Submission] = []
    failed = _claim(services, plan.run, claimed, failures)
    failed += _skip(services, plan.skip, failures)
    if failures.ledger is not None:
        return claimed, False
    watermarks = dict(plan.watermarks)
    for event in failed:
        before, name = event.time - timedelta.resolution, event.trigger
        own = watermarks.get(name)
        if own is None:
            own = OwnWatermark(time=before, catch_up_from=states[name].catch_up_from)
        watermarks[name] = replace(own, time=min(own.time, before))
    with failures.kept() as part:
        services.ledger.triggers.move_watermarks(watermarks, states)
    return claimed, not part.failed


def _claim(
    services: Services,
    events: Sequence[ScheduleEvent],
    claimed: list[Submission],
    failures: _Failures,
) -> list[ScheduleEvent]:
    """Claim occurrences. Return those that met an unexpected error, after which their triggers stop."""
    failed: dict[str, ScheduleEvent] = {}
    for event in events:
        if failures.ledger is not None:
            break
        if event.trigger in failed:
            continue
        with failures.kept(trigger=event.trigger) as part:
            result = accept(services, event)
            if isinstance(result, Submission):
                claimed.append(result)
        if part.failed:
            failed[event.trigger] = event
    return list(failed.values())


def _skip(
    services: Services, missed: Sequence[tuple[ScheduleEvent, str]], failures: _Failures
) -> list[ScheduleEvent]:
    """Record missed occurrences as skipped, many at once. Return those that met an unexpected error."""
    failed: list[ScheduleEvent] = []
    for batch in batched(missed, SKIPPED_AT_ONCE, strict=False):
        if failures.ledger is not None:
            break
        try:
            skip(services, batch)
        except Unavailable as error:
            failures.keep(error)
        except Exception:  # noqa: BLE001 — it comes again for the one that it is about
            for event, reason in batch:
                if failures.ledger is not None:
                    break
                with failures.kept(trigger=event.trigger) as part:
                    skip(services, [(event, reason)])
                if part.failed:
                    failed.append(event)
    return failed


def _send(
    services: Services, claimed: Sequence[Submission], failures: _Failures, *, until: float
) -> tuple[Submission, ...]:
    """Send what this tick has claimed. What other instances have claimed is theirs."""
    ours = [submission for submission in claimed if submission.claimed_at is not None]
    share = min((until - services.monotonic()) / 2, SENDING.total_seconds())
    sent, errors = send_claimed(services, ours, until=services.monotonic() + share)
    for error in errors:
        with failures.kept():
            raise error
    return sent


@dataclass(slots=True)
class _Part:
    """Whether a part of the tick failed, so that it must be done again."""

    failed: bool = False


class _Failures:
    """What failed in a tick. It is kept while the other triggers go on, and raised at the end."""

    def __init__(self) -> None:
        self.ledger: Unavailable | None = None
        """What did not answer. Nothing more can be recorded then."""
        self._others: list[Exception] = []

    @contextmanager
    def kept(self, *, trigger: str | None = None) -> Iterator[_Part]:
        """Keep what a part of the tick raises. The part may be about one trigger."""
        part = _Part()
        try:
            yield part
        except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
            part.failed = self.keep(error, trigger=trigger)

    def keep(self, error: Exception, *, trigger: str | None = None) -> bool:
        """Keep an error. Return whether what raised it must be done again."""
        match error:
            case Unavailable():
                self.ledger = self.ledger or error
            case ExceptionGroup():
                self._others += [one for one in error.exceptions if isinstance(one, Exception)]
            case LedgerError() if not isinstance(error, TriggerUnreadable):
                # The event's row exists, and it was edited. Nothing is missed, and nothing can be done here.
                log_decision(
                    logger,
                    Action.ROW_UNREADABLE,
                    f"a row of the ledger cannot be read: {error}",
                    {"trigger": trigger},
                    level=logging.ERROR,
                )
                return False
            case _:
                self._others.append(error)
                if trigger is not None:
                    log_decision(
                        logger,
                        Action.TRIGGER_FAILED,
                        f"trigger {trigger} failed, and the next tick retries: {error!r}",
                        {"trigger": trigger},
                        level=logging.ERROR,
                    )
        return True

    def raise_all(self) -> None:
        """Raise what was kept: an unavailable ledger as itself, all other errors together."""
        if self.ledger is not None:
            raise self.ledger
        if self._others:
            raise ExceptionGroup("unexpected errors in some triggers", self._others)
