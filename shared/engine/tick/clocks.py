"""Clocks that are far ahead: a tick believes neither its own nor what another one has written.

A watermark that is days ahead would skip all occurrences of those days. The time of the table service, which comes with
every page, decides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from shared.core.clocks import is_ahead
from shared.core.errors import ClockAhead
from shared.core.telemetry import Action, log_decision
from shared.core.times import print_second
from shared.core.trigger_state import TriggerState
from shared.ledger.tick import TickState

logger = logging.getLogger(__name__)


def check_clock(now: datetime, ledger_time: datetime | None) -> None:
    """Check this instance's own clock.

    Raises:
        ClockAhead: It is far ahead. The tick must record nothing.
    """
    if not is_ahead(now, ledger_time) or ledger_time is None:
        return
    message = (
        f"the clock of this instance says {print_second(now)}, far ahead of the ledger's {print_second(ledger_time)}: "
        "nothing is recorded; set the clock of this machine"
    )
    log_decision(logger, Action.CLOCK_AHEAD, message, level=logging.ERROR)
    raise ClockAhead(message)


def believe_ticks(state: TickState) -> TickState:
    """Return how far the ticks came, with times that are far ahead cut to the ledger's own."""
    versions = {
        version: replace(one, watermark=_believed(one.watermark, state.ledger_time, "a watermark"))
        for version, one in state.versions.items()
    }
    last = _believed(state.last, state.ledger_time, "the time of the last tick")
    return replace(state, last=last, versions=versions)


def believe_states(
    states: Mapping[str, TriggerState], ledger_time: datetime | None
) -> Mapping[str, TriggerState]:
    """Return the states of triggers, with watermarks that are far ahead cut to the ledger's own time.

    If a person enabled a trigger on an instance whose clock is far ahead, the watermark alone says where it begins.
    """
    return {
        name: replace(
            state,
            watermark=_believed(state.watermark, ledger_time, "the watermark", name),
            enabled_at=None if is_ahead(state.enabled_at, ledger_time) else state.enabled_at,
        )
        for name, state in states.items()
    }


def _believed(
    instant: datetime | None, ledger_time: datetime | None, what: str, trigger: str | None = None
) -> datetime | None:
    if instant is None or ledger_time is None or not is_ahead(instant, ledger_time):
        return instant
    of = f" of trigger {trigger}" if trigger is not None else ""
    log_decision(
        logger,
        Action.STORED_TIME_AHEAD,
        f"{what}{of} is {print_second(instant)}, far ahead of the ledger's {print_second(ledger_time)}, which counts",
        {"trigger": trigger},
        level=logging.ERROR,
    )
    return ledger_time
