"""Past occurrences, started on request under their own deduplication keys. So a repeated backfill starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from shared.core.errors import InvalidRequest, NotAllowed, RenderError, TriggerUnreadable
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State, Submission
from shared.core.telemetry import submit_in_context
from shared.engine.accept import accept_past
from shared.engine.send import send
from shared.engine.services import Services
from shared.engine.tick.occurrences import schedule_event
from shared.operations.submissions import replay
from shared.operations.triggers import get_trigger, schedule_of

MAX_OCCURRENCES = 5_000
"""Occurrences of one backfill."""

WORKERS = 4
"""POSTs at a time. A backfill is not urgent, and Azure ML throttles bursts."""

READERS = 16
"""Reads of the ledger at a time."""

TAKEN_OVER = frozenset({State.SKIPPED, State.DEAD})


class Step(StrEnum):
    """What a backfill does with an occurrence."""

    START = "start"
    """Nothing is recorded. It is submitted."""
    TAKE_OVER = "take over"
    """It is skipped or dead. Its next generation is submitted."""
    LEAVE = "leave"
    """It has been submitted, or is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An occurrence of the range."""

    event: ScheduleEvent
    """The occurrence."""
    found: Submission | None
    """Its submission. None: the ledger has none."""

    @property
    def step(self) -> Step:
        """What the backfill does with it."""
        if self.found is None:
            return Step.START
        return Step.TAKE_OVER if self.found.state in TAKEN_OVER else Step.LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """The result for one occurrence."""

    event: ScheduleEvent
    """The occurrence."""
    submission: Submission | None = None
    """Its submission as the ledger has it now. None: it was refused."""
    refusal: str | None = None
    """Why it could not be started."""


def preview_backfill(
    services: Services, name: str, *, since: datetime, until: datetime
) -> list[Candidate]:
    """Return the occurrences of a past range, oldest first, and what the ledger has of each. Nothing is changed.

    A schedule without `start_time` is counted back beyond its trigger's registration.

    Args:
        services: The app's parts.
        name: The trigger.
        since: The range's start, itself included.
        until: Its end, itself included.

    Raises:
        NotFound: There is no such trigger.
        WrongSource: It does not start from a schedule.
        InvalidRequest: The range is empty, not past, or has too many occurrences.
        NotAllowed: The trigger is disabled, or its occurrences depend on a registration that is not there yet.
        LedgerUnavailable: The ledger did not answer.
        TriggerUnreadable: The trigger's row cannot be read.
    """
    trigger = get_trigger(services, name)
    source = schedule_of(trigger)
    if until < since:
        raise InvalidRequest("the range's end is before its start")
    if until > services.clock():
        raise InvalidRequest("the range's end is ahead of now; a backfill is for the past")
    state = services.ledger.triggers.read_states([trigger.registration(services.clock())])[name]
    if state.error is not None:
        raise TriggerUnreadable(state.error)
    if state.enabled is False:
        raise NotAllowed(f"trigger {name} is disabled; enable it first")
    if not state.is_enabled(enabled_in_file=trigger.enabled):
        raise NotAllowed(f"trigger {name} is disabled in the triggers file; enable it first")
    if not state.is_registered and source.schedule.needs_anchor:
        raise NotAllowed(
            f"the occurrences of trigger {name} are counted from when the app first sees this schedule, and it has "
            "not yet; let the deployed app tick once, or give the schedule a start_time"
        )
    anchor = state.anchor
    after = since - timedelta.resolution
    times = source.schedule.occurrences(anchor=anchor, after=after, until=until)
    found = list(islice(times, MAX_OCCURRENCES + 1))
    if len(found) > MAX_OCCURRENCES:
        raise InvalidRequest(
            f"the range has more than {MAX_OCCURRENCES} occurrences; take a part of it at a time"
        )
    events = [schedule_event(name, source, time, anchor=anchor) for time in found]
    with ThreadPoolExecutor(READERS, "backfill-read") as readers:
        rows = readers.map(services.ledger.submissions.get, map(deduplication_key, events))
        return [Candidate(event=event, found=row) for event, row in zip(events, rows, strict=True)]


def run_backfill(services: Services, candidates: Sequence[Candidate]) -> Iterator[Backfilled]:
    """Submit the occurrences that a preview wants to start or take over, and yield each result, in order.

    What was submitted meanwhile is left as it is.

    Raises:
        LedgerUnavailable: The ledger did not answer. Repeat the backfill, which starts nothing twice.
    """
    wanted = [one for one in candidates if one.step is not Step.LEAVE]
    with ThreadPoolExecutor(WORKERS, "backfill") as workers:
        try:
            under_way = [submit_in_context(workers, _submit, services, one) for one in wanted]
            for one in under_way:
                yield one.result()
        finally:
            workers.shutdown(cancel_futures=True)


def _submit(services: Services, candidate: Candidate) -> Backfilled:
    event, submission = candidate.event, candidate.found
    if submission is None:
        submission = accept_past(services, event)
        if submission.claimed_at is not None or submission.state not in TAKEN_OVER:
            return Backfilled(event=event, submission=send(services, submission))
    try:
        return Backfilled(event=event, submission=replay(services, submission.id))
    except (NotAllowed, RenderError) as error:
        return Backfilled(event=event, refusal=str(error))
