"""One call of the timer function, once a minute.

It claims every occurrence since the last tick, moves `evaluated_until`, and then sends what it claimed. A tick that
fails half-way leaves `evaluated_until` where it was: the next one claims the rest, and what is claimed already stays
claimed once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from shared.accepting import Accepted, Accepting, sighting
from shared.config import Config
from shared.errors import Unavailable
from shared.events import ScheduleEvent
from shared.ledger import Ledger, Tick
from shared.occurrences import due_occurrences
from shared.sending import Sending
from shared.submissions import Submission

logger = logging.getLogger(__name__)

SENDERS = 16
"""POSTs at a time: a slow answer to one trigger does not hold up the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What a tick did.

    Attributes:
        time: The instant up to which it evaluated schedules.
        sent: The submissions it claimed and sent, as the ledger has them now.
    """

    time: datetime
    sent: tuple[Submission, ...]


class Ticking:
    """Does what is due.

    Args:
        config: Today's file.
        ledger: How far the last tick came, and when triggers were first seen.
        accepting: Claims occurrences.
        sending: Sends them.
        clock: Says the time; aware.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        accepting: Accepting,
        sending: Sending,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._accepting = accepting
        self._sending = sending
        self._clock = clock

    def run(self) -> TickReport:
        """Claim and send what is due now.

        Raises:
            Unavailable: Something is not recorded. What was claimed is sent first; the next tick does the rest.
        """
        now = self._clock()
        before = self._ledger.tick()
        triggers = self._config.triggers.values()
        states = self._ledger.see_all(sighting(trigger, now=now) for trigger in triggers)
        events = due_occurrences(
            self._config, states, evaluated_until=before.evaluated_until, now=now
        )
        accepted, failure = self._claim(events)
        if failure is None:
            until = max(now, before.evaluated_until or now)
            self._ledger.end_tick(Tick(evaluated_until=until, last=now))
        sent = self._send(accepted)
        if failure is not None:
            raise failure
        logger.info(
            "tick: %d submissions sent",
            len(sent),
            extra={"action": "tick_ended", "sent": len(sent)},
        )
        return TickReport(time=now, sent=sent)

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
