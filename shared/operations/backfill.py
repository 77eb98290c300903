"""Past occurrences, started on request under the ids they always had: a repeated backfill starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice

from shared.core.errors import InvalidRequest, NotAllowed, RenderError
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State, Submission
from shared.core.trigger_state import anchor_of
from shared.engine.tick.occurrences import schedule_event
from shared.operations.submissions import Operations, schedule_of

MAX_OCCURRENCES = 5_000
"""Occurrences of one backfill."""

WORKERS = 4
"""POSTs at a time: a backfill is not urgent, and Azure ML throttles bursts."""

READERS = 16
"""Reads of the ledger at a time."""

TAKEN_OVER = frozenset({State.SKIPPED, State.DEAD})


class Step(StrEnum):
    """What a backfill does with an occurrence."""

    START = "start"
    """Nothing is recorded: it is submitted."""
    TAKE_OVER = "take over"
    """It is skipped or dead: its next generation is submitted."""
    LEAVE = "leave"
    """It has been submitted, or is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An occurrence of the range.

    Attributes:
        event: The occurrence.
        found: What the ledger has of it; None when nothing.
    """

    event: ScheduleEvent
    found: Submission | None

    @property
    def step(self) -> Step:
        """What is to be done."""
        if self.found is None:
            return Step.START
        return Step.TAKE_OVER if self.found.state in TAKEN_OVER else Step.LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """What became of an occurrence.

    Attributes:
        event: The occurrence.
        submission: As the ledger has it now; None when it was refused.
        refusal: Why it could not be started.
    """

    event: ScheduleEvent
    submission: Submission | None = None
    refusal: str | None = None


def preview_backfill(
    operations: Operations, name: str, *, since: datetime, until: datetime
) -> list[Candidate]:
    """Return the occurrences of a past range, oldest first, and what the ledger has of each; nothing is changed.

    A schedule without `start_time` is counted back beyond its trigger's first sight.

    Args:
        operations: The app's.
        name: The trigger.
        since: The range's start, itself included.
        until: Its end, itself included.

    Raises:
        NotFound: There is no such trigger.
        WrongSource: It does not start from a schedule.
        InvalidRequest: The range is empty, not past, or has too many occurrences.
        NotAllowed: The trigger is disabled, or its occurrences depend on a first sight that has not been.
        LedgerUnavailable: The ledger did not answer.
    """
    source = schedule_of(operations.trigger(name))
    if until < since:
        raise InvalidRequest("the range's end is before its start")
    if until > operations.clock():
        raise InvalidRequest("the range's end is ahead of now; a backfill is for the past")
    known = operations.ledger.known(name)
    if known is not None and known.enabled is False:
        raise NotAllowed(f"trigger {name} is disabled; enable it first")
    seen = (
        known.registered_at if known is not None and known.source_key == source.source_key else None
    )
    if seen is None and source.schedule.needs_anchor:
        raise NotAllowed(
            f"the occurrences of trigger {name} are counted from when the app first sees this schedule, and it has "
            "not yet; let the deployed app tick once, or give the schedule a start_time"
        )
    anchor = anchor_of(seen or operations.clock())
    after = since - timedelta.resolution
    times = source.schedule.occurrences(anchor=anchor, after=after, until=until)
    found = list(islice(times, MAX_OCCURRENCES + 1))
    if len(found) > MAX_OCCURRENCES:
        raise InvalidRequest(
            f"the range has more than {MAX_OCCURRENCES} occurrences; take a part of it at a time"
        )
    events = [schedule_event(name, source, time, anchor=anchor) for time in found]
    with ThreadPoolExecutor(READERS, "backfill-read") as readers:
        rows = readers.map(operations.ledger.get, map(deduplication_key, events))
        return [Candidate(event=event, found=row) for event, row in zip(events, rows, strict=True)]


def run_backfill(operations: Operations, candidates: Sequence[Candidate]) -> Iterator[Backfilled]:
    """Submit what a preview says is to be submitted, and yield what became of each, in order.

    What somebody else has submitted meanwhile is left as it is.

    Raises:
        LedgerUnavailable: The ledger did not answer; repeat the backfill, it starts nothing twice.
    """
    wanted = [one for one in candidates if one.step is not Step.LEAVE]
    with ThreadPoolExecutor(WORKERS, "backfill") as workers:
        try:
            yield from workers.map(partial(_submit, operations), wanted)
        finally:
            workers.shutdown(cancel_futures=True)


def _submit(operations: Operations, candidate: Candidate) -> Backfilled:
    event, submission = candidate.event, candidate.found
    if submission is None:
        accepted = operations.acceptor.accept_past(event)
        if accepted.won or accepted.submission.state not in TAKEN_OVER:
            return Backfilled(event=event, submission=operations.sender.send(accepted))
        submission = accepted.submission
    try:
        return Backfilled(event=event, submission=operations.replay(submission.id))
    except (NotAllowed, RenderError) as error:
        return Backfilled(event=event, refusal=str(error))
