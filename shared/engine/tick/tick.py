"""One call of the timer function, once a minute.

It claims the occurrences since the last tick, moves `evaluated_until`, sends what it claimed, and works off what is
due. A tick that fails half-way leaves `evaluated_until` where it was: the next one claims the rest, and what is claimed
already stays claimed once. Two instances may tick at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.config.model import Config
from shared.core.errors import LedgerError, Unavailable
from shared.core.submissions import Submission
from shared.core.trigger_state import TriggerState
from shared.engine.accept import Accepted, Acceptor
from shared.engine.send import Sender
from shared.engine.tick.due import DueReport, DueWork
from shared.engine.tick.occurrences import Plan, plan_occurrences
from shared.ledger.ledger import Ledger
from shared.ledger.tick import Tick

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


class TickRunner:
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
        acceptor: Acceptor,
        sender: Sender,
        due: DueWork,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        budget: timedelta = BUDGET,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._accepting = acceptor
        self._sending = sender
        self._due = due
        self._clock = clock
        self._monotonic = monotonic
        self._budget = budget

    def run(self) -> TickReport:
        """Claim and send what is due now.

        Raises:
            Unavailable: Something is not recorded. What was claimed is sent first; the next tick does the rest.
            ExceptionGroup: Some triggers met errors that nobody expected; the others went on.
        """
        until = self._monotonic() + self._budget.total_seconds()
        now = self._clock()
        before = self._ledger.tick()
        triggers = self._config.triggers.values()
        states = self._ledger.register_all(trigger.registration(now) for trigger in triggers)
        plan = plan_occurrences(self._config, states, watermark=before.watermark, now=now)
        failures = _Failures()
        accepted = self._claim(plan, states, failures)
        if failures.ledger is None:
            walked_to = self._ledger.repair(before.walked_to, now=now, limit=REPAIR_ROWS)
            evaluated = max(now, before.watermark or now)
            dead, held = self._ledger.count_attention()
            tick = Tick(watermark=evaluated, last=now, walked_to=walked_to, dead=dead, held=held)
            self._ledger.end_tick(tick)
        sent = self._send(accepted, failures)
        due = DueReport()
        if failures.ledger is None:
            with failures.kept():
                due = self._due.run(now=now, until=until)
        failures.raise_all()
        logger.info(
            "tick: %d submissions sent, %d worked off%s",
            len(sent),
            due.done,
            ", more are left" if due.left else "",
            extra={"action": "tick_ended", "sent": len(sent), "worked_off": due.done},
        )
        return TickReport(time=now, sent=sent, due=due)

    def _claim(
        self, plan: Plan, states: Mapping[str, TriggerState], failures: _Failures
    ) -> list[Accepted]:
        """Record what is planned, and how far each trigger came: before `evaluated_until` moves.

        A trigger that meets an error that nobody expected is left behind, so that the next tick tries its occurrence
        again; the others go on.
        """
        accepted: list[Accepted] = []
        watermarks = dict(plan.watermarks)
        failed: set[str] = set()
        for event in plan.run:
            if event.trigger in failed:
                continue
            with failures.kept() as outcome:
                result = self._accepting.accept(event)
                if isinstance(result, Accepted) and result.won:
                    accepted.append(result)
            if failures.ledger is not None:
                return accepted
            if outcome.failed:
                failed.add(event.trigger)
                watermarks[event.trigger] = event.time - timedelta(microseconds=1)
        with failures.kept():
            self._accepting.skip_all(plan.skip)
            self._ledger.move_watermarks(watermarks, states)
        return accepted

    def _send(self, accepted: list[Accepted], failures: _Failures) -> tuple[Submission, ...]:
        if not accepted:
            return ()
        with ThreadPoolExecutor(min(SENDERS, len(accepted)), "tick-send") as senders:
            under_way = [senders.submit(self._sending.send, one) for one in accepted]
        sent: list[Submission] = []
        for one in under_way:
            with failures.kept():
                sent.append(one.result())
        return tuple(sent)


@dataclass(slots=True)
class _Outcome:
    """Whether a part of the tick met an error that nobody expected."""

    failed: bool = False


class _Failures:
    """What went wrong in a tick: kept while the other triggers go on, and raised at its end.

    Attributes:
        ledger: What did not answer; then nothing more can be recorded.
    """

    def __init__(self) -> None:
        self.ledger: Unavailable | None = None
        self._others: list[Exception] = []

    @contextmanager
    def kept(self) -> Iterator[_Outcome]:
        """Keep what a part of the tick raises."""
        outcome = _Outcome()
        try:
            yield outcome
        except Unavailable as error:
            self.ledger = self.ledger or error
        except LedgerError as error:
            # The event's row is there, and somebody edited it: nothing is missed, and nothing can be done here.
            logger.error(  # noqa: TRY400 — the error is the row's, and its text says all
                "a row of the ledger cannot be read: %s", error, extra={"action": "row_unreadable"}
            )
        except ExceptionGroup as group:
            self._others += [one for one in group.exceptions if isinstance(one, Exception)]
        except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
            outcome.failed = True
            self._others.append(error)

    def raise_all(self) -> None:
        """Raise what was kept: an unavailable ledger as itself, anything else together."""
        if self.ledger is not None:
            raise self.ledger
        if self._others:
            raise ExceptionGroup("some triggers met errors that nobody expected", self._others)
