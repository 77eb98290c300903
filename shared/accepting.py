"""The first verb: an event becomes a submission.

    match by name -> facts (one HEAD, blobs only) -> match in full -> render -> claim

Whatever does not match a trigger leaves one log record, `event_ignored`, with the reason. Whatever matches is in the
ledger when `accept` returns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.blobs import BlobFacts
from shared.config import BlobSource, Config, Start, Trigger
from shared.errors import (
    BodyTooLarge,
    InvalidRequest,
    KeyReused,
    MissingValue,
    Problem,
    RenderError,
    RequestError,
    RequestTooLarge,
)
from shared.events import BlobEvent, Event, HttpEvent, dump_event, event_id
from shared.ledger import GRACE, Ledger, Sighting, TriggerState
from shared.pipelines import published_pipeline
from shared.rendering import render
from shared.submissions import LEASE, State, Submission, stamp

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES = 60 * 1024
"""A stored event is one binary property; the service takes 64 KiB."""

type Head = Callable[[str, str, str], BlobFacts | None]
"""Asks for a blob's facts by connection, container and path; None when it has vanished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobNotice:
    """Somebody says that a blob was added or modified: only names, all else is for our own HEAD to find out."""

    trigger: str
    container: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The event is in the ledger.

    Attributes:
        submission: As the ledger has it.
        won: Whether this delivery claimed it; else it was there before.
        claimed_at: When the claim began, in seconds of the monotonic clock.
    """

    submission: Submission
    won: bool
    claimed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """The event starts nothing, for this reason."""

    reason: str


class Accepting:
    """Turns events into submissions.

    Args:
        config: Today's file.
        ledger: Where claims are made.
        head: Asks for a blob's facts.
        clock: Says the time; aware.
        monotonic: Seconds; the same clock that `Sending` compares with.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        head: Head,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._head = head
        self._clock = clock
        self._monotonic = monotonic

    def accept(self, news: Event | BlobNotice) -> Accepted | Ignored:
        """Record that an event must start a run, or say why it starts nothing.

        Raises:
            LedgerUnavailable: The event is not safe yet: fail, so that the host or the caller delivers it again.
            StorageUnavailable: The blob's facts could not be read: likewise.
            RequestError: A request cannot become an event.
        """
        trigger = self._config.triggers[news.trigger]
        event = self._facts(trigger, news) if isinstance(news, BlobNotice) else news
        ignored = event if isinstance(event, Ignored) else self._gate(trigger, event)
        if ignored is not None:
            self._log_ignored(news, ignored)
            return ignored
        assert not isinstance(event, Ignored)  # noqa: S101 — tells the type checker what the line above decided
        return self._claim(trigger, event)

    def _facts(self, trigger: Trigger, news: BlobNotice) -> BlobEvent | Ignored:
        """Match by name, look at the blob, and match in full."""
        source = trigger.source
        if not isinstance(source, BlobSource):
            return Ignored(reason=f"trigger {trigger.name} does not start from blobs")
        if news.container != source.datastore.container:
            return Ignored(
                reason=f"container {news.container} is not the trigger's {source.datastore.container}"
            )
        mismatch = source.rule.mismatch(news.path)
        if mismatch is not None:
            return Ignored(reason=mismatch)
        facts = self._head(source.datastore.connection, news.container, news.path)
        if facts is None:
            return Ignored(reason="the blob has vanished")
        if facts.is_folder:
            return Ignored(reason="it is a folder marker (hdi_isfolder)")
        return BlobEvent(
            trigger=trigger.name,
            account=facts.account,
            container=facts.container,
            path=facts.path,
            url=facts.url,
            etag=facts.etag,
            size=facts.size,
            last_modified=facts.last_modified,
            metadata=facts.metadata,
        )

    def _gate(self, trigger: Trigger, event: Event) -> Ignored | None:
        """Return why the trigger's own state keeps the event from starting anything."""
        state = self._ledger.see(sighting(trigger, now=self._clock()))
        return closed(state, event)

    def _claim(self, trigger: Trigger, event: Event) -> Accepted:
        if len(dump_event(event)) > MAX_EVENT_BYTES:
            raise RequestTooLarge(
                f"the request takes more than {MAX_EVENT_BYTES // 1024} KiB in the ledger; send a path instead of data"
            )
        now = self._clock()
        submission = self._submission(trigger, event, now)
        claimed_at = self._monotonic()
        claim = self._ledger.claim(submission)
        if isinstance(event, HttpEvent) and not claim.won:
            _check_same_request(claim.submission, event)
        _log_claim(claim.submission, won=claim.won)
        return Accepted(submission=claim.submission, won=claim.won, claimed_at=claimed_at)

    def _submission(self, trigger: Trigger, event: Event, now: datetime) -> Submission:
        identifier = event_id(event)
        body, failure = b"", None
        try:
            body = build_run_body(self._config, trigger, event, stamp=stamp(identifier, 1))
        except RenderError as error:
            if isinstance(event, HttpEvent):
                raise _callers_mistake(error) from error
            failure = str(error)
        return Submission(
            id=identifier,
            trigger=trigger.name,
            pipeline=trigger.pipeline.name,
            kind=trigger.pipeline.kind,
            place=trigger.pipeline.place,
            event=event,
            body=body or None,
            created=now,
            updated=now,
            state=State.DEAD if failure else State.SUBMITTING,
            reason=failure,
            due=None if failure else now + LEASE,
        )

    def _log_ignored(self, news: Event | BlobNotice, ignored: Ignored) -> None:
        what = news.path if isinstance(news, BlobNotice | BlobEvent) else "event"
        logger.info(
            "trigger %s ignores %s: %s",
            news.trigger,
            what,
            ignored.reason,
            extra={"action": "event_ignored", "trigger": news.trigger, "reason": ignored.reason},
        )


def _callers_mistake(error: RenderError) -> RequestError:
    """Return what a value that cannot be made says to the caller who sent what it is made of."""
    if isinstance(error, BodyTooLarge):
        return RequestTooLarge(str(error))
    if isinstance(error, MissingValue):
        problem = Problem(where=error.name, message=f"is missing: {error.where} uses it")
        return InvalidRequest(f"the trigger needs {error.name}", problems=[problem])
    problem = Problem(where=error.where, message=str(error).removeprefix(f"{error.where}: "))
    return InvalidRequest("a value cannot be made from this request", problems=[problem])


def build_run_body(config: Config, trigger: Trigger, event: Event, *, stamp: str) -> bytes:
    """Return the body of an event's run, rendered with today's file.

    Raises:
        RenderError: A value cannot be made from this event.
    """
    return published_pipeline.build_body(render(config, trigger, event), stamp=stamp)


def sighting(trigger: Trigger, *, now: datetime) -> Sighting:
    """Return what a first sight of a trigger at this moment records.

    `start: now` sets the floor 15 minutes back, since the upload that woke a sleeping app must count.
    """
    start = trigger.source.start if isinstance(trigger.source, BlobSource) else Start.NOW
    match start:
        case Start.BEGINNING:
            floor = None
        case Start.NOW:
            floor = now - GRACE
        case _:
            floor = start
    return Sighting(name=trigger.name, place=trigger.source.place, floor=floor, time=now)


def closed(state: TriggerState, event: Event) -> Ignored | None:
    """Return why a trigger's state keeps an event from starting anything, or None."""
    if state.enabled is False:
        return Ignored(reason=f"trigger {state.name} is disabled")
    if state.floor is not None and event.time < state.floor:
        return Ignored(
            reason=f"it happened at {event.time:%Y-%m-%dT%H:%M:%SZ}, before the trigger's floor "
            f"{state.floor:%Y-%m-%dT%H:%M:%SZ} (see `start` in the triggers file)"
        )
    return None


def _check_same_request(known: Submission, event: HttpEvent) -> None:
    if isinstance(known.event, HttpEvent) and known.event.fingerprint == event.fingerprint:
        return
    raise KeyReused(
        f"this Idempotency-Key made submission {known.id} from another body; use a new key for a new request"
    )


def _log_claim(submission: Submission, *, won: bool) -> None:
    if not won:
        logger.info(
            "submission %s of trigger %s is %s already",
            submission.id,
            submission.trigger,
            submission.state,
            extra={
                "action": "event_repeated",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
    elif submission.state is State.DEAD:
        logger.error(
            "submission %s of trigger %s is dead: %s",
            submission.id,
            submission.trigger,
            submission.reason,
            extra={
                "action": "submission_dead",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
    else:
        logger.info(
            "submission %s of trigger %s is claimed",
            submission.id,
            submission.trigger,
            extra={
                "action": "submission_claimed",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
