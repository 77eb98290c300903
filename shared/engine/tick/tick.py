"""One call of the timer function, once a minute.

    plan the occurrences -> claim them -> move the watermarks -> send -> work off what is due -> chores

A tick that fails half-way leaves the common watermark where it was. The next tick claims the rest, and an occurrence
that is claimed already stays claimed once. Two instances may tick at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.errors import LedgerError, Unavailable
from shared.core.submissions import Submission
from shared.core.telemetry import Action, log_decision
from shared.core.trigger_state import TriggerState
from shared.engine.accept import accept, skip
from shared.engine.services import Services
from shared.engine.tick.due import DueReport, work_off_due
from shared.engine.tick.housekeeping import keep_house
from shared.engine.tick.occurrences import Plan, plan_occurrences
from shared.engine.tick.sending import send_claimed

logger = logging.getLogger(__name__)

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
        Unavailable: Something is not recorded. What was claimed is sent first. The next tick does the rest.
        ExceptionGroup: Some triggers met unexpected errors. The others went on.
    """
    until = services.monotonic() + budget.total_seconds()
    now = services.clock()
    before = services.ledger.tick.read()
    triggers = services.config.triggers.values()
    states = services.ledger.triggers.register_all(one.registration(now) for one in triggers)
    plan = plan_occurrences(services.config, states, watermark=before.watermark, now=now)
    failures = _Failures()
    claimed = _claim(services, plan, states, failures)
    state = replace(before, watermark=max(now, before.watermark or now), last=now)
    if claimed and failures.ledger is None:
        # Without claims the row is written once, with the chores: an idle tick is one transaction.
        with failures.kept():
            services.ledger.tick.write(state)
    sent = _send(services, claimed, failures, until=until)
    due = DueReport()
    if failures.ledger is None:
        with failures.kept():
            due = work_off_due(services, now=now, until=until)
    if failures.ledger is None:
        with failures.kept():
            keep_house(services, state, now=now)
    failures.raise_all()
    more = ", more are left" if due.left else ""
    log_decision(
        logger,
        Action.TICK_ENDED,
        f"tick: {len(sent)} submissions sent, {due.done} worked off{more}",
        {"sent": len(sent), "worked_off": due.done},
    )
    return TickReport(time=now, sent=sent, due=due)


def _claim(
    services: Services, plan: Plan, states: Mapping[str, TriggerState], failures: _Failures
) -> list[Submission]:
    """Record what is planned, and how far each trigger came, before the common watermark moves.

    A trigger that meets an unexpected error gets a watermark of its own, so that the next tick retries its occurrence.
    The others go on.
    """
    claimed: list[Submission] = []
    watermarks = dict(plan.watermarks)
    failed: set[str] = set()
    for event in plan.run:
        if event.trigger in failed:
            continue
        with failures.kept() as outcome:
            result = accept(services, event)
            if isinstance(result, Submission):
                claimed.append(result)
        if failures.ledger is not None:
            return claimed
        if outcome.failed:
            failed.add(event.trigger)
            watermarks[event.trigger] = event.time - timedelta(microseconds=1)
    with failures.kept():
        skip(services, plan.skip)
        services.ledger.triggers.move_watermarks(watermarks, states)
    return claimed


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
    """Whether a part of the tick met an unexpected error."""

    failed: bool = False


class _Failures:
    """What failed in a tick. It is kept while the other triggers go on, and raised at the end."""

    def __init__(self) -> None:
        self.ledger: Unavailable | None = None
        """What did not answer. Nothing more can be recorded then."""
        self._others: list[Exception] = []

    @contextmanager
    def kept(self) -> Iterator[_Part]:
        """Keep what a part of the tick raises."""
        part = _Part()
        try:
            yield part
        except Unavailable as error:
            self.ledger = self.ledger or error
        except LedgerError as error:
            # The event's row exists, and it was edited. Nothing is missed, and nothing can be done here.
            log_decision(
                logger,
                Action.ROW_UNREADABLE,
                f"a row of the ledger cannot be read: {error}",
                level=logging.ERROR,
            )
        except ExceptionGroup as group:
            self._others += [one for one in group.exceptions if isinstance(one, Exception)]
        except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
            part.failed = True
            self._others.append(error)

    def raise_all(self) -> None:
        """Raise what was kept: an unavailable ledger as itself, all other errors together."""
        if self.ledger is not None:
            raise self.ledger
        if self._others:
            raise ExceptionGroup("unexpected errors in some triggers", self._others)
