"""One call of the timer function, once a minute.

It claims the occurrences since the last tick, moves `evaluated_until`, sends what it claimed, and works off what is
due. A tick that fails half-way leaves `evaluated_until` where it was: the next one claims the rest, and what is claimed
already stays claimed once. Two instances may tick at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.accepting import Accepted, Accepting, sighting
from shared.config import Config
from shared.due import DueReport, DueWork
from shared.errors import Unavailable
from shared.events import ScheduleEvent
from shared.ledger import Ledger, Tick
from shared.occurrences import due_occurrences
from shared.sending import Sending
from shared.submissions import Submission

logger = logging.getLogger(__name__)

SENDERS = 16
"""POSTs at a time: a slow answer to one trigger does not hold up the others."""

BUDGET = timedelta(seconds=45)
"""A tick comes every minute, and two of one instance never overlap."""

REPAIR_ROWS = 100
"""Submissions that the repair walk looks at in one tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What a tick did.

    Attributes:
        time: The instant up to which it evaluated schedules.
        sent: The submissions it claimed and sent, as the ledger has them now.
        due: What it worked off.
    """

    time: datetime
    sent: tuple[Submission, ...]
    due: DueReport


class Ticking:
    """Does what is due.

    Args:
        config: Today's file.
        ledger: How far the last tick came, and when triggers were first seen.
        accepting: Claims occurrences.
        sending: Sends them.
        due: Works off what is due.
        clock: Says the time; aware.
        monotonic: Seconds, for the budget.
        budget: How long a tick may take; what it has begun it finishes.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        accepting: Accepting,
        sending: Sending,
        due: DueWork,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        budget: timedelta = BUDGET,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._accepting = accepting
        self._sending = sending
        self._due = due
        self._clock = clock
        self._monotonic = monotonic
        self._budget = budget

    def run(self) -> TickReport:
        """Claim and send what is due now.

        Raises:
            Unavailable: Something is not recorded. What was claimed is sent first; the next tick does the rest.
            ExceptionGroup: Some submissions met errors that nobody expected; the others were worked off.
        """
        until = self._monotonic() + self._budget.total_seconds()
        now = self._clock()
        before = self._ledger.tick()
        triggers = self._config.triggers.values()
        states = self._ledger.see_all(sighting(trigger, now=now) for trigger in triggers)
        events = due_occurrences(
            self._config, states, evaluated_until=before.evaluated_until, now=now
        )
        accepted, failure = self._claim(events)
        if failure is None:
            walked_to = self._ledger.repair(before.walked_to, now=now, limit=REPAIR_ROWS)
            evaluated = max(now, before.evaluated_until or now)
            self._ledger.end_tick(Tick(evaluated_until=evaluated, last=now, walked_to=walked_to))
        sent = self._send(accepted)
        if failure is not None:
            raise failure
        due = self._due.run(now=now, until=until)
        logger.info(
            "tick: %d submissions sent, %d worked off%s",
            len(sent),
            due.done,
            ", more are left" if due.left else "",
            extra={"action": "tick_ended", "sent": len(sent), "worked_off": due.done},
        )
        return TickReport(time=now, sent=sent, due=due)

    def _claim(self, events: Iterable[ScheduleEvent]) -> tuple[list[Accepted], Unavailable | None]:
        accepted: list[Accepted] = []
        for event in events:
            try:
                result = self._accepting.accept(event)
            except Unavailable as error:
                return accepted, error
            if isinstance(result, Accepted) and result.won:
                accepted.append(result)
        return accepted, None

    def _send(self, accepted: list[Accepted]) -> tuple[Submission, ...]:
        if not accepted:
            return ()
        with ThreadPoolExecutor(min(SENDERS, len(accepted)), "tick-send") as senders:
            return tuple(senders.map(self._sending.send, accepted))
